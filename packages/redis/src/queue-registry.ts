import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';

/** Which queues there are. A queue is written down before its first task, so none is ever overlooked. */
export class QueueRegistry {
  readonly #connection: RedisConnection;
  readonly #keys: Keys;
  readonly #known = new Set<string>();

  constructor(connection: RedisConnection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** The ones this process has heard of. */
  get known(): readonly string[] {
    return [...this.#known];
  }

  /** Writes queues down that were not yet; `anew` in any case. */
  async add(queues: Iterable<string>, op: string, anew = false): Promise<void> {
    const missing = [...queues].filter((queue) => anew || !this.#known.has(queue));
    if (missing.length === 0) return;
    await this.#connection.command('sadd', [this.#keys.queues, ...missing], { op, harmless: true });
    for (const queue of missing) this.#known.add(queue);
  }

  /** Asks for all of them. */
  async read(op: string): Promise<readonly string[]> {
    const queues = (await this.#connection.command('smembers', [this.#keys.queues], { op, writes: false })) as string[];
    for (const queue of queues) this.#known.add(queue);
    return queues;
  }
}
