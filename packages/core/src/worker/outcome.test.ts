import { describe, expect, it } from 'vitest';
import * as outcome from './outcome.ts';

const { isNonRetryable, isRetryAfter, isSnooze, NonRetryable, RetryAfter, Snooze } = outcome;

describe('what a handler may throw', () => {
  it('has names, messages, causes and delays', () => {
    const cause = new Error('underneath');
    expect(new NonRetryable('m', { cause })).toMatchObject({ name: 'NonRetryable', message: 'm', cause });
    expect(new RetryAfter('10m', 'm', { cause })).toMatchObject({ name: 'RetryAfter', delayMs: 600_000, cause });
    expect(new RetryAfter(5)).toMatchObject({ delayMs: 5, message: 'the handler asked to be retried later' });
    expect(new Snooze('1h')).toMatchObject({ name: 'Snooze', delayMs: 3_600_000 });
  });

  it.each(['soon', -1, Number.NaN, undefined])('refuses the delay %s', (delay) => {
    expect(() => new RetryAfter(delay as never)).toThrow(expect.objectContaining({ option: 'RetryAfter delay' }));
    expect(() => new Snooze(delay as never)).toThrow(expect.objectContaining({ option: 'Snooze delay' }));
  });

  it('is told apart', () => {
    const each = [new NonRetryable('m'), new RetryAfter(1), new Snooze(1), new Error('m')];
    expect([isRetryAfter(new RetryAfter(0)), isSnooze(new Snooze(0))]).toEqual([true, true]);
    expect(each.map(isNonRetryable)).toEqual([true, false, false, false]);
    expect(each.map(isRetryAfter)).toEqual([false, true, false, false]);
    expect(each.map(isSnooze)).toEqual([false, false, true, false]);
  });

  it('is known across copies of the package, and in subclasses', async () => {
    const second = './outcome.ts?second';
    const other = (await import(/* @vite-ignore */ second)) as typeof outcome;
    expect(other.Snooze).not.toBe(Snooze);
    class Mine extends NonRetryable {}
    expect([
      isSnooze(new other.Snooze(1)),
      isRetryAfter(new other.RetryAfter(1)),
      isNonRetryable(new Mine('m')),
    ]).toEqual([true, true, true]);
  });

  it('asks nothing of what is no error, and survives what throws', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const value of [undefined, null, 'Snooze', 5, Symbol('x'), () => {}, Object.create(null), proxy]) {
      expect([isNonRetryable(value), isRetryAfter(value), isSnooze(value)]).toEqual([false, false, false]);
    }
  });

  it.each([undefined, '5s', Number.NaN, -1, 1.5])('does not trust a mark with the delay %s', (delayMs) => {
    const marks = { [Symbol.for('millrace.snooze')]: true, [Symbol.for('millrace.retry-after')]: true, delayMs };
    expect([isSnooze(marks), isRetryAfter(marks)]).toEqual([false, false]);
  });
});
