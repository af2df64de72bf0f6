import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { BrokerHarness } from '../src/harness.ts';
import { mutants } from '../src/mutants/index.ts';
import { badgeOf } from '../src/report/badge.ts';
import { renderHtml } from '../src/report/html.ts';
import { renderJunit } from '../src/report/junit.ts';
import { renderMarkdown } from '../src/report/markdown.ts';
import { type ConformanceReport, committedReport } from '../src/report/report.ts';
import { runConformance } from '../src/run-conformance.ts';
import { scenarios } from '../src/scenarios/index.ts';
import { misfits, type Schema } from './fits-schema.ts';
import { loadMemoryHarness } from './memory-harness.ts';

const schema = JSON.parse(readFileSync(new URL('../report.schema.json', import.meta.url), 'utf8')) as Schema;
const chosen = scenarios.filter(({ id }) => /^(LSE-0[15]|CON-15|MOD-22|FLT-01|STM-01)$/.test(id));

let memory: BrokerHarness;
let good: ConformanceReport;
let bad: ConformanceReport;
beforeAll(async () => {
  memory = await loadMemoryHarness();
  const broken = mutants.find(({ name }) => name === 'claim-doubles')!.breakHarness(memory);
  const reproduce = 'npx millrace-conformance run test/harness.ts';
  good = await runConformance(memory, { scenarios: chosen, reproduce });
  bad = await runConformance(broken, { scenarios: chosen, reproduce });
});

describe('a report', () => {
  it('fits its schema, also when things failed, and also as it is committed', () => {
    for (const report of [good, bad, committedReport(good), committedReport(bad)]) {
      expect(misfits(JSON.parse(JSON.stringify(report)), schema)).toEqual([]);
    }
    expect(misfits({ ...good, schema: 2, surprise: 1 }, schema)).toEqual([
      'report.schema: 2',
      'report.surprise: not in the schema',
    ]);
  });

  it('names the strongest guarantee that no history refuted, and shows what refutes the stronger ones', () => {
    expect(good.guarantee).toMatchObject({ strongest: 'at-least-once + fencing', refuted: [], histories: 1 });
    const refuted = bad.guarantee?.refuted.find((each) => each.guarantee === 'at-least-once + fencing');
    expect(bad.guarantee?.strongest).not.toBe('at-least-once + fencing');
    expect(refuted?.by).toContain('H05');
    expect(refuted?.witness).toMatch(/H0\d .*\n.*✗ /s);
  });

  it('lists the rules that no scenario checks', () => {
    expect(good.unverified).toContain('R-ORD-5');
    expect(good.unverified).not.toContain('R-LSE-4');
  });
});

describe('the forms of a report', () => {
  it('Markdown says what was proved, what was left out and why, and how to repeat it', () => {
    const text = renderMarkdown(bad);
    expect(text).toContain('### LSE-01 (R-LSE-1)');
    expect(text).toContain('- not run: no hook savepoint: MOD-22');
    expect(text).toContain('npx millrace-conformance run test/harness.ts');
    expect(text).toMatch(/\| core \| failure \| \d+ \|/);
    expect(renderMarkdown(good)).not.toContain('## Failed');
  });

  it('HTML is one file without scripts or addresses, and what was stored cannot get out of its text', () => {
    const scenarioOf = (reason: string): ConformanceReport => ({
      ...good,
      scenarios: [{ id: 'LSE-04', rule: 'R-LSE-4', status: 'fail', reason }],
    });
    const html = renderHtml(scenarioOf('<script>alert("x")</script> & \u0000 \ud800'));
    expect(html).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; \ufffd \ufffd');
    expect(html).not.toMatch(/<script|https?:|<link|<img/);
    expect(renderHtml(good).match(/class="pass"/g)).toHaveLength(
      good.scenarios.filter((s) => s.status === 'pass').length,
    );
  });

  it('JUnit counts as the report does', () => {
    const xml = renderJunit(bad);
    const { fail } = bad.groups.LSE!;
    expect(xml).toContain(`<testsuite name="memory.LSE" tests="2" failures="${fail}" errors="0" skipped="0">`);
    expect(xml.match(/<failure /g)).toHaveLength(bad.scenarios.filter(({ status }) => status === 'fail').length);
    expect(xml).toContain('<skipped message="not run: no hook savepoint"/>');
  });

  it('the badge says what was passed, or that something was not', () => {
    expect(badgeOf(good)).toEqual({
      schemaVersion: 1,
      label: 'Millrace contract 0.1',
      message: 'Core',
      color: 'brightgreen',
    });
    expect(badgeOf(bad)).toMatchObject({ message: expect.stringMatching(/^\d failing$/), color: 'red' });
  });
});
