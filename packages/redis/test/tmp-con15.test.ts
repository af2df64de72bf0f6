import { appendFileSync } from 'node:fs';
import { runConformance, scenarios, type ScenarioResult } from '@millrace/conformance';
import { expect, it } from 'vitest';
import { harness } from './harness.ts';
it.concurrent.each([1, 2, 3, 4, 5, 6])('loop %s', async () => {
  for (let i = 0; i < 12; i++) {
    const results: ScenarioResult[] = [];
    await runConformance(harness, { scenarios: scenarios.filter(({ id }) => id === 'CON-15'), onResult: (r) => results.push(r) });
    for (const r of results) appendFileSync('/tmp/s5/con15.out', r.status === 'pass' ? '.' : `\n${r.status} ${r.reason}\n`);
  }
  expect(1).toBe(1);
}, 300_000);
