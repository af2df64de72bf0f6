import { type Clock, systemClock, type TimerHandle } from '../clock.ts';
import { AbortedError } from '../errors.ts';

/** Waits, or resolves early with `false` when the signal aborts. */
export function sleep(ms: number, signal?: AbortSignal, clock: Clock = systemClock): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const onAbort = (): void => {
      clock.clearTimer(timer);
      resolve(false);
    };
    // Somebody waits for this: the process must not end before it does.
    const timer = clock.setTimer(
      () => {
        signal?.removeEventListener('abort', onAbort);
        resolve(true);
      },
      ms,
      { keepAlive: true },
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** A process that was busy until the time was over may have the answer already, unread: it is read first. */
const afterReading: (giveUp: () => void) => void = setImmediate;

/**
 * Settles like `work`, or rejects with `late()` once `ms` are over. `work` is not stopped: the caller must give up
 * the connection it runs on, because its answer can no longer be told apart from the next one's.
 */
export function withDeadline<T>(
  work: Promise<T>,
  ms: number,
  late: () => Error,
  clock: Clock = systemClock,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(() => afterReading(() => reject(late())), ms, { keepAlive: true });
    work.then(
      (value) => {
        clock.clearTimer(timer);
        resolve(value);
      },
      (error: unknown) => {
        clock.clearTimer(timer);
        reject(error);
      },
    );
  });
}

interface Watched {
  readonly until: number;
  readonly expire: () => void;
}

/**
 * `withDeadline` for an adapter's every call: one timer watches them all, where a timer for each call would cost a
 * lone call a tenth of its time. It does not keep the process alive; the connection waited for does.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #watched = new Set<Watched>();
  #timer: TimerHandle | undefined;
  #firesAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Settles like `work`, or rejects with `late()` once `ms` are over. `work` is not stopped; see `withDeadline`. */
  within<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
    return this.run((resolve, reject) => void work.then(resolve, reject), ms, late);
  }

  /** The same for work that calls back: a promise less. */
  run<T>(
    begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
    ms: number,
    late: () => Error,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const watched: Watched = { until: this.#clock.monotonic() + ms, expire: () => reject(late()) };
      this.#watched.add(watched);
      if (watched.until < this.#firesAt) this.#arm(watched.until);
      begin(
        (value) => {
          this.#watched.delete(watched);
          resolve(value);
        },
        (error) => {
          this.#watched.delete(watched);
          reject(error);
        },
      );
    });
  }

  #arm(until: number): void {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer);
    this.#firesAt = until;
    this.#timer = this.#clock.setTimer(() => this.#fire(), Math.max(0, until - this.#clock.monotonic()));
  }

  #fire(): void {
    this.#timer = undefined;
    this.#firesAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const watched of this.#watched) {
      if (watched.until <= now) {
        this.#watched.delete(watched);
        afterReading(watched.expire);
      } else {
        next = Math.min(next, watched.until);
      }
    }
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
  }
}

/** Throws an `AbortedError` if the caller's signal is aborted already: the call then has no effect. */
export function throwIfAborted(signal: AbortSignal | undefined, op: string): void {
  if (signal?.aborted === true) {
    throw new AbortedError('caller', `${op} was aborted before it began`, { op, cause: signal.reason });
  }
}

/** Delay before the n-th reconnection (from 1): doubles from 50 ms to 5 s, with full jitter above half. */
export function reconnectDelay(attempt: number, random: number = Math.random()): number {
  const ceiling = Math.min(5_000, 50 * 2 ** Math.min(attempt - 1, 10));
  return ceiling / 2 + (ceiling / 2) * random;
}
