/** Handle of a timer, as a clock gave it out. */
export type TimerHandle = object;

/**
 * Time as the library sees it. Everything that waits takes one, so that tests can drive days in microseconds.
 * `now` is epoch milliseconds; `monotonic` never goes back and is used for deadlines and lease trust.
 */
export interface Clock {
  now(): number;
  monotonic(): number;
  setTimer(callback: () => void, ms: number, options?: { readonly keepAlive?: boolean }): TimerHandle;
  clearTimer(handle: TimerHandle): void;
}

// setTimeout treats anything above 2^31-1 as 1 ms (DLY-04), so long waits are made of several timers.
const longestTimerMs = 2_147_483_647;

/** The machine's clock. Timers do not keep the process alive unless asked to. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(callback, ms, options) {
    const handle: { timer?: NodeJS.Timeout } = {};
    const arm = (left: number): void => {
      const next = Math.min(left, longestTimerMs);
      handle.timer = setTimeout(() => (left > next ? arm(left - next) : callback()), next);
      if (options?.keepAlive !== true) handle.timer.unref();
    };
    arm(Math.max(0, ms));
    return handle;
  },
  clearTimer(handle) {
    clearTimeout((handle as { timer?: NodeJS.Timeout }).timer);
  },
};
