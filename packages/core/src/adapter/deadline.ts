import { type Clock, systemClock } from '../clock.ts';
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
    const timer = clock.setTimer(() => reject(late()), ms, { keepAlive: true });
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
