import { type ClaimRequest, type ClaimVerdict, type Delivery, isTerminal, transition } from '@millrace/core';
import type { StoreState } from './store.ts';
import type { StoredSession } from './stored-session.ts';
import { isExpired, type StoredTask, stateOf } from './stored-task.ts';
import { deliveryOf } from './task-record.ts';

/** What a claim looks for. */
export type ClaimFilter = Pick<ClaimRequest, 'queues' | 'names' | 'limit'>;

/** Gives the session what it may run now, in the order of the contract. Does not wait. */
export function claimTasks(store: StoreState, session: StoredSession, filter: ClaimFilter): Delivery[] {
  const now = store.now();
  const queues = openQueues(store, filter);
  const deliveries: Delivery[] = [];
  while (deliveries.length < filter.limit) {
    const task = store.order.take(queues, filter.names, now);
    if (task === undefined) break;
    // An expired task leaves the line here and waits for maintenance, which ends it (STM-11).
    if (isExpired(task, now)) continue;
    if (task.runAt > now) {
      // The clock was set back after the task had become due: never early holds all the same (DLY-01).
      store.order.add(task);
      continue;
    }
    start(store, task, session, now);
    deliveries.push(deliveryOf(task, session.id));
  }
  return deliveries;
}

/** Gives the session one task of which it knows the id, or says why not. */
export function claimById(store: StoreState, session: StoredSession, id: string): ClaimVerdict {
  const now = store.now();
  const task = store.find(id);
  if (task === undefined) return { status: 'gone' };
  // Nobody may start what a transaction is about to replace; it is free when that ends.
  if (task.state === 'running' || task.lockedBy !== undefined) return { status: 'held' };
  if (isTerminal(task.state) || isExpired(task, now)) return { status: 'ended' };
  if (task.state === 'paused') return { status: 'paused' };
  // When it is due is said also while its queue is paused: who brings it need not try before.
  if (task.runAt > now) return { status: 'early', dueInMs: task.runAt - now };
  if (store.pausedQueues.has(task.queue)) return { status: 'queue-paused' };
  start(store, task, session, now);
  return { status: 'claimed', delivery: deliveryOf(task, session.id) };
}

/** How long until a claim that found nothing may find something without anybody saying so. */
export function msUntilNextDue(store: StoreState, filter: ClaimFilter): number {
  const dueAt = store.order.nextDueAt(openQueues(store, filter), filter.names);
  return dueAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, dueAt - store.now());
}

/** Whether a claim would find something now. */
export function hasDueTask(store: StoreState, filter: Pick<ClaimFilter, 'queues' | 'names'>): boolean {
  return store.order.hasDue(openQueues(store, filter), filter.names, store.now());
}

function openQueues(store: StoreState, filter: Pick<ClaimFilter, 'queues'>): readonly string[] {
  return filter.queues.filter((queue) => !store.pausedQueues.has(queue));
}

function start(store: StoreState, task: StoredTask, session: StoredSession, now: number): void {
  if (transition(stateOf(task, now), 'claim') !== 'running') throw new TypeError(`a ${task.state} task was in line`);
  store.change(task, () => {
    task.state = 'running';
    task.attempt += 1;
    task.fence += 1;
    task.startedAt = now;
    task.worker = session.worker;
    task.holder = session;
    task.begun = false;
    task.requested = undefined;
    if (task.keyUntil === 'started') task.keyHeld = false;
  });
}
