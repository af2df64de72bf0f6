import { type ControlOutcome, isTerminal, type StopRequest, transition } from '@millrace/core';
import type { StoreState } from './store.ts';
import { type StoredTask, stateOf } from './stored-task.ts';

/** What a user may do to a task. */
export type ControlOperation = 'cancel' | 'pause' | 'resume' | 'rerun' | 'reschedule' | 'update' | 'remove';

/** Applies one operation to one task, as far as the state machine allows. `effect` is what it changes beside the state. */
export function controlTask(
  store: StoreState,
  id: string,
  operation: ControlOperation,
  effect?: (task: StoredTask, now: number) => void,
): ControlOutcome {
  const task = store.find(id);
  if (task === undefined) return 'not-found';
  const now = store.now();
  const to = transition(stateOf(task, now), operation);
  if (to === undefined) return 'refused';
  if (to === 'request') {
    requestStop(task, operation as StopRequest);
    return 'requested';
  }
  if (to === 'gone') {
    store.remove(task);
    return 'applied';
  }
  store.change(task, () => {
    if (to !== 'kept') task.state = to === 'scheduled' ? 'pending' : to;
    if (isTerminal(task.state)) task.finishedAt = now;
    effect?.(task, now);
  });
  return 'applied';
}

/** Puts an ended task back in line as if it had just been enqueued; its history and its fence stay. */
export function rerunTask(store: StoreState, id: string): ControlOutcome {
  const task = store.find(id);
  // Its unique key is free since it ended; when another task has it by now, two would share it.
  const taken = task?.key !== undefined && store.findByKey(task.queue, task.key) !== undefined;
  if (task !== undefined && taken) return 'refused';
  return controlTask(store, id, 'rerun', resetForRerun);
}

function resetForRerun(task: StoredTask, now: number): void {
  task.attempt = 0;
  task.runAt = now;
  task.keyHeld = task.key !== undefined;
  // An instant that has passed would end it again before it could run.
  if (task.expiresAt !== undefined && task.expiresAt <= now) task.expiresAt = undefined;
  task.checkpoint = undefined;
  task.progress = undefined;
  task.output = undefined;
  task.failure = undefined;
  task.startedAt = undefined;
  task.finishedAt = undefined;
}

const strength: Readonly<Record<StopRequest, number>> = { pause: 1, cancel: 2, remove: 3 };

/** Notes the request and tells the holder. A weaker request never takes the place of a stronger one. */
function requestStop(task: StoredTask, request: StopRequest): void {
  if (task.requested === undefined || strength[request] > strength[task.requested]) task.requested = request;
  task.holder?.tell({ taskId: task.id, fence: task.fence, request: task.requested });
}
