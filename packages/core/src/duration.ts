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
  if (typeof value === 'number') {
    if (Number.isFinite(value) && value >= 0) return Math.ceil(value);
    throw invalidDuration(value, option);
  }
  const match = typeof value === 'string' ? pattern.exec(value) : null;
  if (match === null) throw invalidDuration(value, option);
  const ms = Number(match[1]) * unitMs[match[2] as DurationUnit];
  if (!Number.isSafeInteger(Math.ceil(ms))) throw invalidDuration(value, option);
  return Math.ceil(ms);
}

function invalidDuration(value: unknown, option: string): ValidationError {
  const got = typeof value === 'number' ? String(value) : typeof value;
  return new ValidationError(
    `${option} must be a non-negative number of milliseconds or a string such as '250ms', '30s', '5m', '1h' or '7d'; got ${got}`,
    { option },
  );
}
