import { type Clock, isTerminal, systemClock, type TaskRecord, transition } from '@millrace/core';
import { checkKnownOptions, Wakeups } from '@millrace/core/adapter';
import { ClaimOrder } from './claim-order.ts';
import { CreationOrder } from './creation-order.ts';
import { Endings } from './endings.ts';
import { Heap } from './heap.ts';
import type { StoredSession } from './stored-session.ts';
import type { StoredTask } from './stored-task.ts';
import { recordOf } from './task-record.ts';

/** Everything in a store, as plain data: evidence for a failed test. */
export interface MemoryDump {
  readonly now: number;
  readonly tasks: readonly TaskRecord[];
  readonly sessions: readonly {
    readonly id: string;
    readonly instance: string;
    readonly held: readonly string[];
    readonly silentInMs: number;
  }[];
  readonly pausedQueues: readonly string[];
}

/** What brokers of one process share: the tasks, and the clock that decides. Made by `createMemoryStore`. */
export interface MemoryStore {
  readonly clock: Clock;
  dump(): MemoryDump;
}

/** A store of its own. Pass it to several `memoryBroker({ store })` to have several clients of the same tasks. */
export function createMemoryStore(options: { readonly clock?: Clock } = {}): MemoryStore {
  checkKnownOptions(options, ['clock'], 'createMemoryStore');
  return new StoreState(options.clock ?? systemClock);
}

/**
 * The state behind the brokers, and the one place that keeps its indexes true: every change of a task goes through
 * `insert`, `change` or `remove`. It knows no rule of the contract; those are in the files of the operations.
 * Nothing here waits, so every operation of the store is atomic.
 */
export class StoreState implements MemoryStore {
  readonly clock: Clock;
  readonly wakeups: Wakeups;
  readonly endings: Endings = new Endings();
  readonly order: ClaimOrder = new ClaimOrder();
  readonly created: CreationOrder = new CreationOrder();
  /** Waiting tasks that must be started in time, the most urgent first. */
  readonly expiring: Heap<StoredTask> = new Heap((first, second) => (first.expiresAt ?? 0) < (second.expiresAt ?? 0));
  /** Ended tasks by the retention that holds for them, the oldest first. */
  readonly finished: { readonly succeeded: Heap<StoredTask>; readonly failed: Heap<StoredTask> } = {
    succeeded: new Heap(finishedEarlier),
    failed: new Heap(finishedEarlier),
  };
  readonly sessions: Map<string, StoredSession> = new Map();
  readonly queues: Set<string> = new Set();
  readonly pausedQueues: Set<string> = new Set();
  readonly #tasks = new Map<string, StoredTask>();
  readonly #keys = new Map<string, StoredTask>();
  #sequence = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.wakeups = new Wakeups(clock);
  }

  now(): number {
    return this.clock.now();
  }

  nextSequence(): number {
    return ++this.#sequence;
  }

  /** The task of that id, unless only an open transaction knows it. */
  find(id: string): StoredTask | undefined {
    const task = this.#tasks.get(id);
    return task?.pendingIn === undefined ? task : undefined;
  }

  /** The task of that id, even if it is not committed. */
  findAny(id: string): StoredTask | undefined {
    return this.#tasks.get(id);
  }

  /** Who has the unique key, even if it is not committed. */
  findByKey(queue: string, key: string): StoredTask | undefined {
    return this.#keys.get(keyIn(queue, key));
  }

  insert(task: StoredTask): void {
    this.#tasks.set(task.id, task);
    this.queues.add(task.queue);
    this.created.append(task);
    this.#admit(task);
  }

  change(task: StoredTask, mutate: () => void): void {
    this.#withdraw(task);
    mutate();
    this.#admit(task);
  }

  remove(task: StoredTask): void {
    this.#withdraw(task);
    this.#tasks.delete(task.id);
    this.created.delete(task);
    this.endings.tell(task.id);
  }

  dump(): MemoryDump {
    const now = this.now();
    return {
      now,
      tasks: [...this.created.backwards()].filter(isVisible).map((task) => recordOf(task, now)),
      sessions: [...this.sessions.values()].map((session) => ({
        id: session.id,
        instance: session.instance,
        held: [...session.held].map((task) => task.id),
        silentInMs: session.silentUntil - this.clock.monotonic(),
      })),
      pausedQueues: [...this.pausedQueues],
    };
  }

  #admit(task: StoredTask): void {
    if (isTerminal(task.state)) task.keyHeld = false;
    if (task.key !== undefined && task.keyHeld) this.#keys.set(keyIn(task.queue, task.key), task);
    if (task.pendingIn !== undefined) return;
    if (transition(task.state, 'claim') !== undefined && task.lockedBy === undefined) {
      this.order.add(task);
      this.wakeups.wake(task.queue);
    }
    if (task.expiresAt !== undefined && transition(task.state, 'expire') !== undefined) this.expiring.add(task);
    if (isTerminal(task.state)) {
      this.#finishedLike(task).add(task);
      this.endings.tell(task.id);
    }
    task.holder?.held.add(task);
  }

  #withdraw(task: StoredTask): void {
    if (task.key !== undefined && task.keyHeld) this.#keys.delete(keyIn(task.queue, task.key));
    this.order.delete(task);
    this.expiring.delete(task);
    this.#finishedLike(task).delete(task);
    task.holder?.held.delete(task);
  }

  #finishedLike(task: StoredTask): Heap<StoredTask> {
    return task.state === 'failed' ? this.finished.failed : this.finished.succeeded;
  }
}

function isVisible(task: StoredTask): boolean {
  return task.pendingIn === undefined;
}

function finishedEarlier(first: StoredTask, second: StoredTask): boolean {
  return (first.finishedAt ?? 0) < (second.finishedAt ?? 0);
}

// Names never hold U+0000, so no two pairs look the same.
function keyIn(queue: string, key: string): string {
  return `${queue}\0${key}`;
}
