import { type Clock, systemClock } from '../clock.ts';

interface Waiter {
  readonly queues: ReadonlySet<string>;
  readonly wake: () => void;
}

/**
 * Lets long polls sleep until somebody says a queue may have work. A wake-up is a hint: a waiter polls again and may
 * find nothing; missing one costs at most the polling interval.
 */
export class Wakeups {
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Whether anybody sleeps. */
  get hasWaiters(): boolean {
    return this.#waiters.size > 0;
  }

  /** Wakes everybody waiting for the queue, or everybody. */
  wake(queue?: string): void {
    for (const waiter of this.#waiters) {
      if (queue === undefined || waiter.queues.has(queue)) waiter.wake();
    }
  }

  /**
   * Starts to listen before the caller looks for work, so that a wake-up between looking and sleeping is not lost
   * (T8). Call `sleep` to wait, and always `close`.
   */
  listen(queues: readonly string[]): WakeupListener {
    let woken = false;
    let resume: (() => void) | undefined;
    const waiter: Waiter = {
      queues: new Set(queues),
      wake: () => {
        woken = true;
        resume?.();
      },
    };
    this.#waiters.add(waiter);
    return {
      wake: waiter.wake,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (woken || signal?.aborted === true) {
            woken = false;
            resolve();
            return;
          }
          const done = (): void => {
            this.#clock.clearTimer(timer);
            signal?.removeEventListener('abort', done);
            resume = undefined;
            woken = false;
            resolve();
          };
          const timer = this.#clock.setTimer(done, ms);
          signal?.addEventListener('abort', done, { once: true });
          resume = done;
        }),
      close: () => {
        this.#waiters.delete(waiter);
      },
    };
  }
}

/** One sleeper. */
export interface WakeupListener {
  /** Wakes this one alone. */
  wake(): void;
  /** Resolves on a wake-up since `listen` or the last sleep, after `ms`, or when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  close(): void;
}
