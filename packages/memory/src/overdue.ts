import type { OverdueRequest, OverdueTask } from '@millrace/core';
import type { StoreState } from './store.ts';
import { isExpired, type StoredTask } from './stored-task.ts';

/** Tasks that wait although they are due, per queue the one that has been due longest first. */
export function overdueTasks(store: StoreState, { dueForMs, limit }: OverdueRequest): OverdueTask[] {
  const now = store.now();
  const waiting = [...store.created.backwards()].filter((task) => waitsSince(store, task, now) >= dueForMs);
  waiting.sort((first, second) => first.runAt - second.runAt || first.sequence - second.sequence);
  const counts = new Map<string, number>();
  const overdue: OverdueTask[] = [];
  for (const { id, name, queue, priority } of waiting) {
    const count = counts.get(queue) ?? 0;
    if (count === limit) continue;
    counts.set(queue, count + 1);
    overdue.push({ id, name, queue, priority });
  }
  return overdue;
}

/** How long a task could have been claimed by now; less than nothing if it cannot be. */
function waitsSince(store: StoreState, task: StoredTask, now: number): number {
  const waits = task.state === 'pending' || task.state === 'retrying';
  const isFree = task.pendingIn === undefined && task.lockedBy === undefined && !store.pausedQueues.has(task.queue);
  return waits && isFree && !isExpired(task, now) ? now - task.runAt : Number.NEGATIVE_INFINITY;
}
