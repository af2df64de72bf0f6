import { expect, it } from 'vitest';
import type { CheckOptions } from '../src/history/check-options.ts';
import { checkHistory } from '../src/history/checker.ts';
import { renderWitness } from '../src/history/render-text.ts';
import { HistoryScript, strictCapabilities } from './history-script.ts';

/** A history without anything wrong, in whose midst an anomaly happens to task `x`. */
export function around(anomaly: (script: HistoryScript) => void): HistoryScript {
  const script = new HistoryScript().session('w1', 1).session('w2', 2);
  for (let index = 0; index < 20; index++) {
    const task = `t${index}`;
    const [role, pid] = index % 2 === 0 ? ['w1', 1] : ['w2', 2];
    const queue = `busy-${index}`;
    const at = 10 + index * 10;
    script.enqueue(task, { at, pid: 3 }, 'accepted', { queue });
    script.claim(task, 1, 1, { at: at + 2, role, pid }, { queue });
    script.settle('retry', task, 1, { at: at + 4, role, pid }, 'applied', { delayMs: 2, kind: 'error' });
    script.claim(task, 2, 2, { at: at + 7, role, pid }, { queue });
    script.settle('complete', task, 2, { at: at + 9, role, pid });
    script.final(task, 20_000, 'succeeded', { fence: 2, attempt: 2 });
  }
  anomaly(script);
  script.mark('alive', {}, { at: 19_998, role: 'w1', pid: 1 });
  script.mark('alive', {}, { at: 19_998, role: 'w2', pid: 2 });
  script.mark('drained', {}, { at: 19_999 });
  return script;
}

/** Something that must not happen, and who finds it. */
export interface Anomaly {
  readonly name: string;
  /** Exactly the invariants that must fail. */
  readonly fails: readonly string[];
  readonly options?: Partial<CheckOptions>;
  readonly inject: (script: HistoryScript) => void;
}

/** Task `x`, in the usual state before something happens to it. */
export const enqueued = (script: HistoryScript, fields = {}): HistoryScript =>
  script.enqueue('x', { at: 1_000, pid: 3 }, 'accepted', fields);
export const claimed = (script: HistoryScript, fields = {}): HistoryScript =>
  enqueued(script, fields).claim('x', 1, 1, { at: 1_010 });
export const completed = (script: HistoryScript): HistoryScript =>
  claimed(script).settle('complete', 'x', 1, { at: 1_020 });

/** One test for each: exactly those invariants fail, each with a small witness that says what is wrong. */
export function findAnomalies(anomalies: readonly Anomaly[]): void {
  it.each(anomalies)('$name is found by $fails', ({ fails, options, inject }) => {
    const script = around(inject);
    const report = checkHistory(script.events, { capabilities: strictCapabilities, ...options });
    const found = report.verdicts.filter((verdict) => verdict.status === 'fail');
    expect(found.map((verdict) => verdict.id)).toEqual(fails);
    for (const { witness } of found) {
      expect(witness?.steps.length).toBeLessThanOrEqual(4);
      expect(witness?.steps.some((step) => step.wrong !== undefined)).toBe(true);
      const drawn = witness === undefined ? '' : renderWitness(witness, report.startedAt, 9137);
      expect(drawn).toMatch(/^H\d\d .*seed 9137\n {2}\d+\.\d{3} .*✗/s);
    }
  });
}
