import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { specVersion } from '../src/report/report.ts';
import { scenarios } from '../src/scenarios/index.ts';

const spec = readFileSync(new URL('../../SPEC.md', import.meta.url), 'utf8');

interface Rule {
  readonly id: string;
  readonly text: string;
  readonly scenarios: readonly string[];
  readonly unverified: boolean;
  readonly invariants: readonly string[];
}

const rules: Rule[] = spec
  .split('\n')
  .filter((line) => line.startsWith('- **'))
  .map((line) => {
    const [, id, text, evidence] = /^- \*\*(R-[A-Z]{3}-\d+)\*\* (.+) — ([^—]+)$/.exec(line) ?? [];
    if (id === undefined || text === undefined || evidence === undefined) throw new Error(`not a rule: ${line}`);
    const items = evidence.split(', ');
    return {
      id,
      text,
      scenarios: items.filter((item) => /^[A-Z]{3}-\d\d$/.test(item)),
      unverified: items.includes('*unverified*'),
      invariants: items.filter((item) => /^[TS]\d+$/.test(item)),
    };
  });

describe('SPEC.md', () => {
  it('has the version the suite verifies', () => {
    expect(spec).toContain(`# The Millrace contract, version ${specVersion}`);
  });

  it('states each rule once, with a word of RFC 2119', () => {
    expect(new Set(rules.map((rule) => rule.id)).size).toBe(rules.length);
    for (const rule of rules) expect(rule.text, rule.id).toMatch(/\b(MUST|SHOULD|MAY)\b/);
  });

  it('names exactly the scenarios that verify each rule, or says that none does', () => {
    const claimed = Object.fromEntries(rules.map((rule) => [rule.id, rule.scenarios]));
    const actual = Object.fromEntries(
      rules.map((rule) => [rule.id, scenarios.filter((scenario) => scenario.rule === rule.id).map(({ id }) => id)]),
    );
    expect(claimed).toEqual(actual);
    expect(rules.filter((rule) => rule.unverified !== (rule.scenarios.length === 0))).toEqual([]);
  });

  it('has the rule of every scenario', () => {
    const known = new Set(rules.map((rule) => rule.id));
    expect(scenarios.filter((scenario) => !known.has(scenario.rule)).map(({ id }) => id)).toEqual([]);
  });

  it('restates all of T1 to T21 and S1 to S18', () => {
    const restated = new Set(rules.flatMap((rule) => rule.invariants));
    const all = [
      ...Array.from({ length: 21 }, (_, index) => `T${index + 1}`),
      ...Array.from({ length: 18 }, (_, index) => `S${index + 1}`),
    ];
    expect(all.filter((invariant) => !restated.has(invariant))).toEqual([]);
  });
});

describe('scenarios', () => {
  it('have ids of their own, in order, and titles of one line', () => {
    expect(new Set(scenarios.map(({ id }) => id)).size).toBe(scenarios.length);
    for (const { id, title } of scenarios) {
      expect(id).toMatch(/^[A-Z]{3}-\d\d$/);
      expect(title, id).not.toMatch(/[\n[\]]|\.$/);
    }
  });
});
