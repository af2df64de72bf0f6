import { expect, it } from 'vitest';
import { runConformance } from '../src/run-conformance.ts';
import { loadMemoryHarness } from './memory-harness.ts';
import { minimalHarness } from './minimal-broker.ts';

it('a broker that claims as little as it may passes Core, and every refusal is looked at', async () => {
  const report = await runConformance(minimalHarness(await loadMemoryHarness()));
  const broken = report.scenarios.filter(({ status }) => status === 'fail' || status === 'error');
  expect(broken).toEqual([]);
  expect(report.profiles.core.pass).toBeGreaterThan(80);
  // Without a lookup the table is still looked at, through what is delivered.
  const table = report.scenarios.find(({ id }) => id === 'STM-01');
  expect(table?.cells).toMatchObject({ fail: 0 });
  expect(table?.cells?.pass).toBeGreaterThan(40);
  expect(report.guarantee).toMatchObject({ strongest: 'at-least-once + fencing', refuted: [] });
});
