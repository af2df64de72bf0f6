import type { Clock } from '@millrace/core';

/** How soon a paused queue is looked at again. */
const closedMs = 500;

/**
 * Queues that were found paused: nothing is fetched from them for a moment, so that what waits in them does not go in
 * circles between RabbitMQ and workers that must not run it.
 */
export class ClosedQueues {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  close(queue: string): void {
    this.#until.set(queue, this.#clock.monotonic() + closedMs);
  }

  /** The queues of a claim that may be asked, and how long until there may be more of them. */
  among(queues: readonly string[]): { readonly open: readonly string[]; readonly changesInMs: number } {
    if (this.#until.size === 0) return { open: queues, changesInMs: Number.POSITIVE_INFINITY };
    const now = this.#clock.monotonic();
    let changesInMs = Number.POSITIVE_INFINITY;
    const open = queues.filter((queue) => {
      const leftMs = (this.#until.get(queue) ?? now) - now;
      if (leftMs > 0) {
        changesInMs = Math.min(changesInMs, leftMs);
        return false;
      }
      this.#until.delete(queue);
      return true;
    });
    return { open, changesInMs };
  }
}
