import { beforeAll, describe, expect, it } from 'vitest';
import type { BrokerHarness } from '../src/harness.ts';
import { runModel } from '../src/model/run-model.ts';
import { loadMemoryHarness } from './memory-harness.ts';

let memory: BrokerHarness;
beforeAll(async () => {
  memory = await loadMemoryHarness();
});

describe('the model, on the memory broker', () => {
  it('finds no program whose answers differ, of 500', async () => {
    const { failure } = await runModel(memory, { seed: 1, runs: 500 });
    expect(failure).toBeUndefined();
  }, 60_000);
});
