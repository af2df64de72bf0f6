import { isTerminal, settledState, type TaskFailure, type TaskOperation, taskListLimits } from '@millrace/core';
import type { StoreState } from './store.ts';
import type { StoredTask } from './stored-task.ts';

/** How a run ends: by its holder, or because the holder is gone. */
export interface RunEnd {
  readonly operation: TaskOperation;
  readonly delayMs?: number;
  readonly failure?: TaskFailure;
  readonly output?: string;
}

/** Operations that give the attempt back: the handler did not use it up. */
const uncharged: ReadonlySet<TaskOperation> = new Set(['release', 'snooze', 'settlePause']);

/** The last instant a JavaScript date knows; a later due time stays there. */
const furthestInstant = 8_640_000_000_000_000;

/** Takes a running task from its holder to where the operation, and a stop that was asked for, lead it. */
export function endRun(store: StoreState, task: StoredTask, end: RunEnd): void {
  const to = settledState(end.operation, task.requested);
  if (to === undefined || to === 'request' || to === 'kept') {
    throw new TypeError(`${end.operation} does not end a run`);
  }
  if (to === 'gone') {
    store.remove(task);
    return;
  }
  const now = store.now();
  store.change(task, () => {
    task.state = to === 'scheduled' ? 'pending' : to;
    task.holder = undefined;
    task.requested = undefined;
    if (uncharged.has(end.operation)) task.attempt -= 1;
    if (end.delayMs !== undefined) task.runAt = Math.min(now + end.delayMs, furthestInstant);
    if (end.failure !== undefined) appendError(task, end.failure, now);
    if (isTerminal(to)) task.finishedAt = now;
    if (to === 'succeeded') task.output = end.output;
    if (to === 'failed') task.failure = end.failure?.kind ?? 'error';
  });
}

/** Adds to the task's history, which keeps the latest entries only. */
export function appendError(task: StoredTask, failure: TaskFailure, at: number): void {
  task.errors = [...task.errors, { ...failure, attempt: task.attempt, at }].slice(-taskListLimits.errors);
}
