import type { HistoryReport } from './checker.ts';
import { type DescribedStep, describeStep, describeWitness } from './describe-step.ts';
import type { Witness, WitnessStep } from './witness.ts';

/** A witness as lines of text: when, who, what, and what came of it. */
export function renderWitness(witness: Witness, startedAt: number, seed?: number | string): string {
  const { title, steps } = describeWitness(witness, startedAt, seed);
  return [title, ...linesOf(steps)].join('\n');
}

/** Steps about a task that are no witness of an invariant, in the same form. */
export function renderSteps(task: string, steps: readonly WitnessStep[], startedAt: number = 0): string {
  return [`task ${task}`, ...linesOf(steps.map((step) => describeStep(step, task, startedAt)))].join('\n');
}

function linesOf(steps: readonly DescribedStep[]): string[] {
  const roleWidth = Math.max(...steps.map((step) => step.role.length));
  const whatWidth = Math.max(...steps.map((step) => step.what.length));
  const outcomeWidth = Math.max(...steps.map((step) => step.outcome.length));
  return steps.map(({ at, role, what, outcome, wrong }) => {
    const arrow = outcome === '' ? '  ' : '→ ';
    const line = `  ${at.toFixed(3)}  ${role.padEnd(roleWidth)}  ${what.padEnd(whatWidth)}  ${arrow}${outcome.padEnd(outcomeWidth)}`;
    return wrong === undefined ? line.trimEnd() : `${line}  ✗ ${wrong}`;
  });
}

/** A report for people, what failed and why before all else: a runner may keep the first lines only. */
export function renderReport(report: HistoryReport): string {
  const { guarantee, counts, verdicts } = report;
  const failed = verdicts.filter((verdict) => verdict.status === 'fail');
  const passed = verdicts.filter((verdict) => verdict.status === 'pass');
  const open = verdicts.filter((verdict) => verdict.status === 'unknown');
  return [
    `${counts.events} events, ${counts.accepted} tasks accepted, ${counts.deliveries} deliveries (${counts.redeliveries} again), ` +
      `${counts.duplicateRuns} duplicate runs, ${counts.unknown} unknown answers`,
    ...failed.map(({ id, name, violations }) => `fail: ${id} ${name}, ${violations} in all`),
    ...failed.flatMap(({ witness }) =>
      witness === undefined ? [] : [renderWitness(witness, report.startedAt, report.seed), ''],
    ),
    `strongest guarantee not refuted: ${guarantee.strongest}${guarantee.shown ? '' : ' (not fully shown)'}`,
    ...guarantee.refuted.map(({ guarantee: level, by }) => `refuted: ${level}, by ${by.join(' ')}`),
    `pass: ${passed.map(({ id }) => id).join(' ') || 'none'}`,
    ...open.map(({ id, name, why }) => `unknown: ${id} ${name}: ${why}`),
  ].join('\n');
}
