/**
 * A moment of the broker's clock, in milliseconds, as far as it is known. On a virtual clock both bounds are the same;
 * in real time all that is known of a moment is that it lies between a question and its answer.
 */
export interface Instant {
  readonly from: number;
  readonly to: number;
}

/** When a task falls due. `step` and `delayMs` say how that came about, which orders tasks where times do not. */
export interface Due extends Instant {
  /** The step of the program that set it, or `undefined` when no step did. */
  readonly step: number | undefined;
  readonly delayMs: number;
}

export function later(instant: Instant, ms: number): Instant {
  return { from: instant.from + ms, to: instant.to + ms };
}

/** Any moment between two. */
export function between(first: Instant, last: Instant): Instant {
  return { from: Math.min(first.from, last.from), to: Math.max(first.to, last.to) };
}

/** Whether it surely has come. */
export function hasCome(instant: Instant, now: Instant): boolean {
  return instant.to <= now.from;
}

/** Whether it may have come. */
export function mayHaveCome(instant: Instant, now: Instant): boolean {
  return instant.from <= now.to;
}

/**
 * Whether a due time is surely no later than another: by the clock, or because it was set no later and with no longer
 * a delay, and a clock does not go back.
 */
export function isNoLater(first: Due, second: Due): boolean {
  if (first.to <= second.from) return true;
  if (first.step === undefined || second.step === undefined) return false;
  return first.step <= second.step && first.delayMs <= second.delayMs;
}
