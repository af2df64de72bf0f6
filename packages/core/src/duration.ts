import { ValidationError } from './errors.ts';

/** The units a duration string may end in. */
export type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd';

/** A span of time: a number of milliseconds, or a number followed by its unit (`'250ms'`, `'1.5h'`). */
export type Duration = number | `${number}${DurationUnit}`;

const unitMs: Readonly<Record<DurationUnit, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const pattern = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/**
 * Turns a duration into whole milliseconds, rounded up so that a wait is never shorter than asked.
 *
 * @param option name of the option the value came from; the error message repeats it.
 * @throws ValidationError when the value is negative, not finite or not a known form.
 */
export function parseDuration(value: Duration, option: string): number {
  const ms = typeof value === 'number' ? value : readText(value);
  // Adding 0 turns -0 into 0.
  const whole = Math.ceil(ms) + 0;
  if (Number.isSafeInteger(whole) && ms >= 0) return whole;
  throw invalidDuration(value, option);
}

function readText(value: unknown): number {
  const match = typeof value === 'string' ? pattern.exec(value) : null;
  if (match === null) return Number.NaN;
  const ms = Number(match[1]) * unitMs[match[2] as DurationUnit];
  // 4.03 × 1000 is 4030.0000000000005 in binary; the noise must not round up to another millisecond.
  return Number.isInteger(ms) ? ms : Number(ms.toPrecision(15));
}

function invalidDuration(value: unknown, option: string): ValidationError {
  const got = typeof value === 'number' ? String(value) : typeof value;
  return new ValidationError(
    `${option} must be a non-negative number of milliseconds or a string such as '250ms', '30s', '5m', '1h' or '7d'; got ${got}`,
    { option },
  );
}
