import type { Clock, TimerHandle } from '../src/clock.ts';

// Taken when the module is loaded: a test may replace the global timers later.
const { setImmediate } = globalThis;

/** Lets promise chains and what they put off to the next turns of the event loop run. Waits for no time to pass. */
export async function turns(count = 6): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Resolves as soon as the condition holds. @throws when it still does not after many turns of the event loop */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  for (let turn = 0; turn < 5_000; turn++) {
    if (condition()) return;
    await turns(1);
  }
  throw new Error(`${what} never came true`);
}

interface Timer extends TimerHandle {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is moved; what falls due on the way fires in order. */
export class ManualClock implements Clock {
  #elapsed = 0;
  readonly #timers = new Set<Timer>();

  /** Timers set and neither fired nor cleared. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return 1_900_000_000_000 + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  setTimer(callback: () => void, ms: number): TimerHandle {
    const timer: Timer = { at: this.#elapsed + Math.max(0, ms), callback };
    this.#timers.add(timer);
    return timer;
  }

  clearTimer(handle: TimerHandle): void {
    this.#timers.delete(handle as Timer);
  }

  async advance(ms: number): Promise<void> {
    const target = this.#elapsed + ms;
    await turns();
    for (let next = this.#earliest(target); next !== undefined; next = this.#earliest(target)) {
      this.#timers.delete(next);
      this.#elapsed = Math.max(this.#elapsed, next.at);
      next.callback();
      await turns();
    }
    this.#elapsed = target;
  }

  #earliest(limit: number): Timer | undefined {
    let earliest: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= limit && (earliest === undefined || timer.at < earliest.at)) earliest = timer;
    }
    return earliest;
  }
}
