import { describe, expect, it } from 'vitest';
import { defineTask } from '../define-task.ts';
import { exponential } from '../retry-policy.ts';
import { buildTask } from './enqueue-options.ts';

const definition = defineTask({
  name: 'work',
  queue: 'line',
  priority: 6,
  version: 3,
  retry: exponential({ attempts: 7 }),
});
const uuidv7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('buildTask', () => {
  it('takes everything from the definition', () => {
    expect(buildTask(definition, '{"a":1}', undefined, undefined)).toEqual({
      id: expect.stringMatching(uuidv7),
      name: 'work',
      queue: 'line',
      input: '{"a":1}',
      headers: {},
      priority: 6,
      delayMs: 0,
      maxAttempts: 7,
      version: 3,
      fresh: true,
    });
  });

  it('leaves out what is absent', () => {
    const task = buildTask(defineTask({ name: 'a' }), undefined, {}, undefined);
    expect('input' in task || 'timeoutMs' in task || 'key' in task).toBe(false);
    expect(buildTask(defineTask({ name: 'a', timeout: '3s' }), undefined, {}, undefined).timeoutMs).toBe(3_000);
  });

  it('makes ids that sort by time, and never twice the same', () => {
    const ids = Array.from({ length: 1_000 }, () => buildTask(definition, undefined, undefined, undefined).id);
    expect(new Set(ids).size).toBe(1_000);
    expect([...ids].sort()).toEqual(ids);
  });

  it('promises freshness only for an id it made (DUP-09)', () => {
    const task = buildTask(definition, undefined, { id: 'mine' }, undefined);
    expect(task.id).toBe('mine');
    expect('fresh' in task).toBe(false);
  });

  it('lets options win', () => {
    const runAt = new Date(1_000);
    const options = {
      id: 'i',
      runAt,
      expires: new Date(2_000),
      priority: 0,
      attempts: Number.POSITIVE_INFINITY,
      timeout: '5s',
      queue: 'q',
      key: 'k',
      keyUntil: 'started',
      onConflict: 'replace',
      group: 'g',
      owner: 'o',
    } as const;
    expect(buildTask(definition, undefined, options, undefined)).toEqual({
      id: 'i',
      name: 'work',
      queue: 'q',
      headers: {},
      priority: 0,
      delayMs: 0,
      runAt: 1_000,
      expiresAt: 2_000,
      maxAttempts: Number.POSITIVE_INFINITY,
      timeoutMs: 5_000,
      key: 'k',
      keyUntil: 'started',
      onConflict: 'replace',
      group: 'g',
      owner: 'o',
      version: 3,
    });
  });

  it('sends spans as spans, so that the client’s clock does not matter', () => {
    const task = buildTask(definition, undefined, { delay: '5m', expires: '1h' }, undefined);
    expect([task.delayMs, task.expiresInMs, task.runAt, task.expiresAt]).toEqual([
      300_000,
      3_600_000,
      undefined,
      undefined,
    ]);
  });

  it('keeps a key until the task has ended, and ignores conflicts, by default', () => {
    expect(buildTask(definition, undefined, { key: 'k' }, undefined)).toMatchObject({
      keyUntil: 'settled',
      onConflict: 'ignore',
    });
  });

  it('merges headers, the call’s own last, into objects of its own', () => {
    const inherited = { trace: '1', tenant: 'a' };
    const own = { tenant: 'b' };
    const task = buildTask(definition, undefined, { headers: own }, inherited);
    expect(task.headers).toEqual({ trace: '1', tenant: 'b' });
    const copied = buildTask(definition, undefined, undefined, inherited);
    inherited.trace = 'changed';
    own.tenant = 'changed';
    expect([task.headers, copied.headers]).toEqual([
      { trace: '1', tenant: 'b' },
      { trace: '1', tenant: 'a' },
    ]);
  });

  it('ignores options that are undefined', () => {
    const options = { id: undefined, delay: undefined, key: undefined, keyUntil: undefined, headers: undefined };
    expect(buildTask(definition, undefined, options as never, undefined)).toMatchObject({ delayMs: 0, fresh: true });
  });

  it.each<[string, object]>([
    ['dealy', { dealy: '5m' }],
    ['id', { id: '' }],
    ['id', { id: 5 }],
    ['id', { id: 'x'.repeat(256) }],
    ['delay', { delay: '5 minutes' }],
    ['delay', { delay: -1 }],
    ['delay', { delay: Number.NaN }],
    ['delay', { delay: new Date() }],
    ['runAt', { runAt: '2030-01-01' }],
    ['runAt', { runAt: 5 }],
    ['runAt', { runAt: new Date('never') }],
    ['runAt', { runAt: new Date(), delay: 5 }],
    ['expires', { expires: 'soon' }],
    ['expires', { expires: new Date('never') }],
    ['priority', { priority: 10 }],
    ['priority', { priority: 1.5 }],
    ['priority', { priority: '4' }],
    ['priority', { priority: Number.NaN }],
    ['attempts', { attempts: 0 }],
    ['attempts', { attempts: '3' }],
    ['timeout', { timeout: 0 }],
    ['timeout', { timeout: '0s' }],
    ['queue', { queue: '' }],
    ['key', { key: '' }],
    ['keyUntil', { keyUntil: 'started' }],
    ['keyUntil', { key: 'k', keyUntil: 'forever' }],
    ['onConflict', { onConflict: 'replace' }],
    ['onConflict', { key: 'k', onConflict: 'merge' }],
    ['group', { group: '' }],
    ['owner', { owner: 5 }],
  ])('refuses a wrong %s: %j', (option, options) => {
    expect(() => buildTask(definition, undefined, options as never, undefined)).toThrow(
      expect.objectContaining({ code: 'VALIDATION', option }),
    );
  });
});
