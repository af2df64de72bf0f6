import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { specVersion } from '../src/report/report.ts';
import { scenarios } from '../src/scenarios/index.ts';
import { readRules, spec } from './read-spec.ts';
import { rulesSource } from './rules-source.ts';

const rules = readRules();

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

  it('is what the package shows (else: tsx conformance/test/write-rules.ts)', () => {
    const source = readFileSync(new URL('../src/spec/rules.ts', import.meta.url), 'utf8');
    expect(source).toBe(rulesSource());
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
