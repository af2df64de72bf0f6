import { isTerminal, taskListLimits, transition } from '@millrace/core';
import { between, hasCome, type Instant, later, mayHaveCome } from '../instant.ts';
import type { ModelRules } from '../rules.ts';
import type { ModelError, ModelState, ModelTask } from '../state.ts';
import { endRun } from './end-run.ts';

/** A task, or that it is gone. */
export type Variant = ModelTask | undefined;

/** What a broker may do, or may have done, by itself: take back, expire, drop. */
interface BackgroundStep {
  readonly kind: BackgroundKind;
  readonly result: Variant;
  /** Whether its time has surely come, so that maintenance has to do it. */
  readonly certain: boolean;
}

/**
 * Everything a task may have become by itself by now. Nobody promises when exactly a broker takes tasks back, expires
 * or drops them, only that maintenance does; so until somebody looks, all of these hold.
 */
export function variantsOf(state: ModelState, task: ModelTask, now: Instant, rules: ModelRules): Variant[] {
  const variants: Variant[] = [task];
  for (const { result } of stepsOf(state, task, now, rules)) {
    if (result === undefined) variants.push(undefined);
    else variants.push(...variantsOf(state, result, now, rules));
  }
  return variants;
}

/**
 * What a task is after a round of maintenance that did all it surely had to. What it makes of a task may leave more to
 * do, such as a task taken back whose time is over; that may have to wait for the next round.
 */
export function maintained(state: ModelState, task: ModelTask, now: Instant, rules: ModelRules): Variant {
  const step = stepsOf(state, task, now, rules).find((each) => each.certain);
  return step === undefined ? task : step.result;
}

/** The kinds of work maintenance reports. */
export type BackgroundKind = 'reclaimed' | 'expired' | 'pruned';

/** The kinds of work that may be waiting for maintenance on a task. */
export function possibleKinds(
  state: ModelState,
  task: ModelTask,
  now: Instant,
  rules: ModelRules,
): Set<BackgroundKind> {
  const kinds = new Set<BackgroundKind>();
  for (const variant of variantsOf(state, task, now, rules)) {
    if (variant === undefined) continue;
    for (const { kind } of stepsOf(state, variant, now, rules)) kinds.add(kind);
  }
  return kinds;
}

function stepsOf(state: ModelState, task: ModelTask, now: Instant, rules: ModelRules): BackgroundStep[] {
  if (task.state === 'running') return lossOf(state, task, now, rules);
  if (isTerminal(task.state)) return pruningOf(task, now, rules);
  return expiryOf(task, now);
}

function lossOf(state: ModelState, task: ModelTask, now: Instant, rules: ModelRules): BackgroundStep[] {
  const session = task.holder === undefined ? undefined : state.sessions.get(task.holder);
  const deadline = session?.deadline;
  if (deadline === undefined || !mayHaveCome(deadline, now)) return [];
  const result = loseTask(task, between(deadline, now), rules);
  return [{ kind: 'reclaimed', result, certain: hasCome(deadline, now) }];
}

/** LSE-16: on its last attempt a task that was never begun is given back; begun, it is dead. */
function loseTask(task: ModelTask, when: Instant, rules: ModelRules): Variant {
  const isLast = task.attempt >= task.content.maxAttempts;
  const due = { ...when, step: undefined, delayMs: 0 };
  if (isLast && rules.capabilities.reports.begun && !task.begun) {
    return endRun(
      task,
      { operation: 'release', due: { ...between(task.due, when), step: undefined, delayMs: 0 } },
      when,
    );
  }
  const error: ModelError = { attempt: task.attempt, kind: 'lost' };
  return endRun(task, isLast ? { operation: 'fail', error } : { operation: 'lose', due, error }, when);
}

function expiryOf(task: ModelTask, now: Instant): BackgroundStep[] {
  const { expiry } = task;
  if (expiry === undefined || transition(task.state, 'expire') === undefined || !mayHaveCome(expiry, now)) return [];
  const result: ModelTask = {
    ...task,
    state: 'failed',
    failure: 'expired',
    keyHeld: false,
    errors: [...task.errors, { attempt: task.attempt, kind: 'expired' as const }].slice(-taskListLimits.errors),
    ended: between(expiry, now),
  };
  return [{ kind: 'expired', result, certain: hasCome(expiry, now) }];
}

function pruningOf(task: ModelTask, now: Instant, rules: ModelRules): BackgroundStep[] {
  const { succeededMs, failedMs } = rules.capabilities.retention;
  const keptMs = task.state === 'failed' ? failedMs : succeededMs;
  if (keptMs === null || task.ended === undefined) return [];
  const end = later(task.ended, keptMs);
  return mayHaveCome(end, now) ? [{ kind: 'pruned', result: undefined, certain: hasCome(end, now) }] : [];
}
