import { type MaintenanceBudget, type MaintenanceReport, type TaskFailure, transition } from '@millrace/core';
import { appendError, endRun } from './end-run.ts';
import type { Retention } from './options.ts';
import type { StoreState } from './store.ts';
import { isExpired, type StoredTask, stateOf } from './stored-task.ts';

/** One round: takes tasks back from silent sessions, ends expired tasks, removes old ones. */
export function maintainStore(store: StoreState, budget: MaintenanceBudget, retention: Retention): MaintenanceReport {
  const reclaimed = spend(
    budget.maxTasks,
    () => findAbandoned(store),
    (task) => takeBack(store, task),
  );
  const expired = spend(
    budget.maxTasks,
    () => findExpired(store),
    (task) => expire(store, task),
  );
  const pruned = spend(
    budget.maxTasks,
    () => findOutdated(store, retention),
    (task) => store.remove(task),
  );
  return {
    reclaimed: reclaimed.done,
    expired: expired.done,
    pruned: pruned.done,
    more: reclaimed.more || expired.more || pruned.more,
  };
}

function spend(
  maxTasks: number,
  find: () => StoredTask | undefined,
  act: (task: StoredTask) => void,
): { readonly done: number; readonly more: boolean } {
  let done = 0;
  for (let task = find(); task !== undefined; task = find()) {
    if (done === maxTasks) return { done, more: true };
    act(task);
    done += 1;
  }
  return { done, more: false };
}

/** A task whose session was silent for too long. Forgets sessions of which nothing is left. */
function findAbandoned(store: StoreState): StoredTask | undefined {
  const now = store.clock.monotonic();
  for (const session of store.sessions.values()) {
    if (session.silentUntil > now) continue;
    const [task] = session.held;
    if (task !== undefined) return task;
    store.sessions.delete(session.id);
  }
  return undefined;
}

/**
 * A lost run counts as an attempt, because a task that kills its worker must not run for ever (RTY-06). The exception
 * is the last attempt of a task that was claimed ahead and never begun: it would die without having run (LSE-16).
 */
function takeBack(store: StoreState, task: StoredTask): void {
  if (task.attempt >= task.maxAttempts && !task.begun) {
    endRun(store, task, { operation: 'release' });
    return;
  }
  const failure: TaskFailure = {
    kind: 'lost',
    name: 'LeaseLostError',
    message: 'the worker fell silent while it ran the task',
    ...(task.holder !== undefined && { worker: task.holder.instance }),
  };
  if (task.attempt < task.maxAttempts) endRun(store, task, { operation: 'lose', delayMs: 0, failure });
  else endRun(store, task, { operation: 'fail', failure });
}

function findExpired(store: StoreState): StoredTask | undefined {
  const task = store.expiring.peek();
  return task !== undefined && isExpired(task, store.now()) ? task : undefined;
}

function expire(store: StoreState, task: StoredTask): void {
  const now = store.now();
  if (transition(stateOf(task, now), 'expire') !== 'failed') throw new TypeError(`a ${task.state} task cannot expire`);
  store.change(task, () => {
    task.state = 'failed';
    task.failure = 'expired';
    task.finishedAt = now;
    appendError(task, { kind: 'expired', name: 'ExpiredError', message: 'it was not started in time' }, now);
  });
}

function findOutdated(store: StoreState, retention: Retention): StoredTask | undefined {
  return findOlder(store, 'succeeded', retention.succeededMs) ?? findOlder(store, 'failed', retention.failedMs);
}

function findOlder(store: StoreState, kind: 'succeeded' | 'failed', keptMs: number | null): StoredTask | undefined {
  const oldest = store.finished[kind].peek();
  if (keptMs === null || oldest?.finishedAt === undefined) return undefined;
  return oldest.finishedAt + keptMs <= store.now() ? oldest : undefined;
}
