import { runModel } from '@millrace/conformance';
import { describe, expect, it } from 'vitest';
import { harness } from './pglite-harness.ts';

/** `SEEDS=1,2,3 npm test -- --only pglite -t "the model"` looks further. */
const seeds = (process.env.SEEDS ?? '9137').split(',').map(Number);
const runs = 20;

describe('the model, on the embedded database', () => {
  it.each(seeds)(
    'finds no program whose answers differ from the rules (seed %i)',
    { timeout: 240_000 },
    async (seed) => {
      const { failure, ...report } = await runModel(harness, { seed, runs });
      expect(failure && `${failure.explanation}\nrepeat it: ${failure.replay}`).toBeUndefined();
      expect(report).toMatchObject({ status: 'pass', level: 'L2', runs });
      expect(report.operations).toBeGreaterThan(250);
    },
  );
});
