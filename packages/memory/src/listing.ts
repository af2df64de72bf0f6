import { type TaskFilter, type TaskPage, ValidationError } from '@millrace/core';
import type { StoreState } from './store.ts';
import { type StoredTask, stateOf } from './stored-task.ts';
import { recordOf } from './task-record.ts';

/** One page, newest first. The cursor is the sequence of its last task: what comes or goes meanwhile moves nothing. */
export function listTasks(store: StoreState, filter: TaskFilter, limit: number, cursor: string | undefined): TaskPage {
  const now = store.now();
  const found: StoredTask[] = [];
  for (const task of matching(store, filter, now, cursor === undefined ? undefined : readCursor(cursor))) {
    if (found.length === limit) {
      // One more than asked for: there is a next page.
      return { tasks: found.map((each) => recordOf(each, now)), cursor: writeCursor(found.at(-1)) };
    }
    found.push(task);
  }
  return { tasks: found.map((task) => recordOf(task, now)) };
}

/** How many tasks a filter matches. */
export function countTasks(store: StoreState, filter: TaskFilter): number {
  let count = 0;
  for (const _task of matching(store, filter, store.now())) count += 1;
  return count;
}

function* matching(store: StoreState, filter: TaskFilter, now: number, below?: number): Generator<StoredTask> {
  for (const task of candidates(store, filter, below)) if (matches(task, filter, now)) yield task;
}

function* candidates(store: StoreState, filter: TaskFilter, below: number | undefined): Generator<StoredTask> {
  if (filter.ids === undefined) {
    yield* store.created.backwards(below);
    return;
  }
  const named = [...new Set(filter.ids)].map((id) => store.find(id)).filter((task) => task !== undefined);
  named.sort((first, second) => second.sequence - first.sequence);
  yield* below === undefined ? named : named.filter((task) => task.sequence < below);
}

function matches(task: StoredTask, filter: TaskFilter, now: number): boolean {
  return (
    task.pendingIn === undefined &&
    (filter.queues === undefined || filter.queues.includes(task.queue)) &&
    (filter.names === undefined || filter.names.includes(task.name)) &&
    (filter.states === undefined || filter.states.includes(stateOf(task, now))) &&
    (filter.owner === undefined || filter.owner === task.owner) &&
    (filter.group === undefined || filter.group === task.group) &&
    (filter.key === undefined || filter.key === task.key)
  );
}

function writeCursor(task: StoredTask | undefined): string {
  return String(task?.sequence ?? 0);
}

function readCursor(cursor: string): number {
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new ValidationError('cursor must be one that a listing returned', { option: 'cursor', op: 'tasks.list' });
}
