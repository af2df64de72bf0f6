import type { Capabilities, QueueStats, QueueStore } from '@millrace/core';
import { checkName, doneInPart } from '@millrace/core/adapter';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { QueueRegistry } from './queue-registry.ts';

/** What a queue store needs of the broker it belongs to. */
export interface QueueStoreOwner {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly registry: QueueRegistry;
  readonly requireOpen: (op: string) => Capabilities;
  /** A queue in which something may be due now. */
  readonly onWork: (queue: string) => void;
}

/** Most tasks removed by one script. */
const mostInScript = 250;

/** Administration of queues. */
export class RedisQueueStore implements QueueStore {
  readonly #owner: QueueStoreOwner;

  constructor(owner: QueueStoreOwner) {
    this.#owner = owner;
  }

  async stats(queues?: readonly string[]): Promise<QueueStats[]> {
    const { registry, requireOpen } = this.#owner;
    requireOpen('queues.stats');
    const wanted = queues ?? (await registry.read('queues.stats'));
    return Promise.all(wanted.map((queue) => this.#statsOf(queue)));
  }

  async pause(queue: string): Promise<void> {
    this.#owner.requireOpen('queues.pause');
    await this.#setPaused('pause', checkName(queue, 'queue'));
  }

  async resume(queue: string): Promise<void> {
    this.#owner.requireOpen('queues.resume');
    await this.#setPaused('resume', checkName(queue, 'queue'));
    this.#owner.onWork(queue);
  }

  async purge(queue: string): Promise<number> {
    const { connection, keys, requireOpen } = this.#owner;
    requireOpen('queues.purge');
    const queueKey = keys.queue(checkName(queue, 'queue'));
    const call = { op: 'queues.purge', durable: true };
    for (let purged = 0; ; ) {
      const reply = await connection.run('purgeQueue', queueKey, [String(mostInScript)], call).catch((error) => {
        throw purged === 0 ? error : doneInPart(error, call.op);
      });
      const [removed, more] = reply as [number, number];
      purged += removed;
      if (more === 0) return purged;
    }
  }

  async #statsOf(queue: string): Promise<QueueStats> {
    const { connection, keys } = this.#owner;
    const reply = await connection.run('queueStats', keys.queue(queue), [], { op: 'queues.stats', writes: false });
    const [paused, pending, scheduled, retrying, running, pausedTasks, oldestPendingMs] = reply as [
      ...[number, number, number, number, number, number, number],
    ];
    const counts = { pending, scheduled, retrying, running, pausedTasks };
    return { queue, paused: paused === 1, ...counts, ...(oldestPendingMs >= 0 && { oldestPendingMs }) };
  }

  async #setPaused(what: 'pause' | 'resume', queue: string): Promise<void> {
    const { connection, keys, registry } = this.#owner;
    const op = `queues.${what}`;
    await registry.add([queue], op);
    await connection.run('pauseQueue', keys.queue(queue), [what], { op, harmless: true, durable: true });
  }
}
