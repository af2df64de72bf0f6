import { describe, expect, it, vi } from 'vitest';
import {
  checkAttempts,
  custom,
  defaultRetry,
  delays,
  exponential,
  fixed,
  type Jitter,
  linear,
  none,
  type RetryPolicy,
} from './retry-policy.ts';

function waits(policy: RetryPolicy, count: number, random = 0.5): (number | 'give up')[] {
  return Array.from({ length: count }, (_, index) =>
    policy.delay({ attempt: index + 1, kind: 'error', error: undefined }, random),
  );
}

describe('none', () => {
  it('runs once', () => {
    expect([none().attempts, ...waits(none(), 2)]).toEqual([1, 'give up', 'give up']);
  });
});

describe('fixed', () => {
  it('waits the same after each failure and gives up after the last attempt (RTY-03)', () => {
    expect(waits(fixed({ attempts: 3, delay: '10s' }), 4)).toEqual([10_000, 10_000, 'give up', 'give up']);
  });

  it('waits a second by default', () => {
    expect(waits(fixed({ attempts: 2 }), 1)).toEqual([1_000]);
  });
});

describe('linear', () => {
  it('grows by its base up to its cap', () => {
    const policy = linear({ attempts: 5, base: '2s', max: '5s' });
    expect(waits(policy, 5)).toEqual([2_000, 4_000, 5_000, 5_000, 'give up']);
  });

  it('is capped at an hour by default', () => {
    expect(linear({ attempts: 9_999 }).delay({ attempt: 5_000, kind: 'error', error: 0 }, 0)).toBe(3_600_000);
  });
});

describe('exponential', () => {
  it('doubles by default, up to its cap', () => {
    const policy = exponential({ attempts: 6, base: '1s', max: '5s', jitter: 'none' });
    expect(waits(policy, 6)).toEqual([1_000, 2_000, 4_000, 5_000, 5_000, 'give up']);
  });

  it('takes another factor, and 1 for no growth', () => {
    expect(waits(exponential({ attempts: 4, factor: 3, jitter: 'none' }), 3)).toEqual([1_000, 3_000, 9_000]);
    expect(waits(exponential({ attempts: 4, factor: 1, jitter: 'none' }), 3)).toEqual([1_000, 1_000, 1_000]);
    expect(waits(exponential({ attempts: 3, factor: 1.5, base: 3, jitter: 'none' }), 2)).toEqual([3, 5]);
  });

  it('waits 2^n minutes, capped at 2^10', () => {
    const policy = exponential({ attempts: 14, base: '2m', max: '1024m', jitter: 'none' });
    const minutes = waits(policy, 13).map((ms) => Number(ms) / 60_000);
    expect(minutes).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024, 1024]);
  });

  it.each(['none', 'equal', 'full'] as const)('stays finite when the power overflows, with %s jitter', (jitter) => {
    for (const base of ['1s', 0, '7d'] as const) {
      const policy = exponential({ attempts: Number.POSITIVE_INFINITY, base, jitter });
      for (const attempt of [1_024, 1_025, 5_000, 2_147_483_647]) {
        const delay = policy.delay({ attempt, kind: 'error', error: 0 }, 0.999);
        expect(delay).toSatisfy((ms: number) => Number.isSafeInteger(ms) && ms >= 0 && ms <= 3_600_000);
      }
    }
  });

  it('never ends with Infinity attempts', () => {
    const policy = exponential({ attempts: Number.POSITIVE_INFINITY });
    expect(policy.attempts).toBe(Number.POSITIVE_INFINITY);
    expect(policy.delay({ attempt: 1_000_000, kind: 'timeout', error: 0 }, 0.5)).toBeTypeOf('number');
  });
});

describe('jitter (RTY-04)', () => {
  const bounds: readonly (readonly [Jitter, number, number])[] = [
    ['none', 1_000, 1_000],
    ['equal', 500, 1_000],
    ['full', 0, 1_000],
  ];

  it.each(bounds)('%s stays within [%d, %d]', (jitter, low, high) => {
    for (const policy of [
      fixed({ attempts: 2, jitter }),
      linear({ attempts: 2, jitter }),
      exponential({ attempts: 2, jitter }),
    ]) {
      expect(waits(policy, 1, 0)).toEqual([low]);
      expect(waits(policy, 1, 1 - 2 ** -53)).toEqual([high]);
      for (let round = 0; round < 200; round++) {
        const [delay] = waits(policy, 1, Math.random());
        expect(delay).toBeGreaterThanOrEqual(low);
        expect(delay).toBeLessThanOrEqual(high);
      }
    }
  });

  it.each(['equal', 'full'] as const)('%s really varies', (jitter) => {
    const policy = fixed({ attempts: 2, delay: '1h', jitter });
    const seen = new Set(Array.from({ length: 100 }, () => waits(policy, 1, Math.random())[0]));
    expect(seen.size).toBeGreaterThan(97);
  });

  it('is applied after the cap', () => {
    expect(waits(exponential({ attempts: 3, base: '1h', max: '10s', jitter: 'full' }), 1, 0.25)).toEqual([2_500]);
  });

  it('gives the same delay for the same random number', () => {
    expect(waits(defaultRetry, 5, 0.3)).toEqual(waits(defaultRetry, 5, 0.3));
  });
});

