import type { Capabilities, QueueStats, QueueStore } from '@millrace/core';
import { checkName } from '@millrace/core/adapter';
import { explainRefusal } from './errors.ts';
import type { Link } from './link.ts';
import { unsupported } from './settle.ts';
import type { Topology } from './topology.ts';

/** What RabbitMQ knows of queues: how many messages are ready. */
export class AmqpQueueStore implements QueueStore {
  readonly #link: Link;
  readonly #topology: Topology;
  readonly #requireOpen: (op: string) => Capabilities;

  constructor(link: Link, topology: Topology, requireOpen: (op: string) => Capabilities) {
    this.#link = link;
    this.#topology = topology;
    this.#requireOpen = requireOpen;
  }

  async stats(queues?: readonly string[]): Promise<QueueStats[]> {
    this.#requireOpen('queues.stats');
    for (const queue of queues ?? []) checkName(queue, 'queue');
    const all: QueueStats[] = [];
    for (const queue of queues ?? this.#topology.known) {
      all.push({ queue, paused: false, pending: await this.#ready(queue) });
    }
    return all;
  }

  async pause(_queue: string): Promise<void> {
    this.#requireOpen('queues.pause');
    throw unsupported('queues.pause', 'a queue cannot be paused for all workers');
  }

  async resume(_queue: string): Promise<void> {
    this.#requireOpen('queues.resume');
    throw unsupported('queues.pause', 'a queue cannot be paused for all workers');
  }

  async purge(_queue: string): Promise<number> {
    this.#requireOpen('queues.purge');
    throw unsupported('queues.purge', 'delayed tasks of one queue cannot be told apart from those of others');
  }

  async #ready(queue: string): Promise<number> {
    try {
      const name = this.#topology.nameOf(queue);
      return await this.#link.withChannel('queues.stats', async (channel) => {
        const { messageCount } = await channel.checkQueue(name);
        return messageCount;
      });
    } catch (error) {
      // A queue nobody used yet has no tasks.
      if ((error as { code?: unknown }).code === 404) return 0;
      throw explainRefusal('queues.stats', error, `queue '${queue}'`);
    }
  }
}
