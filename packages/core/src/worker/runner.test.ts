import type { StandardSchemaV1 } from '@standard-schema/spec';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { turns } from '../../test/manual-clock.ts';
import { retried, SingleRun, settleOf } from '../../test/single-run.ts';
import type { SettleOp } from '../broker/session.ts';
import { defineTask } from '../define-task.ts';
import { ValidationError } from '../errors.ts';
import { custom, delays, exponential, fixed, none } from '../retry-policy.ts';
import { NonRetryable, RetryAfter, Snooze } from './outcome.ts';

const rejections: unknown[] = [];
const noteRejection = (reason: unknown): void => void rejections.push(reason);

beforeAll(() => {
  process.on('unhandledRejection', noteRejection);
});

afterAll(async () => {
  await turns();
  process.off('unhandledRejection', noteRejection);
  expect(rejections).toEqual([]);
});

const retry = (message: unknown, name = 'Error') => ({
  type: 'retry',
  delayMs: 1_000,
  failure: expect.objectContaining({ kind: 'error', name, message, worker: 'worker-1' }),
});
const failed = (kind: string, message: unknown) => ({
  type: 'fail',
  failure: expect.objectContaining({ kind, message }),
});

const thenable = (then: unknown, base: object = {}): object => Object.assign(base, { then });

function throwing(error: unknown): () => never {
  return () => {
    throw error;
  };
}

function schema(validate: StandardSchemaV1['~standard']['validate']): StandardSchemaV1 {
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

describe('a handler that returns', () => {
  it.each<[string, () => unknown, object]>([
    ['a value', () => ({ id: 1 }), { output: '{"id":1}' }],
    ['a promise', async () => [1], { output: '[1]' }],
    ['null', () => null, { output: 'null' }],
    ['bytes', () => Uint8Array.of(0), { output: 'b64:AA==' }],
    ['a thenable', () => thenable((resolve: (value: number) => void) => resolve(5)), { output: '5' }],
    [
      'a callable thenable',
      () =>
        thenable(
          (ok: (n: number) => void) => ok(6),
          () => {},
        ),
      { output: '6' },
    ],
  ])('%s completes', async (_name, handler, operation) => {
    expect(await settleOf(handler)).toMatchObject({ type: 'complete', ...operation });
  });

  it('nothing completes without an output', async () => {
    const settled = await settleOf(() => {});
    expect(settled).toEqual({ type: 'complete', lease: expect.anything() });
    expect('output' in (await settleOf(async () => undefined))).toBe(false);
  });

  it.each<[string, unknown]>([
    ['NaN', { a: Number.NaN }],
    ['a function', () => {}],
    ['a Map', new Map()],
    [
      'a cycle',
      (() => {
        const list: unknown[] = [];
        list.push(list);
        return list;
      })(),
    ],
  ])('%s, which cannot be stored, fails as invalid: running it again would not help', async (_name, value) => {
    expect(await settleOf(async () => value)).toMatchObject(failed('invalid', expect.stringMatching(/^output/)));
  });

  it('a value larger than the broker keeps fails as invalid, with both sizes; one as large completes', async () => {
    // The single run's broker takes 10,000 bytes; quotes take two of them, é takes two bytes.
    const large = 'é'.repeat(4_999);
    expect(await settleOf(() => large)).toMatchObject({ type: 'complete', output: `"${large}"` });
    const settled = await settleOf(async () => `${large}x`);
    expect(settled).toMatchObject(failed('invalid', expect.stringMatching(/^output takes 10001 bytes, .* 10000 /)));
    expect(await settleOf(() => new Uint8Array(7_500))).toMatchObject(
      failed('invalid', expect.stringMatching(/10004/)),
    );
  });

  it('an object whose getters throw is retried', async () => {
    const value = {
      get a(): never {
        throw new TypeError('from the getter');
      },
    };
    expect(await settleOf(() => value)).toMatchObject(retry('from the getter', 'TypeError'));
  });

  it('an object whose then throws, or a proxy that does, is retried', async () => {
    const hostile = {
      // biome-ignore lint/suspicious/noThenProperty: what is tested
      get then(): never {
        throw new TypeError('from then');
      },
    };
    expect(await settleOf(() => hostile)).toMatchObject(retry('from then', 'TypeError'));
    expect(await settleOf(async () => hostile)).toMatchObject(retry('from then', 'TypeError'));
    expect(await settleOf(() => thenable(throwing(new Error('then itself'))))).toMatchObject(retry('then itself'));
  });

  it('a thenable that settles twice counts once', async () => {
    const twice = thenable((ok: (value: number) => void, fail: (error: Error) => void) => {
      ok(1);
      fail(new Error('x'));
    });
    const single = new SingleRun(() => twice).start();
    expect(await single.settled()).toMatchObject({ type: 'complete', output: '1' });
    expect(single.warnings).toEqual([expect.stringContaining('failed after its run had ended')]);
  });
});

describe('a handler that throws (RTY-08)', () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();

  it.each<[string, () => unknown, string, unknown]>([
    ['an error', () => new TypeError('x'), 'TypeError', 'x'],
    ['a string', () => 'text', 'NonError', 'text'],
    ['null', () => null, 'NonError', 'null'],
    ['undefined', () => undefined, 'NonError', 'undefined'],
    ['a circular object', () => circular, 'NonError', expect.any(String)],
    ['a frozen error', () => Object.freeze(new Error('cold')), 'Error', 'cold'],
    ['a revoked proxy', () => revoked, 'NonError', expect.any(String)],
    [
      'a proxy that throws',
      () => new Proxy({}, { has: throwing(1), get: throwing(2) }),
      'NonError',
      expect.any(String),
    ],
    ['a validation error of its own', () => new ValidationError('child'), 'ValidationError', 'child'],
  ])('%s is retried, thrown at once or later', async (_name, make, name, message) => {
    expect(await settleOf(throwing(make()))).toMatchObject(retry(message, name));
    expect(await settleOf(async () => throwing(make())())).toMatchObject(retry(message, name));
  });

  it('fails on its last attempt, and on any after it', async () => {
    expect(await settleOf(throwing(new Error('x')), { delivery: { attempt: 3 } })).toMatchObject(failed('error', 'x'));
    expect(await settleOf(throwing(new Error('x')), { delivery: { attempt: 9 } })).toMatchObject(failed('error', 'x'));
  });

  it('NonRetryable fails at once (RTY-05)', async () => {
    expect(await settleOf(throwing(new NonRetryable('hopeless')))).toMatchObject(failed('error', 'hopeless'));
  });

  it('RetryAfter chooses the delay, except on the last attempt (RTY-05)', async () => {
    const handler = throwing(new RetryAfter('10m', 'busy'));
    expect(await settleOf(handler)).toMatchObject({ ...retry('busy', 'RetryAfter'), delayMs: 600_000 });
    expect(await settleOf(handler, { delivery: { attempt: 3 } })).toMatchObject(failed('error', 'busy'));
  });

  it('Snooze uses no attempt, not even the last one', async () => {
    const settled = await settleOf(throwing(new Snooze('1h')), { delivery: { attempt: 3 } });
    expect(settled).toEqual({ type: 'snooze', lease: expect.anything(), delayMs: 3_600_000 });
  });
});

