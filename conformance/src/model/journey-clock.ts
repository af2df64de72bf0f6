import type { Clock, TimerHandle } from '@millrace/core';

interface Timer extends TimerHandle {
  readonly callback: () => void;
  readonly at: number;
  readonly keepAlive: boolean;
  handle: NodeJS.Timeout | undefined;
}

/**
 * A client's clock that runs in real time and can be put forward, so that clients travel together with what their
 * backend stored: heartbeats that fall due on the way are sent, and sessions outlive the journey.
 */
export class JourneyClock implements Clock {
  readonly #timers = new Set<Timer>();
  #leapt = 0;

  now(): number {
    return Date.now() + this.#leapt;
  }

  monotonic(): number {
    return performance.now() + this.#leapt;
  }

  setTimer(callback: () => void, ms: number, options?: { readonly keepAlive?: boolean }): TimerHandle {
    const keepAlive = options?.keepAlive === true;
    const timer: Timer = { callback, at: this.monotonic() + Math.max(0, ms), keepAlive, handle: undefined };
    this.#timers.add(timer);
    this.#arm(timer);
    return timer;
  }

  clearTimer(handle: TimerHandle): void {
    const timer = handle as Timer;
    clearTimeout(timer.handle);
    this.#timers.delete(timer);
  }

  /** Puts the clock forward. What falls due fires at once, in order. */
  leap(ms: number): void {
    this.#leapt += ms;
    const inOrder = [...this.#timers].sort((a, b) => a.at - b.at);
    for (const timer of inOrder) {
      // A callback may clear one that comes after it.
      if (!this.#timers.has(timer)) continue;
      clearTimeout(timer.handle);
      if (timer.at <= this.monotonic()) this.#fire(timer);
      else this.#arm(timer);
    }
  }

  #arm(timer: Timer): void {
    // Anything above 2^31-1 would fire at once; whoever waits longer than that waits for a leap.
    const left = Math.min(timer.at - this.monotonic(), 2_147_483_647);
    timer.handle = setTimeout(() => this.#fire(timer), Math.max(0, left));
    if (!timer.keepAlive) timer.handle.unref();
  }

  #fire(timer: Timer): void {
    if (this.#timers.delete(timer)) timer.callback();
  }
}
