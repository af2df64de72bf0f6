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
 * On a virtual clock and on journeys everything is measured in times to live, long ones, because time has to stop at
 * each heartbeat. In real time there is now and far away, and sessions outlive the program.
 */
export function scaleFor(capabilities: Capabilities, time: 'virtual' | 'travel' | 'wall'): Scale {
  const ttlMs = Math.min(capabilities.session.maxTtlMs, dayMs);
  const never = [undefined, undefined, undefined, undefined, undefined];
  const possible = (delays: readonly number[]): number[] => delays.filter((ms) => ms <= capabilities.delay.maxMs);
  if (time === 'virtual') {
    // The last does not fit into 31 bits.
    const delays = possible([0, 0, 0, 0, 0, 0, 1_500, ttlMs / 4, 2 * ttlMs, 2 ** 31 + 7]);
    const advances = [1, 1_500, 1_500, ttlMs / 4, ttlMs / 4, ttlMs / 2, ttlMs, 2 * ttlMs, 10 * dayMs];
    return { ttlMs, delays, expiries: [...never, 500, ttlMs / 2], advances, mortal: true };
  }
  if (time === 'travel') {
    // A stage of a journey takes real time, so that long ones are rare.
    const delays = possible([0, 0, 0, 0, 60_000, ttlMs / 4]);
    const advances = [61_000, 61_000, 125_000, 125_000, ttlMs / 4, ttlMs / 2];
    return { ttlMs, delays, expiries: [...never, 120_000], advances, mortal: true };
  }
  const delays = possible([0, 0, 3_600_000]);
  return { ttlMs, delays, expiries: [undefined, undefined, 7_200_000], advances: [], mortal: false };
}