describe('the retry policy', () => {
  const failing = throwing(new Error('x'));
  const delayAt = async (
    definition: Parameters<typeof defineTask>[0]['retry'],
    attempt: number,
    maxAttempts: number,
  ) => {
    const work = defineTask({ name: 'work', retry: definition! });
    const settled = await settleOf(failing, {
      definition: work,
      delivery: { attempt, maxAttempts },
      random: () => 0.5,
    });
    return settled.type === 'retry' ? settled.delayMs : settled.type;
  };

  it('is told what happened', async () => {
    const seen: unknown[] = [];
    const error = new Error('x');
    const rule = (failure: unknown): '2s' => {
      seen.push(failure);
      return '2s';
    };
    const work = defineTask({ name: 'work', retry: custom(rule) });
    expect(await settleOf(throwing(error), { definition: work, delivery: { attempt: 2 } })).toMatchObject({
      delayMs: 2_000,
    });
    expect(seen).toEqual([{ attempt: 2, kind: 'error', error }]);
  });

  it('gets the worker’s random number', async () => {
    const policy = fixed({ attempts: 3, delay: '1s', jitter: 'full' });
    expect(await delayAt(policy, 1, 3)).toBe(500);
  });

  it('may give up', async () => {
    expect(
      await delayAt(
        custom(() => 'give up'),
        1,
        9,
      ),
    ).toBe('fail');
  });

  it('is capped by the task’s own attempts', async () => {
    expect(await delayAt(exponential({ attempts: 9, jitter: 'none' }), 2, 3)).toBe(2_000);
    expect(await delayAt(exponential({ attempts: 9, jitter: 'none' }), 3, 3)).toBe('fail');
  });

  it('goes on with its last delay when the task was given more attempts', async () => {
    const policy = delays(['1s', '7s']);
    expect(await Promise.all([1, 2, 3, 8, 9].map((attempt) => delayAt(policy, attempt, 9)))).toEqual([
      1_000,
      7_000,
      7_000,
      7_000,
      'fail',
    ]);
  });

  it('is the default one when a task of a definition without retries was given some', async () => {
    expect(await delayAt(none(), 1, 3)).toBe(750);
    expect(await delayAt(none(), 2, 3)).toBe(1_500);
    expect(await delayAt(none(), 1, 1)).toBe('fail');
  });

  it.each<[string, () => unknown]>([
    ['throws', throwing(new Error('in the rule'))],
    ['returns nothing', () => undefined],
    ['returns NaN', () => Number.NaN],
    ['returns a negative number', () => -1],
    ['returns a promise', async () => 1_000],
    ['rejects', async () => throwing(new Error('async'))()],
  ])('that %s ends the task as failed, with the handler’s error, and is reported', async (_name, rule) => {
    for (const policy of [custom(rule as never), { attempts: 9, delay: rule as never }]) {
      const work = defineTask({ name: 'work', retry: policy });
      const single = new SingleRun(failing, { definition: work, delivery: { maxAttempts: 9 } }).start();
      expect(await single.settled()).toMatchObject(failed('error', 'x'));
      expect(single.warnings).toEqual([expect.stringMatching(/^the retry policy threw or gave no duration/)]);
    }
  });

  it('may be anybody’s object; a broker gets whole milliseconds', async () => {
    expect(await delayAt({ attempts: 9, delay: () => 0.5 }, 1, 9)).toBe(1);
    expect(await delayAt({ attempts: 9, delay: () => '3s' as never }, 1, 9)).toBe(3_000);
  });
});

