import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Duration, parseDuration } from './duration.ts';

describe('parseDuration', () => {
  it.each<[Duration, number]>([
    [0, 0],
    [250, 250],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['1.5h', 5_400_000],
    ['0s', 0],
    ['007s', 7_000],
  ])('reads %s as %d ms', (value, ms) => {
    expect(parseDuration(value, 'delay')).toBe(ms);
  });

  it.each<[Duration, number]>([
    [0.001, 1],
    [1.0001, 2],
    ['0.0001s', 1],
    ['1.5ms', 2],
    ['0.00001d', 864],
  ])('rounds %s up to %d, so that a wait is never shorter than asked', (value, ms) => {
    expect(parseDuration(value, 'delay')).toBe(ms);
  });

  it('does not let binary noise round up to another millisecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000_000 }), (hundredths) => {
        const text = `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, '0')}` as `${number}`;
        expect(parseDuration(`${text}s`, 'delay')).toBe(hundredths * 10);
        expect(parseDuration(`${text}m`, 'delay')).toBe(hundredths * 600);
      }),
    );
    expect(parseDuration('4.03s', 'delay')).toBe(4_030);
  });

  it('gives 0 for -0', () => {
    expect(Object.is(parseDuration(-0, 'delay'), 0)).toBe(true);
  });

  it.each([
    -1,
    -0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    1e300,
    Number.MAX_VALUE,
    '',
    's',
    '5',
    '-5s',
    '5 s',
    ' 5s',
    '5s ',
    '5S',
    '1e3ms',
    '.5s',
    '5.s',
    '5 minutes',
    '1h30m',
    '5w',
    '9007199254740992ms',
    '99999999999999999d',
    null,
    undefined,
    true,
    5n,
    {},
    [5],
    new Date(),
  ])('refuses %s', (value) => {
    expect(() => parseDuration(value as Duration, 'delay')).toThrow(
      expect.objectContaining({ code: 'VALIDATION', option: 'delay' }),
    );
  });

  it('names the option, what it got and the fix, never the value of a string (BAD-09)', () => {
    expect(() => parseDuration('hunter2' as Duration, 'retry.base')).toThrow(
      /^retry\.base must be a non-negative number of milliseconds or a string such as '250ms'.*; got string$/,
    );
    expect(() => parseDuration(Number.NaN, 'timeout')).toThrow(/^timeout must be .*; got NaN$/);
    expect(() => parseDuration(-3, 'timeout')).toThrow(/; got -3$/);
    expect(() => parseDuration(null as unknown as Duration, 'x')).toThrow(/; got object$/);
  });
});
