import type { ClaimRequest, Clock } from '@millrace/core';
import type { Held } from './held.ts';

/** A claim under way: what it wants, and what it has got so far. */
export class Waiter {
  readonly request: ClaimRequest;
  readonly got: Held[] = [];
  readonly #clock: Clock;
  readonly #queues: ReadonlySet<string>;
  readonly #names: ReadonlySet<string>;
  #woken = false;
  #resume: (() => void) | undefined;

  constructor(request: ClaimRequest, clock: Clock) {
    this.request = request;
    this.#clock = clock;
    this.#queues = new Set(request.queues);
    this.#names = new Set(request.names);
  }

  get room(): number {
    return this.request.limit - this.got.length;
  }

  get isFull(): boolean {
    return this.room <= 0;
  }

  wants(queue: string, name: string): boolean {
    return !this.isFull && this.#queues.has(queue) && this.#names.has(name);
  }

  give(held: Held): void {
    this.got.push(held);
    this.wake();
  }

  wake(): void {
    this.#woken = true;
    this.#resume?.();
  }

  /** Resolves when something came since the last sleep, or is to be looked at, or the time is over. */
  sleep(ms: number): Promise<void> {
    const { signal } = this.request;
    return new Promise((resolve) => {
      if (this.#woken || signal?.aborted === true) {
        this.#woken = false;
        resolve();
        return;
      }
      const done = (): void => {
        this.#clock.clearTimer(timer);
        signal?.removeEventListener('abort', done);
        this.#resume = undefined;
        this.#woken = false;
        resolve();
      };
      const timer = this.#clock.setTimer(done, ms);
      signal?.addEventListener('abort', done, { once: true });
      this.#resume = done;
    });
  }
}
