import { type Clock, systemClock } from '@millrace/core';
import type { VirtualClock } from '../harness.ts';

/** Raised when something that must happen did not happen in time. A failure of the broker, not of the suite. */
export class BudgetExceededError extends Error {
  constructor(what: string, ms: number, unitMs: number) {
    super(`${what} did not happen within ${Math.round(ms)} ms (unit ${Math.round(unitMs)} ms)`);
    this.name = 'BudgetExceededError';
  }
}

/** How time passes in a scenario. */
export type TimeKind = 'virtual' | 'travel' | 'wall';

/** Longer waits are travelled where the backend can. Shorter ones are real: sessions have to beat meanwhile. */
const longestWaitMs = 30_000;

/** What a tempo is made of. */
export interface TempoOptions {
  readonly virtual: VirtualClock | undefined;
  readonly travel: ((ms: number) => Promise<void>) | undefined;
  readonly unitMs: number;
  readonly budgetMs: number;
}

/**
 * Time of one scenario. Everything that may take time goes through it: on a virtual clock it makes time pass while it
 * waits; in real time it bounds the wait by a budget that was calibrated on this machine and broker.
 */
export class Tempo {
  readonly unitMs: number;
  readonly budgetMs: number;
  /** The clock under all clients of the namespace. */
  readonly clock: Clock;
  readonly #virtual: VirtualClock | undefined;
  readonly #travel: ((ms: number) => Promise<void>) | undefined;
  #travelled = false;

  constructor(options: TempoOptions) {
    this.#virtual = options.virtual;
    this.#travel = options.travel;
    this.unitMs = options.unitMs;
    this.budgetMs = options.budgetMs;
    this.clock = options.virtual ?? systemClock;
  }

  /** How time has passed so far. */
  get kind(): TimeKind {
    return this.#virtual !== undefined ? 'virtual' : this.#travelled ? 'travel' : 'wall';
  }

  /** Milliseconds that only grow, for measuring. */
  now(): number {
    return this.clock.monotonic();
  }

  /**
   * Lets time pass: at once where the clock is virtual, else by waiting. Long spans need a backend that can travel;
   * sessions do not survive that, so they are opened afterwards.
   */
  async advance(ms: number): Promise<void> {
    if (this.#virtual !== undefined) {
      await turns();
      await this.#virtual.advance(ms);
      await turns();
    } else if (this.#travel !== undefined && ms > longestWaitMs) {
      this.#travelled = true;
      await this.#travel(ms);
    } else {
      await realSleep(ms);
    }
  }

  /** Resolves after a while of this process's time, or early when the signal aborts. For use inside of handlers. */
  timer(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.clock.clearTimer(handle);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const handle = this.clock.setTimer(done, ms, { keepAlive: true });
      if (signal?.aborted === true) done();
      else signal?.addEventListener('abort', done, { once: true });
    });
  }

  /** Waits, whatever the backend can. */
  pause(ms: number): Promise<void> {
    return this.soon(this.timer(ms), 'a pause of the scenario', ms + this.budgetMs);
  }

  /** The result of a call that may wait, as long as it comes within the budget. */
  async soon<T>(work: PromiseLike<T>, what: string, ms: number = this.budgetMs): Promise<T> {
    let settled = false;
    const watched = Promise.resolve(work).finally(() => {
      settled = true;
    });
    // It may reject after the budget was over, when nobody listens any more.
    watched.catch(() => {});
    if (this.#virtual !== undefined) {
      if (await this.#pump(() => settled, ms)) return watched;
      throw new BudgetExceededError(what, ms, this.unitMs);
    }
    return this.soonOutside(watched, what, ms);
  }

  /** The same for work that a virtual clock knows nothing of: bounded by real time in any case. */
  async soonOutside<T>(work: PromiseLike<T>, what: string, ms: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new BudgetExceededError(what, ms, this.unitMs)), ms);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks until the answer is neither `undefined` nor `false`. */
  async eventually<T>(
    probe: () => Promise<T | undefined | false> | T | undefined | false,
    what: string,
    ms: number = this.budgetMs,
  ): Promise<T> {
    const start = this.now();
    const end = start + ms;
    for (let wait = this.unitMs / 50; ; wait *= 1.5) {
      const answer = await this.soon(Promise.resolve(probe()), what, Math.max(ms, this.unitMs));
      if (answer !== undefined && answer !== false) return answer;
      if (this.now() >= end) throw new BudgetExceededError(what, ms, this.unitMs);
      // Whoever has waited for long can wait a little longer: dozens of scenarios that ask all the time are a load.
      wait = Math.min(wait, Math.max(this.unitMs / 2, (this.now() - start) / 10));
      if (this.#virtual === undefined) await realSleep(wait);
      else await this.#step();
    }
  }

  async #pump(done: () => boolean, ms: number): Promise<boolean> {
    const end = this.now() + ms;
    for (;;) {
      await turns();
      if (done()) return true;
      if (this.now() >= end) return false;
      await this.#step();
    }
  }

  async #step(): Promise<void> {
    await this.#virtual?.advance(Math.max(1, Math.round(this.unitMs / 10)));
  }
}

/** Lets everything run that is ready to run. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

function realSleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