describe('a delay longer than the broker can keep', () => {
  // The single run's broker keeps 1,000,000,000 ms, which is less than twelve days.
  it.each<[string, () => never, string]>([
    ['of the policy', throwing(new Error('x')), 'x'],
    ['of RetryAfter', throwing(new RetryAfter('12d', 'busy')), 'busy'],
    ['of Snooze', throwing(new Snooze('12d')), 'a delay of 1036800000 ms is longer than the 1000000000 ms'],
  ])('%s ends the task as failed, and is reported', async (_name, handler, message) => {
    const definition = defineTask({ name: 'work', retry: fixed({ attempts: 3, delay: '12d' }) });
    const single = new SingleRun(handler, { definition }).start();
    expect(await single.settled()).toMatchObject(failed('error', expect.stringContaining(message)));
    expect(single.warnings).toEqual([expect.stringContaining('longer than')]);
    expect(await settleOf(throwing(new Snooze(1_000_000_000)))).toMatchObject({ type: 'snooze' });
  });
});

describe('validation', () => {
  const upper = defineTask({
    name: 'work',
    input: z.object({ to: z.string().toUpperCase() }),
    output: z.object({ id: z.string().transform((id) => id.length) }),
  });

  it('gives the handler the schema’s output, and stores what the output schema makes', async () => {
    const handler = ({ to }: { to: string }): unknown => ({ id: to });
    expect(await settleOf(handler, { definition: upper, input: { to: 'ab' } })).toMatchObject({ output: '{"id":2}' });
  });

  it.each<[string, object]>([
    ['a wrong input', { input: { to: 5 } }],
    ['no input', {}],
    ['an input that is no JSON (PAY-12)', { delivery: { input: '{' } }],
    ['bytes that are none', { delivery: { input: 'b64:?' } }],
  ])('fails at once as invalid for %s, and never runs the handler', async (_name, options) => {
    let runs = 0;
    const settled = await settleOf(() => void runs++, { definition: upper, ...options });
    expect(settled).toMatchObject(failed('invalid', expect.any(String)));
    expect(runs).toBe(0);
  });

  it('fails at once as invalid for a wrong output', async () => {
    const options = { definition: upper, input: { to: 'a' } };
    expect(await settleOf(() => ({ id: 5 }), options)).toMatchObject(
      failed('invalid', expect.stringMatching(/^output/)),
    );
    expect(await settleOf(async () => {}, options)).toMatchObject(failed('invalid', expect.stringMatching(/^output/)));
  });

  it('works with async schemas on both sides', async () => {
    const twice = schema(async (value) =>
      typeof value === 'number' ? { value: value * 2 } : { issues: [{ message: 'no number' }] },
    );
    const definition = defineTask({ name: 'work', input: twice, output: twice });
    const handler = (input: number): number => input + 1;
    expect(await settleOf(handler, { definition, input: 5 })).toMatchObject({ type: 'complete', output: '22' });
    expect(await settleOf(handler, { definition, input: 'x' })).toMatchObject(
      failed('invalid', expect.stringContaining('no number')),
    );
    expect(await settleOf(() => 'x', { definition, input: 5 })).toMatchObject(
      failed('invalid', expect.stringContaining('output')),
    );
  });

  it('retries when a schema throws by itself: that is a defect, not a verdict', async () => {
    for (const broken of [schema(throwing(new Error('defect'))), schema(async () => throwing(new Error('defect'))())]) {
      const input = defineTask({ name: 'work', input: broken, retry: retried.retry });
      expect(await settleOf(() => {}, { definition: input })).toMatchObject(retry('defect'));
      const output = defineTask({ name: 'work', output: broken, retry: retried.retry });
      expect(await settleOf(() => {}, { definition: output })).toMatchObject(retry('defect'));
    }
  });

  it('survives a schema that rejects with something hostile', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const hostile = defineTask({ name: 'work', output: schema(async () => throwing(proxy)()), retry: retried.retry });
    expect(await settleOf(() => {}, { definition: hostile })).toMatchObject({ type: 'retry' });
  });

  it('gives each run its own copy of the input (RTY-10)', async () => {
    const seen: unknown[] = [];
    const handler = (input: { list: number[] }): void => {
      seen.push(structuredClone(input));
      input.list.push(9);
    };
    const options = { delivery: { input: '{"list":[1]}' } };
    await settleOf(handler, options);
    await settleOf(handler, options);
    expect(seen).toEqual([{ list: [1] }, { list: [1] }]);
  });
});