describe('delays', () => {
  it('takes one delay per retry', () => {
    const policy = delays(['1s', 10, '5m']);
    expect([policy.attempts, ...waits(policy, 5)]).toEqual([4, 1_000, 10, 300_000, 'give up', 'give up']);
  });

  it('runs once without delays', () => {
    expect([delays([]).attempts, ...waits(delays([]), 1)]).toEqual([1, 'give up']);
  });

  it('names the wrong entry', () => {
    expect(() => delays(['1s', '2x' as '2s'])).toThrow(expect.objectContaining({ option: 'retry.delays[1]' }));
    expect(() => delays('1s' as never)).toThrow(/retry\.delays must be an array/);
  });
});

describe('custom', () => {
  it('asks the rule, with what was thrown as it was thrown', () => {
    const error = { odd: true };
    const rule = vi.fn(() => '2s' as const);
    const failure = { attempt: 3, kind: 'timeout', error } as const;
    expect(custom(rule).delay(failure, 0)).toBe(2_000);
    expect(rule).toHaveBeenCalledExactlyOnceWith(failure);
  });

  it('may give up, and runs for ever by default', () => {
    expect(custom(() => 'give up').delay({ attempt: 1, kind: 'error', error: 0 }, 0)).toBe('give up');
    expect(custom(() => 0).attempts).toBe(Number.POSITIVE_INFINITY);
    expect(custom(() => 0, { attempts: 4 }).attempts).toBe(4);
  });

  it.each([undefined, null, Number.NaN, -1, 'soon', 'GIVE UP', true, {}, Number.POSITIVE_INFINITY])(
    'refuses a rule that returns %s',
    (answer) => {
      const policy = custom(() => answer as never);
      expect(() => policy.delay({ attempt: 1, kind: 'error', error: 0 }, 0)).toThrow(/retry\.rule result/);
    },
  );

  it('lets what a rule throws through', () => {
    const policy = custom(() => {
      throw new Error('in the rule');
    });
    expect(() => policy.delay({ attempt: 1, kind: 'error', error: 0 }, 0)).toThrow('in the rule');
  });

  it('refuses an async rule, and its rejection hurts nobody', async () => {
    const rejections: unknown[] = [];
    const listener = (reason: unknown): void => void rejections.push(reason);
    process.on('unhandledRejection', listener);
    const policy = custom((async () => {
      throw new Error('unobserved');
    }) as never);
    expect(() => policy.delay({ attempt: 1, kind: 'error', error: 0 }, 0)).toThrow(/retry\.rule result/);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', listener);
    expect(rejections).toEqual([]);
  });

  it('needs a function', () => {
    expect(() => custom('1s' as never)).toThrow(/needs a function/);
  });
});

