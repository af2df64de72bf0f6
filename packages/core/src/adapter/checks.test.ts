import { describe, expect, it } from 'vitest';
import { everything } from '../../test/scripted-broker.ts';
import type { ClaimRequest, SessionOptions } from '../broker/session.ts';
import { ValidationError } from '../errors.ts';
import { checkKnownOptions, kindOf } from '../known-options.ts';
import type { NewTask } from '../task.ts';
import {
  checkClaimIds,
  checkClaimRequest,
  checkInteger,
  checkName,
  checkSessionOptions,
  findTaskError,
  payloadBytes,
} from './checks.ts';

// BAD-02: what is no whole number.
const notWhole = [Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, '1', null, 2 ** 53, true, 1n, {}];

describe('checkName (BAD-03, PAY-13)', () => {
  it.each(['a', ' ', 'a.b/c', "it's", '😀', '*.#>', 'amq.direct', '\n', 'x'.repeat(255), 'é'.repeat(127)])(
    'takes %j as it is',
    (name) => {
      expect(checkName(name, 'queue')).toBe(name);
    },
  );

  it.each<[unknown, RegExp]>([
    ['', /must not be empty/],
    ['x'.repeat(256), /at most 255 bytes/],
    ['é'.repeat(128), /at most 255 bytes of UTF-8/],
    ['😀'.repeat(64), /at most 255 bytes/],
    ['a\0', /U\+0000/],
    ['\ud800', /lone surrogates/],
    [5, /must be a string; got 5/],
    [undefined, /got undefined/],
    [['a'], /got an array/],
  ])('refuses %j', (name, message) => {
    expect(() => checkName(name, 'queue')).toThrow(message);
    expect(() => checkName(name, 'queue')).toThrow(
      expect.objectContaining({ code: 'VALIDATION', option: 'queue', reason: 'invalid-name' }),
    );
  });
});

describe('checkInteger', () => {
  it('takes what is within the bounds, both included', () => {
    expect([checkInteger(0, 'n', 0, 9), checkInteger(9, 'n', 0, 9)]).toEqual([0, 9]);
  });

  it.each([...notWhole, 10])('refuses %s', (value) => {
    expect(() => checkInteger(value, 'n', 0, 9)).toThrow(/^n must be a whole number from 0 to 9; got /);
  });
});

describe('checkKnownOptions (BAD-01)', () => {
  it('names the unknown option and the known ones', () => {
    expect(() => checkKnownOptions({ a: 1, dealy: 2 }, ['a', 'delay'], 'enqueue')).toThrow(
      "enqueue has no option 'dealy'; it knows a, delay",
    );
    expect(() => checkKnownOptions({ a: undefined }, ['a'], 'enqueue')).not.toThrow();
  });
});

describe('findTaskError', () => {
  const task: NewTask = {
    id: 'a',
    name: 'work',
    queue: 'default',
    headers: { trace: 'x' },
    priority: 4,
    delayMs: 0,
    maxAttempts: 5,
    version: 1,
  };

  it('finds nothing wrong with a full and valid task', () => {
    const full: NewTask = {
      ...task,
      input: '{}',
      runAt: -1,
      expiresAt: 8_640_000_000_000_000,
      expiresInMs: 0,
      maxAttempts: Number.POSITIVE_INFINITY,
      timeoutMs: 1,
      key: 'k',
      keyUntil: 'started',
      onConflict: 'replace',
      group: 'g',
      owner: 'o',
      fresh: true,
    };
    expect(findTaskError(full, everything)).toBeUndefined();
  });

  it.each<[string, Partial<Record<keyof NewTask, unknown>>]>([
    ['id', { id: '' }],
    ['name', { name: 'a\0' }],
    ['queue', { queue: 'x'.repeat(256) }],
    ['key', { key: '' }],
    ['group', { group: 5 }],
    ['owner', { owner: '' }],
    ['maxAttempts', { maxAttempts: 0 }],
    ['timeout', { timeoutMs: 0 }],
    ['delay', { delayMs: everything.delay.maxMs + 1 }],
    ['expires', { expiresInMs: everything.delay.maxMs + 1 }],
    ['runAt', { runAt: Number.NaN }],
    ['runAt', { runAt: 8_640_000_000_000_001 }],
    ['expiresAt', { expiresAt: 1.5 }],
    ['headers', { headers: { '': 'x' } }],
    ['headers', { headers: { a: 5 } }],
    ...notWhole.map((value) => ['priority', { priority: value }] as [string, object]),
    ...notWhole.map((value) => ['delay', { delayMs: value }] as [string, object]),
    ...notWhole.map((value) => ['version', { version: value }] as [string, object]),
  ])('finds a wrong %s', (option, changes) => {
    const error = findTaskError({ ...task, ...changes } as NewTask, everything);
    expect(error).toBeInstanceOf(ValidationError);
    expect(error?.option).toBe(option);
  });

  it('counts input and headers in bytes of UTF-8, and takes exactly as many as allowed (PAY-07)', () => {
    const { maxBytes } = everything.payload;
    const left = maxBytes - 'trace'.length - 1;
    expect(findTaskError({ ...task, input: 'é'.repeat(left / 2) }, everything)).toBeUndefined();
    const error = findTaskError({ ...task, input: `${'é'.repeat(left / 2)}x` }, everything);
    expect(error).toMatchObject({ reason: 'payload-too-large', option: 'input' });
    expect(error?.message).toMatch(/take 1001 bytes, more than the 1000/);
    expect(findTaskError({ ...task, headers: { big: 'x'.repeat(maxBytes) } }, everything)).toBeDefined();
  });

  it('lets through what is no verdict', () => {
    const hostile = {
      ...task,
      get name(): never {
        throw new TypeError('from the getter');
      },
    };
    expect(() => findTaskError(hostile, everything)).toThrow(TypeError);
  });
});

