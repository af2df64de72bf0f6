import type { Clock } from '../clock.ts';

/** What a look at tasks found. */
export interface EndLook {
  /** Those that are still on their way. */
  readonly open: readonly string[];
  /** Begins to hear of ends. If it is there, another look follows it at once, instead of a sleep. */
  readonly listen?: (() => Promise<void>) | undefined;
}

/** What waiting for ends works with. */
export interface EndWatchSettings {
  readonly clock: Clock;
  /** Longest sleep between two looks. */
  readonly pollMs: number;
  /** Aborts when the broker closes: nobody sleeps any more. */
  readonly closed: AbortSignal;
}

/** The first sleep; each is twice as long as the one before. */
const firstPollMs = 25;

/**
 * Lets callers sleep until tasks end. Being told is a hint: whoever is woken looks again and may find nothing; a missed
 * one costs at most the polling interval.
 */
export class EndWatch {
  readonly #settings: EndWatchSettings;
  readonly #watchers = new Map<string, Set<() => void>>();

  constructor(settings: EndWatchSettings) {
    this.#settings = settings;
  }

  /** Tasks that ended; all of them when none are named. */
  tell(taskIds: readonly string[] | undefined): void {
    if (this.#watchers.size === 0) return;
    for (const id of taskIds ?? [...this.#watchers.keys()]) {
      for (const wake of [...(this.#watchers.get(id) ?? [])]) wake();
    }
  }

  /**
   * Resolves when none of the tasks is on its way any more, when `waitMs` is over, or when a signal aborts. Looks at
   * least once, unless a signal was aborted before.
   */
  async wait(
    ids: readonly string[],
    options: { readonly waitMs: number; readonly signal?: AbortSignal | undefined },
    look: (open: readonly string[]) => Promise<EndLook>,
  ): Promise<void> {
    const { clock, pollMs, closed } = this.#settings;
    const { waitMs, signal } = options;
    const until = clock.monotonic() + waitMs;
    const nap = new Nap(clock, [closed, ...(signal === undefined ? [] : [signal])]);
    // Watches before it looks: an end in between is not missed (S15).
    const unwatch = this.#watch(ids, nap.end);
    try {
      let open = ids;
      for (let pauseMs = firstPollMs; !nap.stopped; pauseMs = Math.min(pauseMs * 2, pollMs)) {
        const found = await look(open);
        open = found.open;
        const left = until - clock.monotonic();
        if (open.length === 0 || left <= 0 || nap.stopped) return;
        if (found.listen === undefined) await nap.take(Math.min(left, pauseMs));
        else await found.listen();
      }
    } finally {
      unwatch();
      nap.close();
    }
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
