import { type Duration, parseDuration } from './duration.ts';
import { ValidationError } from './errors.ts';
import { checkKnownOptions, kindOf } from './known-options.ts';

/** What a retry policy is told about the attempt that just failed. */
export interface RetryFailure {
  /** The attempt that failed: 1 for the first run. */
  readonly attempt: number;
  readonly kind: 'error' | 'timeout';
  /** What the handler threw, as it was thrown. */
  readonly error: unknown;
}

/**
 * Decides whether and when a failed task runs again. Pure: the same failure and random number give the same answer.
 * The core evaluates it and hands brokers a delay, so a policy behaves alike on every backend.
 */
export interface RetryPolicy {
  /** Runs in total, the first included. `Infinity` is allowed. */
  readonly attempts: number;
  /**
   * Milliseconds to wait before the next attempt, or `'give up'` to end the task as failed.
   * @param random a number in [0, 1), for jitter.
   */
  delay(failure: RetryFailure, random: number): number | 'give up';
}

/**
 * How a delay `d` is spread, so that tasks that failed together do not come back together.
 * `full`: uniform in [0, d]. `equal`: d/2 plus uniform in [0, d/2]. `none`: exactly d.
 * Names and formulas as in "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export type Jitter = 'none' | 'equal' | 'full';

const jitters: Readonly<Record<Jitter, (ms: number, random: number) => number>> = {
  none: (ms) => ms,
  equal: (ms, random) => ms / 2 + (ms / 2) * random,
  full: (ms, random) => ms * random,
};

/** Options of {@link fixed}. */
export interface FixedOptions {
  readonly attempts: number;
  /** Default `'1s'`. */
  readonly delay?: Duration;
  /** Default `'none'`. */
  readonly jitter?: Jitter;
}

/** Options of {@link linear}. */
export interface LinearOptions {
  readonly attempts: number;
  /** Delay after the first failure and its growth per further one. Default `'1s'`. */
  readonly base?: Duration;
  /** Upper bound. Default `'1h'`. */
  readonly max?: Duration;
  /** Default `'none'`. */
  readonly jitter?: Jitter;
}

/** Options of {@link exponential}. */
export interface ExponentialOptions {
  readonly attempts: number;
  /** Delay after the first failure. Default `'1s'`. */
  readonly base?: Duration;
  /** Growth per further failure. Default 2. */
  readonly factor?: number;
  /** Upper bound, applied before jitter. Default `'1h'`. */
  readonly max?: Duration;
  /** Default `'equal'`. */
  readonly jitter?: Jitter;
}

/** One run, no retry. */
export function none(): RetryPolicy {
  return { attempts: 1, delay: () => 'give up' };
}

/** The same delay after each failure. @throws ValidationError naming the option. */
export function fixed(options: FixedOptions): RetryPolicy {
  checkKnownOptions(options, ['attempts', 'delay', 'jitter'], 'fixed', 'retry.');
  const delayMs = parseDuration(options.delay ?? '1s', 'retry.delay');
  return policy(options, 'none', () => delayMs);
}

/** `min(max, base × n)` after the n-th failure. @throws ValidationError naming the option. */
export function linear(options: LinearOptions): RetryPolicy {
  checkKnownOptions(options, ['attempts', 'base', 'max', 'jitter'], 'linear', 'retry.');
  const baseMs = parseDuration(options.base ?? '1s', 'retry.base');
  const maxMs = parseDuration(options.max ?? '1h', 'retry.max');
  return policy(options, 'none', (attempt) => Math.min(maxMs, baseMs * attempt));
}

/**
 * `min(max, base × factor^(n-1))` after the n-th failure.
 * `exponential({ attempts: 14, base: '2m', max: '1024m', jitter: 'none' })` waits 2^n minutes, capped at 2^10.
 * @throws ValidationError naming the option.
 */
export function exponential(options: ExponentialOptions): RetryPolicy {
  checkKnownOptions(options, ['attempts', 'base', 'factor', 'max', 'jitter'], 'exponential', 'retry.');
  const baseMs = parseDuration(options.base ?? '1s', 'retry.base');
  const maxMs = parseDuration(options.max ?? '1h', 'retry.max');
  const factor = options.factor ?? 2;
  if (!Number.isFinite(factor) || factor < 1) {
    throw new ValidationError(`retry.factor must be a number of at least 1; got ${kindOf(factor)}`, {
      option: 'retry.factor',
    });
  }
  // factor^(n-1) overflows to Infinity for large n; Math.min still gives the cap. But 0 × Infinity is NaN.
  return policy(options, 'equal', (attempt) => (baseMs === 0 ? 0 : Math.min(maxMs, baseMs * factor ** (attempt - 1))));
}

/** One delay per retry, in order: `delays(['1s', '10s', '5m'])` runs up to four times. */
export function delays(list: readonly Duration[]): RetryPolicy {
  if (!Array.isArray(list)) {
    throw new ValidationError('retry.delays must be an array of durations', { option: 'retry.delays' });
  }
  const ms = list.map((delay, index) => parseDuration(delay, `retry.delays[${index}]`));
  return { attempts: ms.length + 1, delay: ({ attempt }) => ms[attempt - 1] ?? 'give up' };
}

/**
 * Your own rule. Return a duration, or `'give up'`. A rule that throws or returns something else ends the task as
 * failed and is reported, because guessing a delay would hide the defect.
 */
export function custom(
  rule: (failure: RetryFailure) => Duration | 'give up',
  options: { readonly attempts?: number } = {},
): RetryPolicy {
  if (typeof rule !== 'function') {
    throw new ValidationError('custom(rule) needs a function', { option: 'retry.rule' });
  }
  checkKnownOptions(options, ['attempts'], 'custom', 'retry.');
  const attempts = checkAttempts(options.attempts ?? Number.POSITIVE_INFINITY, 'retry.attempts');
  return {
    attempts,
    delay(failure) {
      const answer: unknown = rule(failure);
      // An async rule is refused below; its rejection must not take the process down.
      if (answer instanceof Promise) answer.catch(() => {});
      return answer === 'give up' ? answer : parseDuration(answer as Duration, 'retry.rule result');
    },
  };
}

/** What a task definition without a `retry` gets: five runs, 1 s, 2 s, 4 s, 8 s apart, with equal jitter. */
export const defaultRetry: RetryPolicy = exponential({ attempts: 5 });

/** Checks a number of attempts: a whole number of at least 1, or `Infinity`. */
export function checkAttempts(value: unknown, option: string): number {
  if (value === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= 2_147_483_647) return value;
  throw new ValidationError(
    `${option} must be a whole number from 1 to 2147483647, or Infinity; got ${kindOf(value)}`,
    { option },
  );
}

function policy(
  options: { readonly attempts: number; readonly jitter?: Jitter },
  defaultJitter: Jitter,
  delayOf: (attempt: number) => number,
): RetryPolicy {
  const attempts = checkAttempts(options.attempts, 'retry.attempts');
  const jitter = options.jitter ?? defaultJitter;
  if (!Object.hasOwn(jitters, jitter)) {
    throw new ValidationError(`retry.jitter must be 'none', 'equal' or 'full'; got ${kindOf(options.jitter)}`, {
      option: 'retry.jitter',
    });
  }
  const spread = jitters[jitter];
  return {
    attempts,
    delay: ({ attempt }, random) => (attempt >= attempts ? 'give up' : Math.round(spread(delayOf(attempt), random))),
  };
}
