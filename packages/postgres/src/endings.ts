import type { Clock } from '@millrace/core';
import { textArray } from './array-literal.ts';
import type { Database } from './connection.ts';
import type { Notifier } from './notify.ts';
import type { Statements } from './statements.ts';

/** What waiting for ends works with. */
export interface EndingsSettings {
  readonly database: Database;
  readonly statements: Statements;
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly pollMs: number;
  /** Aborts when the broker closes. */
  readonly closed: AbortSignal;
  /** Whether other processes can tell us of ends. */
  readonly canListen: () => boolean;
}

/** Most waiters a single task may wake one by one; a hint for all goes to all. */
const firstPollMs = 25;

/** Lets callers sleep until tasks end. Told by this process at once, by others while somebody waits; else polled. */
export class Endings {
  readonly #settings: EndingsSettings;
  readonly #watchers = new Map<string, Set<() => void>>();

  constructor(settings: EndingsSettings) {
    this.#settings = settings;
  }

  /** Tasks that ended, or all of them. */
  tell(taskIds: readonly string[] | undefined): void {
    if (this.#watchers.size === 0) return;
    for (const id of taskIds ?? [...this.#watchers.keys()]) {
      for (const wake of [...(this.#watchers.get(id) ?? [])]) wake();
    }
  }

  /** Resolves when none of the tasks is on its way any more, when the time is over, or when a signal aborts. */
  async wait(ids: readonly string[], waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, pollMs, closed, notifier, canListen } = this.#settings;
    const until = clock.monotonic() + waitMs;
    const nap = new Nap(clock, [closed, ...(signal === undefined ? [] : [signal])]);
    // Watches before it looks: an end in between is not missed (S15).
    const unwatch = this.#watch(ids, nap.end);
    try {
      let open = ids;
      for (let pauseMs = firstPollMs; !nap.stopped; pauseMs = Math.min(pauseMs * 2, pollMs)) {
        if (waitMs > 0 && canListen()) {
          notifier.listen();
          notifier.askForEnded();
        }
        open = await this.#findOpen(open);
        const left = until - clock.monotonic();
        if (open.length === 0 || left <= 0 || nap.stopped) return;
        await nap.take(Math.min(left, pauseMs));
      }
    } finally {
      unwatch();
      nap.close();
    }
  }

  async #findOpen(ids: readonly string[]): Promise<readonly string[]> {
    const { database, statements } = this.#settings;
    const rows = await database.query(statements.findWaitingOn, [textArray(ids)], { op: 'tasks.wait', writes: false });
    return rows.map(([id]) => String(id));
  }

  #watch(ids: readonly string[], wake: () => void): () => void {
    for (const id of ids) {
      const watchers = this.#watchers.get(id) ?? new Set();
      this.#watchers.set(id, watchers);
      watchers.add(wake);
    }
    return () => {
      for (const id of ids) {
        const watchers = this.#watchers.get(id);
        watchers?.delete(wake);
        if (watchers?.size === 0) this.#watchers.delete(id);
      }
    };
  }
}

/** A sleep that ends early, also when its end was called for before it began. */
class Nap {
  readonly #clock: Clock;
  readonly #signals: readonly AbortSignal[];
  #called = false;
  #resume: (() => void) | undefined;
  readonly end = (): void => {
    this.#called = true;
    this.#resume?.();
  };

  constructor(clock: Clock, signals: readonly AbortSignal[]) {
    this.#clock = clock;
    this.#signals = signals;
    for (const signal of signals) signal.addEventListener('abort', this.end, { once: true });
  }

  get stopped(): boolean {
    return this.#signals.some((signal) => signal.aborted);
  }

  take(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#clock.clearTimer(timer);
        this.#resume = undefined;
        this.#called = false;
        resolve();
      };
      // Somebody awaits the answer: the process must not end before it is there.
      const timer = this.#clock.setTimer(done, ms, { keepAlive: true });
      if (this.#called || this.stopped) done();
      else this.#resume = done;
    });
  }

  close(): void {
    for (const signal of this.#signals) signal.removeEventListener('abort', this.end);
  }
}
