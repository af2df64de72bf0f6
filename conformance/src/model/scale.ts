import type { Capabilities } from '@millrace/core';

/** Times a program uses, in milliseconds, so that each is far from the others on this broker. */
export interface Scale {
  readonly ttlMs: number;
  readonly delays: readonly number[];
  /** `undefined` is never. */
  readonly expiries: readonly (number | undefined)[];
  /** Empty where time cannot be made to pass. */
  readonly advances: readonly number[];
  /** Whether sessions can be stopped and outlived. */
  readonly mortal: boolean;
}

const dayMs = 86_400_000;

/**
 * On a virtual clock: everything is measured in times to live, long ones, because a clock that advances has to stop
 * at each heartbeat. In real time: now and far away, with journeys over the far, and sessions that outlive the program.
 */
export function scaleFor(capabilities: Capabilities, time: 'virtual' | 'travel' | 'wall'): Scale {
  const ttlMs = Math.min(capabilities.session.maxTtlMs, dayMs);
  const longest = capabilities.delay.maxMs;
  if (time === 'virtual') {
    // The last does not fit into 31 bits.
    const delays = [0, 0, 0, 0, 0, 0, 1_500, ttlMs / 4, 2 * ttlMs, 2 ** 31 + 7].filter((ms) => ms <= longest);
    const advances = [1, 1_500, 1_500, ttlMs / 4, ttlMs / 4, ttlMs / 2, ttlMs, 2 * ttlMs, 10 * dayMs];
    const never = [undefined, undefined, undefined, undefined, undefined];
    return { ttlMs, delays, expiries: [...never, 500, ttlMs / 2], advances, mortal: true };
  }
  if (time === 'travel') {
    return {
      ttlMs,
      delays: [0, 0, 60_000],
      expiries: [undefined, undefined, 120_000],
      advances: [61_000, 125_000],
      mortal: false,
    };
  }
  return { ttlMs, delays: [0, 0, 3_600_000], expiries: [undefined, undefined, 7_200_000], advances: [], mortal: false };
}
