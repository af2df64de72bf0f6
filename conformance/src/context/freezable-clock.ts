import type { Clock, TimerHandle } from '@millrace/core';

interface Timer extends TimerHandle {
  readonly callback: () => void;
  readonly base: TimerHandle;
}

/**
 * A client's clock that can stop. While it stands still no timer fires and the monotonic time does not move, so the
 * client stops beating and does not notice: what SIGSTOP or a blocked event loop does to a process. Wall time goes on,
 * because it may be the broker's.
 */
export class FreezableClock implements Clock {
  readonly #base: Clock;
  readonly #skewMs: number;
  #frozenAt: number | undefined;
  /** Timers that fell due while frozen, in order. */
  readonly #overdue = new Set<Timer>();

  /** @param skewMs how far its wall time is off, as on a machine whose clock is set wrong. */
  constructor(base: Clock, skewMs: number) {
    this.#base = base;
    this.#skewMs = skewMs;
  }

  now(): number {
    return this.#base.now() + this.#skewMs;
  }

  monotonic(): number {
    return this.#frozenAt ?? this.#base.monotonic();
  }

  setTimer(callback: () => void, ms: number, options?: { readonly keepAlive?: boolean }): TimerHandle {
    const timer: Timer = {
      callback,
      base: this.#base.setTimer(
        () => {
          if (this.#frozenAt === undefined) callback();
          else this.#overdue.add(timer);
        },
        ms,
        options,
      ),
    };
    return timer;
  }

  clearTimer(handle: TimerHandle): void {
    const timer = handle as Timer;
    this.#overdue.delete(timer);
    this.#base.clearTimer(timer.base);
  }

  freeze(): void {
    this.#frozenAt ??= this.#base.monotonic();
  }

  /** Time jumps to now, and what fell due meanwhile fires. */
  thaw(): void {
    this.#frozenAt = undefined;
    for (const timer of this.#overdue) {
      // A callback may clear one that comes after it.
      if (!this.#overdue.delete(timer)) continue;
      timer.callback();
    }
  }
}
