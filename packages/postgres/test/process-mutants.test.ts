import { type Mutant, runMutants } from '@millrace/conformance';
import { expect, it } from 'vitest';
import { harness } from './harness.ts';

/** A defect that only shows in a process of its own. */
const leaky: Mutant = {
  name: 'leaves-a-timer-behind',
  defect: 'a broker that was closed keeps its process alive',
  caughtBy: 'SHD-05',
  breakHarness: (inner) => ({ ...inner, workerModule: new URL('leaky-worker.ts', import.meta.url) }),
};

it(`${leaky.name}: ${leaky.defect} (${leaky.caughtBy})`, async () => {
  const [result] = await runMutants(harness, { mutants: [leaky] });
  expect(result, result?.reason).toMatchObject({ caught: true });
});
