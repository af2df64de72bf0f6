import { beforeAll, describe, expect, it } from 'vitest';
import type { BrokerHarness } from '../src/harness.ts';
import { runModel } from '../src/model/run-model.ts';
import { mutants } from '../src/mutants/index.ts';
import { loadMemoryHarness } from './memory-harness.ts';

let memory: BrokerHarness;
beforeAll(async () => {
  memory = await loadMemoryHarness();
});

/** `SEEDS=1,2,3 npm test -- -t "the model"` looks further. */
const seeds = (process.env.SEEDS ?? '9137').split(',').map(Number);

describe('the model, on the memory broker', () => {
  it.each(seeds)('finds no program whose answers differ, of 2,000 (seed %i)', { timeout: 120_000 }, async (seed) => {
    const report = await runModel(memory, { seed });
    expect(report.failure?.explanation).toBeUndefined();
    expect(report).toMatchObject({ status: 'pass', level: 'L1', runs: 2_000 });
    expect(report.operations).toBeGreaterThan(50_000);
  });
});

/** One of each kind: fences, outcomes, attempts, delays, order, names, keys, stops, sessions, sweeps, reads. */
const defects = [
  'no-fence-on-complete',
  'no-fence-on-release',
  'no-fence-on-report',
  'fence-restarts',
  'double-settle-accepted',
  'release-charges',
  'retry-does-not-charge',
  'begun-ignored',
  'retry-delay-dropped',
  'delay-overflows',
  'last-in-first-out',
  'priority-lost-on-retry',
  'names-ignored',
  'key-freed-late',
  'key-never-freed',
  'cancel-forgotten-on-error',
  'holder-not-told',
  'pause-not-durable',
  'close-leaks',
  'maintain-takes-from-the-living',
  'retention-eats-the-living',
  'rerun-forgets-errors',
  'page-loses-one',
  'failure-kind-lost',
];

describe('the model finds a broken broker within 2,000 programs, on each of five seeds', () => {
  it.each(defects)('%s', { timeout: 120_000 }, async (name) => {
    const mutant = mutants.find((each) => each.name === name);
    if (mutant === undefined) throw new Error(`there is no mutant ${name}`);
    for (const seed of [1, 2, 3, 4, 5]) {
      const report = await runModel(mutant.breakHarness(memory), { seed, shrink: false });
      expect(report, `seed ${seed}`).toMatchObject({ status: 'fail' });
    }
  });
});
