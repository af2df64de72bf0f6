import { faultMutants, runMutants } from '@millrace/conformance';
import { describe, expect, it } from 'vitest';
import { harness } from './harness.ts';

describe('every broker that breaks with the network is caught by the scenario it names', () => {
  it.concurrent.each(faultMutants)('$name: $defect ($caughtBy)', async (mutant) => {
    const [result] = await runMutants(harness, { mutants: [mutant] });
    expect(result, result?.reason).toMatchObject({ caught: true });
  });
});
