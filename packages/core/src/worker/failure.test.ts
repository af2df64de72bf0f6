import { describe, expect, it } from 'vitest';
import { describeFailure } from './failure.ts';

const describeError = (error: unknown) => describeFailure(error, 'error', 'worker-1');

function throwing(): never {
  throw new Error('no');
}

describe('describeFailure (RTY-07, RTY-08)', () => {
  it('keeps name, message, stack, kind and worker of an error', () => {
    const failure = describeFailure(new TypeError('x is no y'), 'timeout', 'worker-1');
    expect(failure).toMatchObject({ kind: 'timeout', name: 'TypeError', message: 'x is no y', worker: 'worker-1' });
    expect(failure.stack).toMatch(/^TypeError: x is no y\n {4}at /);
  });

  it('puts the cause first, so that a long stack cannot push it out', () => {
    const cause = new Error('connection refused');
    const failure = describeError(new Error('outer'.repeat(2_000), { cause }));
    expect(failure.stack).toMatch(/^caused by: connection refused\nError: outer/);
    expect(describeError(new Error('outer', { cause: 'a text' })).stack).toMatch(/^caused by: a text\n/);
    expect(describeError(new Error('outer', { cause: null })).stack).toMatch(/^caused by: null\n/);
  });

  const circular: { self?: unknown; name?: string } = {};
  circular.self = circular;
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();
  const throwsAtEverything: unknown = new Proxy(new Error('x'), {
    get: throwing,
    has: throwing,
    getPrototypeOf: throwing,
    ownKeys: throwing,
  });
  const gettersThrow = Object.defineProperties(new Error('x'), {
    stack: { get: throwing },
    name: { get: throwing },
    message: { get: throwing },
    cause: { get: throwing },
  });

  // Functions that give the value: the test runner itself cannot show some of them.
  it.each<[string, () => unknown, string, string]>([
    ['a string', () => 'just text', 'NonError', 'just text'],
    ['an empty string', () => '', 'NonError', ''],
    ['null', () => null, 'NonError', 'null'],
    ['undefined', () => undefined, 'NonError', 'undefined'],
    ['a number', () => 5, 'NonError', '5'],
    ['a bigint', () => 5n, 'NonError', '5'],
    ['a symbol', () => Symbol('x'), 'NonError', 'Symbol(x)'],
    ['a plain object', () => ({ code: 7 }), 'NonError', '{"code":7}'],
    ['an object like an error', () => ({ name: 'Odd', message: 'm' }), 'Odd', 'm'],
    ['an object without a prototype', () => Object.create(null), 'NonError', '{}'],
    ['a circular object', () => circular, 'NonError', 'a value that cannot be shown'],
    ['an object with a bigint', () => ({ a: 1n }), 'NonError', 'a value that cannot be shown'],
    ['a frozen error', () => Object.freeze(new RangeError('cold')), 'RangeError', 'cold'],
    ['an error whose getters throw', () => gettersThrow, 'Error', ''],
    ['an error with odd fields', () => Object.assign(new Error('x'), { name: 5, message: {} }), 'Error', ''],
    ['a proxy that throws at everything', () => throwsAtEverything, 'NonError', 'a value that cannot be shown'],
    ['a revoked proxy', () => revoked, 'NonError', 'a value that cannot be shown'],
    ['an object whose toJSON throws', () => ({ toJSON: throwing }), 'NonError', 'a value that cannot be shown'],
  ])('describes %s', (_name, thrown, name, message) => {
    expect(describeError(thrown())).toMatchObject({ kind: 'error', name, message });
  });

  it('describes a function by its text', () => {
    expect(describeError(() => 'hello').message).toContain('hello');
  });

  it('bounds everything, without leaving half a character', () => {
    const error = new Error('😀'.repeat(5_000), { cause: new Error('c'.repeat(5_000)) });
    error.name = 'N'.repeat(5_000);
    const failure = describeError(error);
    expect([failure.name.length, failure.message.length, failure.stack?.length]).toEqual([200, 2_000, 4_000]);
    expect(failure.message.isWellFormed() && failure.stack?.isWellFormed()).toBe(true);
    expect(failure.message.endsWith('…')).toBe(true);
    expect(describeError('x'.repeat(2_000)).message).toBe('x'.repeat(2_000));
    expect(describeError('\ud800').message).toBe('\ufffd');
  });

  it('is made of plain text, so that it can be stored', () => {
    const failure = describeError(new Error('x'));
    expect(JSON.parse(JSON.stringify(failure))).toEqual(failure);
  });
});
