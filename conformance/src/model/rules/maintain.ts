import { isTerminal, transition } from '@millrace/core';
import type { ModelOutcome, Occasion } from '../operation.ts';
import type { ModelRules } from '../rules.ts';
import { type ModelState, type ModelTask, withTask } from '../state.ts';
import type { Step } from '../step.ts';
import { type BackgroundKind, maintained, possibleKinds, variantsOf } from './background.ts';

const kinds: readonly BackgroundKind[] = ['reclaimed', 'expired', 'pruned'];

/** One round with a budget larger than anything: afterwards nothing is left that surely had to be done. */
export function applyMaintain(
  state: ModelState,
  occasion: Occasion,
  rules: ModelRules,
  observed?: ModelOutcome,
): Step[] {
  let next = state;
  const most: Record<BackgroundKind, number> = { reclaimed: 0, expired: 0, pruned: 0 };
  for (const task of state.tasks.values()) {
    for (const kind of possibleKinds(state, task, occasion.now, rules)) most[kind] += 1;
    next = withTask(next, task.id, maintained(state, task, occasion.now, rules));
  }
  if (observed === undefined) return [{ outcome: { type: 'maintain', report: { ...most, more: false } }, state: next }];
  if (observed.type !== 'maintain' || observed.report.more) return [];
  // Somebody else may have been first, so there is no least; and it cannot have done what was not there to be done.
  const isRight = kinds.every((kind) => !occasion.exact || observed.report[kind] <= most[kind]);
  return isRight ? [{ outcome: observed, state: next }] : [];
}

/** How many branches a purge of tasks in an unclear state may lead to. */
const mostUnclear = 6;

/** A purge takes what waits, whatever it waits for. */
export function applyPurge(
  state: ModelState,
  queue: string,
  occasion: Occasion,
  rules: ModelRules,
  observed?: ModelOutcome,
): Step[] {
  let ways: { readonly count: number; readonly state: ModelState }[] = [{ count: 0, state }];
  let unclear = 0;
  for (const task of state.tasks.values()) {
    if (task.queue !== queue) continue;
    const variants = variantsOf(state, task, occasion.now, rules);
    const waits = variants.map((variant) => variant !== undefined && isPurged(variant));
    if (waits.every((each) => !each)) continue;
    const mayStay = waits.some((each) => !each) && unclear < mostUnclear;
    if (mayStay) unclear += 1;
    ways = ways.flatMap((way) => [
      { count: way.count + 1, state: withTask(way.state, task.id, undefined) },
      ...(mayStay
        ? variants
            .filter((_variant, index) => !waits[index])
            .map((variant) => ({ count: way.count, state: withTask(way.state, task.id, variant) }))
        : []),
    ]);
  }
  const seen = observed?.type === 'count' ? observed.count : undefined;
  if (observed !== undefined && seen === undefined) return [];
  return ways
    .filter((way) => seen === undefined || way.count === seen)
    .map((way) => ({ outcome: { type: 'count', count: way.count }, state: way.state }));
}

function isPurged(task: ModelTask): boolean {
  return !isTerminal(task.state) && transition(task.state, 'remove') === 'gone';
}
