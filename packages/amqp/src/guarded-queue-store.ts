import { type Guard, type QueueStats, type QueueStore, UnsupportedError } from '@millrace/core';

/**
 * Queues as the guard sees them. With mode `needed` it sees some of the tasks only: what waits is then counted at
 * RabbitMQ, and what would have to stop or remove every task of a queue is refused.
 */
export class GuardedQueueStore implements QueueStore {
  readonly #mode: Guard['mode'];
  readonly #store: QueueStore;
  readonly #messages: QueueStore;

  constructor(mode: Guard['mode'], store: QueueStore, messages: QueueStore) {
    this.#mode = mode;
    this.#store = store;
    this.#messages = messages;
  }

  async stats(queues?: readonly string[]): Promise<QueueStats[]> {
    if (this.#mode === 'always') return this.#store.stats(queues);
    const [held, ready] = await Promise.all([this.#store.stats(queues), this.#messages.stats(queues)]);
    const names = new Set([...held, ...ready].map(({ queue }) => queue));
    return [...names].map((queue) => {
      const mine = held.find((each) => each.queue === queue);
      const pending = ready.find((each) => each.queue === queue)?.pending;
      return { queue, paused: false, ...mine, ...(pending !== undefined && { pending }) };
    });
  }

  async pause(queue: string): Promise<void> {
    this.#requireAll('queues.pause', 'pausing a queue');
    await this.#store.pause(queue);
  }

  async resume(queue: string): Promise<void> {
    this.#requireAll('queues.pause', 'pausing a queue');
    await this.#store.resume(queue);
  }

  /** Removes the tasks; messages that come without one are dropped. */
  async purge(queue: string): Promise<number> {
    this.#requireAll('queues.purge', 'emptying a queue');
    return this.#store.purge(queue);
  }

  #requireAll(capability: string, what: string): void {
    if (this.#mode === 'always') return;
    throw new UnsupportedError(
      capability,
      `${what} needs a guard that holds every task of it: give the guard mode: 'always'`,
      { adapter: 'amqp' },
    );
  }
}