describe('checkClaimRequest (BAD-03)', () => {
  const request: ClaimRequest = { queues: ['default'], names: ['work'], limit: 1, waitMs: 0 };

  it('takes the bounds', () => {
    const most = { ...request, limit: everything.batch.maxClaim, waitMs: 2_147_483_647 };
    expect(() => checkClaimRequest(most, everything)).not.toThrow();
  });

  it.each<[string, object]>([
    ['limit', { limit: 0 }],
    ['limit', { limit: everything.batch.maxClaim + 1 }],
    ['waitMs', { waitMs: 2 ** 31 }],
    ['queues', { queues: [] }],
    ['queues', { queues: ['a', ''] }],
    ['names', { names: [] }],
    ['names', { names: [5] }],
    ...notWhole.map((value) => ['limit', { limit: value }] as [string, object]),
    ...notWhole.map((value) => ['waitMs', { waitMs: value }] as [string, object]),
  ])('refuses a wrong %s', (option, changes) => {
    expect(() => checkClaimRequest({ ...request, ...changes }, everything)).toThrow(
      expect.objectContaining({ option }),
    );
  });
});

describe('checkSessionOptions (LSE-13)', () => {
  const options: SessionOptions = { instance: 'a', host: 'b', ttlMs: 1_000, onSignal: () => {} };

  it.each<[string, object]>([
    ['instance', { instance: '' }],
    ['host', { host: 'a\0' }],
    ['ttl', { ttlMs: everything.session.minTtlMs - 1 }],
    ['ttl', { ttlMs: everything.session.maxTtlMs + 1 }],
    ...notWhole.map((value) => ['ttl', { ttlMs: value }] as [string, object]),
  ])('refuses a wrong %s', (option, changes) => {
    expect(() => checkSessionOptions(options, everything)).not.toThrow();
    expect(() => checkSessionOptions({ ...options, ...changes }, everything)).toThrow(
      expect.objectContaining({ option }),
    );
  });
});

it('describes values without showing their content (BAD-09)', () => {
  expect([null, undefined, [1], {}, 'secret', 5, Number.NaN, 5n, () => {}].map(kindOf)).toEqual([
    'null',
    'undefined',
    'an array',
    'object',
    'string',
    '5',
    'NaN',
    'bigint',
    'function',
  ]);
});

it('counts bytes, not characters', () => {
  expect([undefined, '', 'aé😀'].map(payloadBytes)).toEqual([0, 0, 7]);
});

describe('checkClaimIds (CBI-13)', () => {
  const capabilities = { ...everything, batch: { ...everything.batch, maxClaim: 3 } };

  it('takes ids of any text, each once', () => {
    expect(() => checkClaimIds(['a', '', 'b\0'], capabilities)).not.toThrow();
  });

  it.each<[unknown, string, RegExp]>([
    [[], 'ids.length', /from 1 to 3/],
    [['a', 'b', 'c', 'd'], 'ids.length', /from 1 to 3; got 4/],
    [['a', 'b', 'a'], 'ids', /each task once; 'a' is there twice/],
    [['a', 7], 'ids', /must hold strings; got 7/],
    ['abc', 'ids', /a list of task ids/],
    [undefined, 'ids', /got undefined/],
  ])('refuses %j', (ids, option, message) => {
    const refusal = expect.objectContaining({ code: 'VALIDATION', option, message: expect.stringMatching(message) });
    expect(() => checkClaimIds(ids as string[], capabilities)).toThrow(refusal);
  });
});
