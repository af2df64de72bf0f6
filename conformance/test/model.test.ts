import { beforeAll, describe, expect, it } from 'vitest';
import type { BrokerHarness } from '../src/harness.ts';
import { runModel } from '../src/model/run-model.ts';
import { loadMemoryHarness } from './memory-harness.ts';

let memory: BrokerHarness;
beforeAll(async () => {
  memory = await loadMemoryHarness();
});

describe('the model, on the memory broker', () => {
  it.each((process.env['SEEDS'] ?? '1,2,3,4,5').split(',').map(Number))('finds nothing in 2,000 programs, seed %s', async (seed) => {
    const report = await runModel(memory, { seed, runs: Number(process.env['RUNS'] ?? 2000) });
    console.log(Math.round(report.ms), report.runs, report.operations, report.failure?.replay);
    console.log(report.failure?.explanation);
    console.log(report.failure?.scenario);
    expect(report).toMatchObject({ status: 'pass' });
  }, 60_000);
});
