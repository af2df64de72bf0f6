import { type Duration, parseDuration } from '../duration.ts';

// Registered symbols: a handler may throw the class of another copy of this package.
const nonRetryable: symbol = Symbol.for('millrace.non-retryable');
const retryAfter: symbol = Symbol.for('millrace.retry-after');
const snooze: symbol = Symbol.for('millrace.snooze');

/** Throw it in a handler to end the task as failed at once, whatever its retry policy says. */
export class NonRetryable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NonRetryable';
    Object.defineProperty(this, nonRetryable, { value: true });
  }
}

/** Throw it in a handler to choose the delay before the next attempt. The attempt counts; the last one is the last. */
export class RetryAfter extends Error {
  readonly delayMs: number;
  /** @throws ValidationError when the delay is not a duration */
  constructor(delay: Duration, message = 'the handler asked to be retried later', options?: ErrorOptions) {
    super(message, options);
    this.name = 'RetryAfter';
    this.delayMs = parseDuration(delay, 'RetryAfter delay');
    Object.defineProperty(this, retryAfter, { value: true });
  }
}

/** Throw it in a handler to run again later without using up an attempt: not ready yet, no failure. */
export class Snooze extends Error {
  readonly delayMs: number;
  /** @throws ValidationError when the delay is not a duration */
  constructor(delay: Duration, message = 'the handler asked to be run later') {
    super(message);
    this.name = 'Snooze';
    this.delayMs = parseDuration(delay, 'Snooze delay');
    Object.defineProperty(this, snooze, { value: true });
  }
}

function marked(error: unknown, marker: symbol): boolean {
  try {
    return typeof error === 'object' && error !== null && marker in error;
  } catch {
    // A proxy may throw at any question (RTY-08).
    return false;
  }
}

/** The mark of another copy's class says nothing about the delay it carries. */
function hasDelay(error: unknown): boolean {
  try {
    return Number.isSafeInteger((error as { delayMs?: unknown }).delayMs) && (error as RetryAfter).delayMs >= 0;
  } catch {
    return false;
  }
}

/** Whether a handler threw {@link NonRetryable}. */
export function isNonRetryable(error: unknown): boolean {
  return marked(error, nonRetryable);
}

/** Whether a handler threw {@link RetryAfter}. */
export function isRetryAfter(error: unknown): error is RetryAfter {
  return marked(error, retryAfter) && hasDelay(error);
}

/** Whether a handler threw {@link Snooze}. */
export function isSnooze(error: unknown): error is Snooze {
  return marked(error, snooze) && hasDelay(error);
}
