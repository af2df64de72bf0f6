import type { Clock } from '@millrace/core';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { Locator } from './locator.ts';
import type { Notifier } from './notify.ts';

/** What waiting for ends works with. */
export interface EndingsSettings {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly locator: Locator;
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly pollMs: number;
  /** Aborts when the broker closes. */
  readonly closed: AbortSignal;
}

const firstPollMs = 25;

/** Lets callers sleep until tasks end. Told by the scripts that end them, while somebody waits; else polled. */
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
    const { clock, pollMs, closed, notifier } = this.#settings;
    const until = clock.monotonic() + waitMs;
    const nap = new Nap(clock, [closed, ...(signal === undefined ? [] : [signal])]);
    // Watches before it looks: an end in between is not missed (S15).
    const unwatch = this.#watch(ids, nap.end);
    try {
      let open = ids;
      for (let pauseMs = firstPollMs; !nap.stopped; pauseMs = Math.min(pauseMs * 2, pollMs)) {
        const { onTheirWay, queues } = await this.#findOpen(open, waitMs > 0 ? 5 * pollMs : 0);
        open = onTheirWay;
        const left = until - clock.monotonic();
        if (open.length === 0 || left <= 0 || nap.stopped) return;
        if (!notifier.hearsOfEnds(queues)) await notifier.listenForEnds(queues);
        else await nap.take(Math.min(left, pauseMs));
      }
    } finally {
      unwatch();
      nap.close();
    }
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
