import { readFileSync } from 'node:fs';

/** A rule as SPEC.md states it. */
export interface SpecRule {
  readonly id: string;
  readonly text: string;
  readonly scenarios: readonly string[];
  readonly invariants: readonly string[];
  readonly unverified: boolean;
}

/** The text of SPEC.md. */
export const spec: string = readFileSync(new URL('../../SPEC.md', import.meta.url), 'utf8');

/** The rules of SPEC.md, in its order. */
export function readRules(): SpecRule[] {
  return spec
    .split('\n')
    .filter((line) => line.startsWith('- **R-'))
    .map((line) => {
      const [, id, text, evidence] = /^- \*\*(R-[A-Z]{3}-\d+)\*\* (.+) — ([^—]+)$/.exec(line) ?? [];
      if (id === undefined || text === undefined || evidence === undefined) throw new Error(`not a rule: ${line}`);
      const items = evidence.split(', ');
      return {
        id,
        text,
        scenarios: items.filter((item) => /^[A-Z]{3}-\d\d$/.test(item)),
        invariants: items.filter((item) => /^[TS]\d+$/.test(item)),
        unverified: items.includes('*unverified*'),
      };
    });
}
