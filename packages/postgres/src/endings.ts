import { EndWatch, type EndWatchSettings } from '@millrace/core/adapter';
import { textArray } from './array-literal.ts';
import type { Database } from './connection.ts';
import type { Notifier } from './notify.ts';
import type { Statements } from './statements.ts';

/** What waiting for ends works with. */
export interface EndingsSettings extends EndWatchSettings {
  readonly database: Database;
  readonly statements: Statements;
  readonly notifier: Notifier;
  /** Whether other processes can tell us of ends. */
  readonly canListen: () => boolean;
}

/** Lets callers sleep until tasks end. Told by this process at once, by others while somebody waits; else polled. */
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
    const { notifier, canListen } = this.#settings;
    await this.#watch.wait(ids, { waitMs, signal }, async (open) => {
      if (waitMs > 0 && canListen()) {
        notifier.listen();
        notifier.askForEnded();
      }
      return { open: await this.#findOpen(open) };
    });
  }

  async #findOpen(ids: readonly string[]): Promise<readonly string[]> {
    const { database, statements } = this.#settings;
    const rows = await database.query(statements.findWaitingOn, [textArray(ids)], { op: 'tasks.wait', writes: false });
    return rows.map(([id]) => String(id));
  }
}
