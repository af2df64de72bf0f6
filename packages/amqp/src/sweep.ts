import type { Clock, Guard, OverdueTask, QueueStore } from '@millrace/core';
import type { ThinPublisher } from './thin-publisher.ts';

/** What sweeping needs of the broker. */
export interface SweepOptions {
  readonly guard: Pick<Guard<unknown>, 'overdue'>;
  /** Of RabbitMQ alone. */
  readonly queues: QueueStore;
  readonly publisher: ThinPublisher;
  readonly clock: Clock;
}

/** A message is late, not lost, for this long. */
export const overdueMs = 5_000;
/** One process asks the guard no more often. */
const pauseMs = 5_000;
const mostPerQueue = 1_000;
/** Nothing is ready in its queue, so no message is late: a task is brought again after this long, doubling. */
const firstAgainMs = 5_000;
/** Behind a long line a message may just be late. */
const mostAgainMs = 600_000;
const mostRemembered = 20_000;

/** When a task may be brought again by this process. */
interface Memory {
  readonly notBefore: number;
  readonly againMs: number;
  /** It was left alone because its message may just be late. */
  readonly isLate: boolean;
}

/**
 * Brings tasks that wait although they are due, because their message is gone: its process died between the record and
 * the message, a queue was purged or lost, RabbitMQ was down. A message too many does no harm.
 */
export class Sweep {
  readonly #options: SweepOptions;
  readonly #brought = new Map<string, Memory>();
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** @throws UnavailableError IndeterminateError ClosedError */
  async run(): Promise<void> {
    const { guard, clock, publisher } = this.#options;
    if (clock.monotonic() < this.#notBefore) return;
    this.#notBefore = clock.monotonic() + pauseMs;
    const overdue = await guard.overdue({ dueForMs: overdueMs, limit: mostPerQueue });
    if (overdue.length === 0) return;
    const empty = await this.#emptyQueues(new Set(overdue.map(({ queue }) => queue)));
    const now = clock.monotonic();
    const lost = overdue.filter((task) => this.#mayBring(task, empty.has(task.queue), now));
    for (let start = 0; start < lost.length; start += mostPerQueue) {
      await publisher.publish(lost.slice(start, start + mostPerQueue));
    }
  }

  async #emptyQueues(queues: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    const stats = await this.#options.queues.stats([...queues]);
    return new Set(stats.flatMap(({ queue, pending }) => (pending === 0 ? [queue] : [])));
  }

  /** Notes what it allows. */
  #mayBring({ id }: OverdueTask, isQueueEmpty: boolean, now: number): boolean {
    const known = this.#brought.get(id);
    if (known === undefined && !isQueueEmpty) {
      this.#remember(id, { notBefore: now + mostAgainMs, againMs: firstAgainMs, isLate: true });
      return false;
    }
    const wasLate = known?.isLate === true && isQueueEmpty;
    if (known !== undefined && !wasLate && now < known.notBefore) return false;
    const againMs = isQueueEmpty ? (known?.againMs ?? firstAgainMs) : mostAgainMs;
    this.#remember(id, { notBefore: now + againMs, againMs: Math.min(mostAgainMs, againMs * 2), isLate: false });
    return true;
  }

  #remember(id: string, memory: Memory): void {
    this.#brought.delete(id);
    this.#brought.set(id, memory);
    if (this.#brought.size <= mostRemembered) return;
    const [oldest] = this.#brought.keys();
    if (oldest !== undefined) this.#brought.delete(oldest);
  }
}
