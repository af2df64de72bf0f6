import { readFileSync } from 'node:fs';
import { committedReport, mutants, runConformance, runMutants, undamaged } from '@millrace/conformance';
import { describe, expect, it } from 'vitest';
import { harness } from './harness.ts';

describe('every broken broker is caught by the scenario it names', () => {
  it.each(mutants)('$name: $defect ($caughtBy)', async (mutant) => {
    const [result] = await runMutants(harness, { mutants: [mutant] });
    expect(result, result?.reason).toMatchObject({ caught: true });
  });

  it('names are unique', () => {
    expect(new Set(mutants.map((mutant) => mutant.name)).size).toBe(mutants.length);
  });

  it('a broker that is only wrapped passes everything, so what mutants fail for is their defect', async () => {
    const { scenarios } = await runConformance(undamaged.breakHarness(harness));
    expect(scenarios.filter(({ status }) => status === 'fail' || status === 'error')).toEqual([]);
  });
});

describe('the committed report', () => {
  it('is what the suite reports today (else: pnpm --filter @millrace/conformance report)', async () => {
    const file = new URL('../../../conformance/reports/memory.json', import.meta.url);
    const today = committedReport(await runConformance(harness));
    expect(JSON.parse(JSON.stringify(today))).toEqual(JSON.parse(readFileSync(file, 'utf8')));
  });
});