describe('middleware', () => {
  const outcome = ({ type, ...rest }: SettleOp): unknown => ('output' in rest ? `${type} ${rest.output}` : type);

  it('wraps the handler, first in the list outermost, and sees the same context', async () => {
    const order: unknown[] = [];
    const layer = (name: string) => async (context: { id: string }, next: () => Promise<unknown>) => {
      order.push(`${name} in ${typeof context.id}`);
      const value = await next();
      order.push(`${name} out ${value}`);
      return value;
    };
    const settled = await settleOf(() => 5, { middleware: [layer('a'), layer('b')] });
    expect(outcome(settled)).toBe('complete 5');
    expect(order).toEqual(['a in string', 'b in string', 'b out 5', 'a out 5']);
  });

  it('may change what is returned, or answer without the handler', async () => {
    let runs = 0;
    const handler = (): number => ++runs;
    const doubled = await settleOf(handler, { middleware: [async (_context, next) => Number(await next()) * 2] });
    const cached = await settleOf(handler, { middleware: [async () => 'cached'] });
    expect([outcome(doubled), outcome(cached), runs]).toEqual(['complete 2', 'complete "cached"', 1]);
  });

  it('may swallow an error, throw its own, or throw before anything', async () => {
    const failing = throwing(new Error('handler'));
    const swallow = await settleOf(failing, { middleware: [async (_context, next) => next().catch(() => 'saved')] });
    const replace = await settleOf(failing, {
      middleware: [async (_context, next) => next().catch(throwing(new NonRetryable('mine')))],
    });
    const early = await settleOf(failing, { middleware: [throwing(new Error('early'))] });
    expect(outcome(swallow)).toBe('complete "saved"');
    expect(replace).toMatchObject(failed('error', 'mine'));
    expect(early).toMatchObject(retry('early'));
  });

  it('lets what the handler throws through, Snooze and the like included', async () => {
    const settled = await settleOf(throwing(new Snooze('5s')), { middleware: [async (_context, next) => next()] });
    expect(settled).toMatchObject({ type: 'snooze', delayMs: 5_000 });
  });

  it('cannot run the handler twice', async () => {
    let runs = 0;
    const greedy = async (_context: unknown, next: () => Promise<unknown>): Promise<unknown> => {
      await next();
      return next();
    };
    expect(await settleOf(() => ++runs, { middleware: [greedy] })).toMatchObject(
      retry('a middleware called next twice'),
    );
    expect(runs).toBe(1);
  });

  it('is not asked about an invalid input', async () => {
    const definition = defineTask({ name: 'work', input: z.string() });
    const middleware = [async () => 'never'];
    expect(await settleOf(() => {}, { definition, middleware, input: 5 })).toMatchObject({ type: 'fail' });
  });
});
