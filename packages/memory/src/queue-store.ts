import { type Capabilities, isTerminal, type QueueStats, type QueueStore, transition } from '@millrace/core';
import { checkName } from '@millrace/core/adapter';
import type { StoreState } from './store.ts';
import { type StoredTask, stateOf } from './stored-task.ts';

type Counts = { -readonly [K in keyof QueueStats]: QueueStats[K] } & Required<
  Pick<QueueStats, 'pending' | 'scheduled' | 'retrying' | 'running' | 'pausedTasks'>
>;

/** Administration of the queues of a store. */
export class MemoryQueueStore implements QueueStore {
  readonly #store: StoreState;
  readonly #requireOpen: (op: string) => Capabilities;

  constructor(store: StoreState, requireOpen: (op: string) => Capabilities) {
    this.#store = store;
    this.#requireOpen = requireOpen;
  }

  async stats(queues?: readonly string[]): Promise<QueueStats[]> {
    this.#requireOpen('queues.stats');
    const now = this.#store.now();
    const stats = new Map<string, Counts>();
    for (const queue of queues ?? this.#store.queues) stats.set(queue, this.#emptyCounts(queue));
    for (const task of this.#store.created.backwards()) {
      const counts = task.pendingIn === undefined ? stats.get(task.queue) : undefined;
      if (counts !== undefined) addTo(counts, task, now);
    }
    return [...stats.values()];
  }

  async pause(queue: string): Promise<void> {
    this.#requireOpen('queues.pause');
    this.#store.pausedQueues.add(checkName(queue, 'queue'));
    this.#store.queues.add(queue);
  }

  async resume(queue: string): Promise<void> {
    this.#requireOpen('queues.resume');
    this.#store.pausedQueues.delete(checkName(queue, 'queue'));
    this.#store.wakeups.wake(queue);
  }

  async purge(queue: string): Promise<number> {
    this.#requireOpen('queues.purge');
    const now = this.#store.now();
    const waiting = [...this.#store.created.backwards()].filter(
      (task) => task.queue === queue && task.pendingIn === undefined && isPurged(task, now),
    );
    for (const task of waiting) this.#store.remove(task);
    return waiting.length;
  }

  #emptyCounts(queue: string): Counts {
    const paused = this.#store.pausedQueues.has(queue);
    return { queue, paused, pending: 0, scheduled: 0, retrying: 0, running: 0, pausedTasks: 0 };
  }
}

function isPurged(task: StoredTask, now: number): boolean {
  return !isTerminal(task.state) && transition(stateOf(task, now), 'remove') === 'gone';
}

function addTo(counts: Counts, task: StoredTask, now: number): void {
  const state = stateOf(task, now);
  if (state === 'paused') counts.pausedTasks += 1;
  else if (state === 'pending' || state === 'scheduled' || state === 'retrying' || state === 'running')
    counts[state] += 1;
  const isDue = (state === 'pending' || state === 'retrying') && task.runAt <= now;
  if (isDue) counts.oldestPendingMs = Math.max(counts.oldestPendingMs ?? 0, now - task.runAt);
}
