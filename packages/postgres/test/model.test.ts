import { runModel } from '@millrace/conformance';
import { describe, expect, it } from 'vitest';
import { harness } from './harness.ts';

/** `SEEDS=1,2,3 npm test -- --only postgres -t "the model"` looks further. */
const seeds = (process.env.SEEDS ?? '9137').split(',').map(Number);
const runs = 40;

describe('the model, on a server', () => {
  it.each(seeds)(
    'finds no program whose answers differ from the rules (seed %i)',
    { timeout: 240_000 },
    async (seed) => {
      const { failure, ...report } = await runModel(harness, { seed, runs });
      expect(failure && `${failure.explanation}\nrepeat it: ${failure.replay}`).toBeUndefined();
      expect(report).toMatchObject({ status: 'pass', level: 'L2', runs });
      expect(report.operations).toBeGreaterThan(500);
    },
  );
});
