import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineTask, typed } from './define-task.ts';
import { defaultRetry, exponential, none } from './retry-policy.ts';

describe('defineTask', () => {
  it('fills in defaults', () => {
    expect(defineTask({ name: 'email.send' })).toEqual({
      name: 'email.send',
      queue: 'default',
      input: undefined,
      output: undefined,
      retry: defaultRetry,
      timeoutMs: undefined,
      priority: 4,
      version: 1,
    });
  });

  it('keeps what it is given, and is frozen', () => {
    const input = z.object({ to: z.string() });
    const retry = exponential({ attempts: 2 });
    const definition = defineTask({ name: 'a', queue: 'q', input, retry, timeout: '30s', priority: 0, version: 7 });
    expect(definition).toMatchObject({ queue: 'q', timeoutMs: 30_000, priority: 0, version: 7 });
    expect(definition.input).toBe(input);
    expect(definition.retry).toBe(retry);
    expect(Object.isFrozen(definition)).toBe(true);
  });

  it('takes schemas that are functions, as arktype makes them', () => {
    const schema = Object.assign(() => {}, typed<number>());
    expect(defineTask({ name: 'a', input: schema }).input).toBe(schema);
  });

  it.each<[string, object]>([
    ['name', {}],
    ['name', { name: '' }],
    ['name', { name: 5 }],
    ['name', { name: 'x'.repeat(256) }],
    ['name', { name: 'é'.repeat(128) }],
    ['name', { name: 'a\0b' }],
    ['name', { name: '\ud800' }],
    ['queue', { name: 'a', queue: '' }],
    ['queue', { name: 'a', queue: 7 }],
    ['input', { name: 'a', input: {} }],
    ['input', { name: 'a', input: null }],
    ['input', { name: 'a', input: 'string' }],
    ['output', { name: 'a', output: { parse: () => 1 } }],
    ['retry', { name: 'a', retry: { attempts: 5 } }],
    ['retry', { name: 'a', retry: 5 }],
    ['retry.attempts', { name: 'a', retry: { attempts: 0, delay: () => 1 } }],
    ['retry.attempts', { name: 'a', retry: { ...none(), attempts: '5' } }],
    ['timeout', { name: 'a', timeout: 0 }],
    ['timeout', { name: 'a', timeout: '0s' }],
    ['timeout', { name: 'a', timeout: '5 minutes' }],
    ['timeout', { name: 'a', timeout: Number.NaN }],
    ['priority', { name: 'a', priority: 10 }],
    ['priority', { name: 'a', priority: -1 }],
    ['priority', { name: 'a', priority: 4.5 }],
    ['priority', { name: 'a', priority: '4' }],
    ['version', { name: 'a', version: -1 }],
    ['version', { name: 'a', version: 2 ** 31 }],
    ['retries', { name: 'a', retries: 5 }],
  ])('refuses a wrong %s: %j (BAD-01, BAD-02, BAD-03)', (option, options) => {
    expect(() => defineTask(options as never)).toThrow(expect.objectContaining({ code: 'VALIDATION', option }));
  });

  it('takes hostile but well-formed names (PAY-13)', () => {
    for (const name of ['amq.x', "a'; drop table", 'a/b\\c', '*.#', '😀', ' ', '\n', 'x'.repeat(255)]) {
      expect(defineTask({ name }).name).toBe(name);
    }
  });
});

describe('typed', () => {
  it('is a Standard Schema that lets everything through', () => {
    const standard = typed<{ a: number }>()['~standard'];
    expect(standard.version).toBe(1);
    expect(standard.validate(5)).toEqual({ value: 5 });
  });
});
