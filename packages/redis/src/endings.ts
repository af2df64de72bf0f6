import { EndWatch, type EndWatchSettings } from '@millrace/core/adapter';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { Locator } from './locator.ts';
import type { Notifier } from './notify.ts';

/** What waiting for ends works with. */
export interface EndingsSettings extends EndWatchSettings {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly locator: Locator;
  readonly notifier: Notifier;
}

/** Lets callers sleep until tasks end. Told by the scripts that end them, while somebody waits; else polled. */
export class Endings {
  readonly #settings: EndingsSettings;
  readonly #watch: EndWatch;

  constructor(settings: EndingsSettings) {
    this.#settings = settings;
    this.#watch = new EndWatch(settings);
  }

  /** Tasks that ended, or all of them. */
  tell(taskIds: readonly string[] | undefined): void {
    this.#watch.tell(taskIds);
  }

  /** Resolves when none of the tasks is on its way any more, when the time is over, or when a signal aborts. */
  async wait(ids: readonly string[], waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { pollMs, notifier } = this.#settings;
    await this.#watch.wait(ids, { waitMs, signal }, async (wanted) => {
      const { onTheirWay, queues } = await this.#findOpen(wanted, waitMs > 0 ? 5 * pollMs : 0);
      const hears = notifier.hearsOfEnds(queues);
      return { open: onTheirWay, listen: hears ? undefined : () => notifier.listenForEnds(queues) };
    });
  }

  async #findOpen(
    ids: readonly string[],
    interestMs: number,
  ): Promise<{ readonly onTheirWay: readonly string[]; readonly queues: readonly string[] }> {
    const { connection, keys, locator } = this.#settings;
    const queues = new Set<string>();
    const call = { op: 'tasks.wait', writes: false };
    const found = await locator.ask(ids, 'tasks.wait', async (queue, wanted) => {
      const args = [String(interestMs), ...wanted];
      const answers = (await connection.run('watchTasks', keys.queue(queue), args, call)) as number[];
      if (answers.includes(1)) queues.add(queue);
      return answers.map((answer) => (answer === 2 ? undefined : answer === 1));
    });
    return { onTheirWay: ids.filter((id) => found.get(id) === true), queues: [...queues] };
  }
}
