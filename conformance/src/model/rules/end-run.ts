import { isTerminal, settledState, type TaskOperation, taskListLimits } from '@millrace/core';
import type { Due, Instant } from '../instant.ts';
import type { ModelError, ModelTask } from '../state.ts';

/** How a run ends. */
export interface RunEnd {
  readonly operation: TaskOperation;
  /** When it is due again. Absent: that stays as it is. */
  readonly due?: Due;
  readonly error?: ModelError;
  readonly output?: string;
}

const uncharged: ReadonlySet<TaskOperation> = new Set(['release', 'snooze', 'settlePause']);

/** Where the end of a run leads, a stop that was asked for meanwhile included. `undefined` when the record is gone. */
export function endRun(task: ModelTask, end: RunEnd, now: Instant): ModelTask | undefined {
  const to = settledState(end.operation, task.requested);
  if (to === undefined || to === 'request' || to === 'kept' || to === 'removing') {
    throw new TypeError(`${end.operation} does not end a run`);
  }
  if (to === 'gone') return undefined;
  const ended = isTerminal(to);
  return {
    ...task,
    state: to === 'scheduled' ? 'pending' : to,
    holder: undefined,
    requested: undefined,
    attempt: uncharged.has(end.operation) ? task.attempt - 1 : task.attempt,
    due: end.due ?? task.due,
    errors: end.error === undefined ? task.errors : [...task.errors, end.error].slice(-taskListLimits.errors),
    keyHeld: task.keyHeld && !ended,
    ended: ended ? now : undefined,
    output: to === 'succeeded' ? end.output : task.output,
    failure: to === 'failed' ? (end.error?.kind ?? 'error') : undefined,
  };
}