describe('options', () => {
  it.each([0, -1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** 31, '3', null, undefined, 3n])(
    'refuses %s attempts (RTY-02, BAD-02)',
    (attempts) => {
      for (const make of [fixed, linear, exponential]) {
        expect(() => make({ attempts: attempts as number })).toThrow(
          expect.objectContaining({ code: 'VALIDATION', option: 'retry.attempts' }),
        );
      }
      expect(() => checkAttempts(attempts, 'attempts')).toThrow(expect.objectContaining({ option: 'attempts' }));
    },
  );

  it.each([1, 2_147_483_647, Number.POSITIVE_INFINITY])('takes %s attempts', (attempts) => {
    expect(checkAttempts(attempts, 'attempts')).toBe(attempts);
  });

  it.each([0.99, 0, -2, Number.NaN, Number.POSITIVE_INFINITY, '2', {}])('refuses the factor %s', (factor) => {
    expect(() => exponential({ attempts: 2, factor: factor as number })).toThrow(
      expect.objectContaining({ option: 'retry.factor' }),
    );
  });

  it.each(['some', 'toString', '__proto__', 'constructor', true, {}])('refuses the jitter %s', (jitter) => {
    expect(() => fixed({ attempts: 2, jitter: jitter as Jitter })).toThrow(
      expect.objectContaining({ option: 'retry.jitter' }),
    );
  });

  it.each([
    ['base', () => exponential({ attempts: 2, base: '1x' as '1s' })],
    ['max', () => linear({ attempts: 2, max: -1 })],
    ['delay', () => fixed({ attempts: 2, delay: Number.NaN })],
  ])('names a wrong %s', (option, make) => {
    expect(make).toThrow(expect.objectContaining({ option: `retry.${option}` }));
  });

  it.each([
    () => fixed({ attempts: 2, wait: '1s' } as never),
    () => linear({ attempts: 2, delay: '1s' } as never),
    () => exponential({ attempts: 2, cap: '1s' } as never),
    () => custom(() => 0, { tries: 2 } as never),
  ])('refuses options nobody knows (BAD-01)', (make) => {
    expect(make).toThrow(
      expect.objectContaining({ reason: 'unknown-option', option: expect.stringMatching(/^retry\.\w+$/) }),
    );
  });

  it.each([undefined, null, [['1s']], 5, '1s'])('wants options, not %j', (options) => {
    for (const make of [fixed, linear, exponential]) {
      expect(() => make(options as never)).toThrow(expect.objectContaining({ code: 'VALIDATION', option: 'options' }));
    }
  });

  const hostile = [
    Number.NaN,
    -1,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    2 ** 53,
    '5',
    '-1s',
    '1w',
    null,
    {},
  ];

  it.each(hostile)('refuses %j as a delay, everywhere', (value) => {
    const delay = value as never;
    const makers: [string, () => RetryPolicy][] = [
      ['retry.delay', () => fixed({ attempts: 2, delay })],
      ['retry.base', () => linear({ attempts: 2, base: delay })],
      ['retry.max', () => linear({ attempts: 2, max: delay })],
      ['retry.base', () => exponential({ attempts: 2, base: delay })],
      ['retry.max', () => exponential({ attempts: 2, max: delay })],
      ['retry.delays[1]', () => delays(['1s', delay])],
    ];
    for (const [option, make] of makers) {
      // Null is no option at all where there is a default.
      if (value === null && option !== 'retry.delays[1]') expect(make).not.toThrow();
      else expect(make).toThrow(expect.objectContaining({ code: 'VALIDATION', option }));
    }
  });

  it.each([Number.NaN, -1, 0, 0.99, Number.POSITIVE_INFINITY, '2', {}])('refuses %j as a factor', (factor) => {
    expect(() => exponential({ attempts: 2, factor: factor as never })).toThrow(
      expect.objectContaining({ code: 'VALIDATION', option: 'retry.factor' }),
    );
  });

  it.each(['ful', 'Full', '', true, 0, 'constructor', '__proto__', { full: 1 }])('refuses %j as jitter', (jitter) => {
    for (const make of [fixed, linear, exponential]) {
      expect(() => make({ attempts: 2, jitter: jitter as never })).toThrow(
        expect.objectContaining({ code: 'VALIDATION', option: 'retry.jitter' }),
      );
    }
  });

  it('never computes a delay that is none, however large its numbers', () => {
    const numbers = [0, 1, Number.MAX_SAFE_INTEGER];
    for (const base of numbers) {
      for (const max of numbers) {
        for (const factor of [1, 1.5, Number.MAX_VALUE]) {
          const policy = exponential({ attempts: Number.POSITIVE_INFINITY, base, max, factor, jitter: 'full' });
          for (const attempt of [1, 2, 1_100, 2 ** 31]) {
            for (const random of [0, 0.5, 1 - 2 ** -53]) {
              expect(policy.delay({ attempt, kind: 'error', error: 0 }, random)).toSatisfy(
                (ms) => Number.isSafeInteger(ms) && Number(ms) >= 0 && Number(ms) <= max,
              );
            }
          }
        }
      }
    }
  });
});

describe('defaultRetry', () => {
  it('is five runs, 1, 2, 4 and 8 s apart, with equal jitter', () => {
    expect(defaultRetry.attempts).toBe(5);
    expect(waits(defaultRetry, 5, 0)).toEqual([500, 1_000, 2_000, 4_000, 'give up']);
    expect(waits(defaultRetry, 4, 1 - 2 ** -53)).toEqual([1_000, 2_000, 4_000, 8_000]);
  });
});
