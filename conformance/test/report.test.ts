import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { capabilityMatrix } from '../src/report/matrix.ts';
import type { ConformanceReport } from '../src/report/report.ts';
import { scenarios } from '../src/scenarios/index.ts';

const folder = new URL('../reports/', import.meta.url);
const committed = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as ConformanceReport);

describe('committed reports', () => {
  it.each(committed)('$subject.name: covers every scenario, and none of them failed', (report) => {
    expect(report.scenarios.map(({ id }) => id)).toEqual(scenarios.map(({ id }) => id));
    expect(report.scenarios.filter(({ status }) => status === 'fail' || status === 'error')).toEqual([]);
  });

  it('hold nothing that changes from run to run', () => {
    for (const report of committed) {
      expect(report).not.toHaveProperty('environment');
      expect(JSON.stringify(report.scenarios)).not.toMatch(/"ms":|"assertions":/);
    }
  });
});

describe('the matrix', () => {
  it('has a column per report, a row per capability and group, and leaves out what was not asked', () => {
    const memory = committed.find(({ subject }) => subject.name === 'memory');
    const lines = capabilityMatrix([memory!, { ...memory!, subject: { name: 'twin' } }]).split('\n');
    expect(lines[0]).toBe('|  | memory | twin |');
    expect(lines).toContain('| Enqueue in your transaction | yes | yes |');
    expect(lines).toContain('| Scenarios: faults | – | – |');
    expect(lines.at(-2)).toMatch(/^\| \*\*Scenarios passed\*\* \| \*\*(\d+)\/\1\*\* \| \*\*\1\/\1\*\* \|$/);
  });
});
