import type { Lease } from '@millrace/core';
import type { Held } from './held.ts';
import type { TaskMessage } from './message.ts';

/** What a process remembers of ended runs: at least so many, at most twice that. */
const mostRemembered = 10_000;
/** An enqueue whose answer was lost is sent again within this; later it is somebody who wants the task once more. */
const resendMs = 30_000;

interface Ended {
  readonly fence: number;
  readonly createdAt: number;
}

/**
 * What this process has in hand and has ended lately. A message may be there twice: an enqueue or a retry whose answer
 * was lost is sent again, and a lost acknowledgement brings back what has moved on. Where one process sees both copies,
 * the older one is dropped. RabbitMQ cannot tell across processes; a store could.
 */
export class Memory {
  readonly #held = new Map<string, Held>();
  /** Further copies of tasks that are held. */
  readonly #twins = new Set<Held>();
  #ended = new Map<string, Ended>();
  #endedBefore = new Map<string, Ended>();

  /** Whether a task is a copy of one that is in hand, or of a run that has ended. */
  isCopy({ message, lease }: Held): boolean {
    for (const twin of this.#copiesOf(message.id)) {
      if (twin.lease.fence >= lease.fence && isSameTask(twin.message, message)) return true;
    }
    const ended = this.#ended.get(message.id) ?? this.#endedBefore.get(message.id);
    return ended !== undefined && message.fence < ended.fence && isSameTask(ended, message);
  }

  hold(held: Held): void {
    if (this.#held.has(held.message.id)) this.#twins.add(held);
    else this.#held.set(held.message.id, held);
  }

  letGo(held: Held): void {
    if (this.#twins.delete(held) || this.#held.get(held.message.id) !== held) return;
    this.#held.delete(held.message.id);
    for (const twin of this.#twins) {
      if (twin.message.id !== held.message.id) continue;
      this.#twins.delete(twin);
      this.#held.set(twin.message.id, twin);
      return;
    }
  }

  /** What a lease stands for, if it still stands. */
  find(lease: Lease): Held | undefined {
    for (const held of this.#copiesOf(lease.taskId)) {
      const { fence, attempt, sessionId } = held.lease;
      if (fence !== lease.fence || attempt !== lease.attempt || sessionId !== lease.sessionId) continue;
      if (!held.settling) return held;
    }
    return undefined;
  }

  /** Everything a session holds. */
  ofSession(sessionId: string): Held[] {
    return [...this.#held.values(), ...this.#twins].filter(({ lease }) => lease.sessionId === sessionId);
  }

  /** The run of this lease is over, and so is every copy from before it. */
  end({ message, lease }: Held): void {
    if (this.#ended.size >= mostRemembered) {
      this.#endedBefore = this.#ended;
      this.#ended = new Map();
    }
    this.#ended.set(message.id, { fence: lease.fence, createdAt: message.createdAt });
  }

  #copiesOf(id: string): readonly Held[] {
    const first = this.#held.get(id);
    if (first === undefined) return none;
    if (this.#twins.size === 0) return [first];
    return [first, ...[...this.#twins].filter((twin) => twin.message.id === id)];
  }
}

const none: readonly Held[] = [];

function isSameTask(one: Pick<TaskMessage, 'createdAt'>, other: Pick<TaskMessage, 'createdAt'>): boolean {
  return Math.abs(one.createdAt - other.createdAt) <= resendMs;
}
