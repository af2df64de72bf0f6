import { describe, expect, it } from 'vitest';
import * as errors from './errors.ts';

const { MillraceError, isMillraceError, TaskFailedError, AbortedError, UnsupportedError, ValidationError } = errors;

const cause = new Error('underneath');
const details = { op: 'enqueue', adapter: 'memory', option: 'delay', reason: 'too-long', cause } as const;

const each: readonly (readonly [string, errors.ErrorCode, errors.Retryable, errors.MillraceError])[] = [
  ['ConfigurationError', 'CONFIGURATION', 'no', new errors.ConfigurationError('m', details)],
  ['UnsupportedError', 'UNSUPPORTED', 'no', new UnsupportedError('tasks.cancel', 'm', details)],
  ['ValidationError', 'VALIDATION', 'no', new ValidationError('m', details)],
  ['UnavailableError', 'UNAVAILABLE', 'safe', new errors.UnavailableError('m', details)],
  ['IndeterminateError', 'INDETERMINATE', 'idempotent-only', new errors.IndeterminateError('m', details)],
  ['BackpressureError', 'BACKPRESSURE', 'safe', new errors.BackpressureError('m', details)],
  ['ClosedError', 'CLOSED', 'no', new errors.ClosedError('m', details)],
  ['AbortedError', 'ABORTED', 'idempotent-only', new AbortedError('caller', 'm', details)],
  ['LeaseLostError', 'LEASE_LOST', 'no', new errors.LeaseLostError('m', details)],
  ['CorruptTaskError', 'CORRUPT_TASK', 'no', new errors.CorruptTaskError('m', details)],
  ['NotFoundError', 'NOT_FOUND', 'no', new errors.NotFoundError('m', details)],
  ['TaskFailedError', 'TASK_FAILED', 'no', new TaskFailedError('m', { ...details, taskId: 'a', state: 'failed' })],
];

describe('errors', () => {
  it.each(each)('%s has the code %s and is retryable: %s', (name, code, retryable, error) => {
    expect(error).toBeInstanceOf(MillraceError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name, code, retryable, message: 'm', ...details });
    expect(error.stack).toContain(`${name}: m`);
    expect(isMillraceError(error)).toBe(true);
    expect(isMillraceError(error, code)).toBe(true);
    expect(isMillraceError(error, code === 'CLOSED' ? 'ABORTED' : 'CLOSED')).toBe(false);
  });

  it('has a class for every exported name', () => {
    const classes = Object.keys(errors).filter((name) => name.endsWith('Error') && /^[A-Z]/.test(name));
    expect(classes.sort()).toEqual(['MillraceError', ...each.map(([name]) => name)].sort());
  });

  it('has no cause of its own, and no marker that shows', () => {
    const error = new ValidationError('m');
    expect('cause' in error).toBe(false);
    expect(Object.keys(error)).not.toContain('cause');
    expect(JSON.stringify(error)).not.toContain('millrace');
    expect(error.issues).toEqual([]);
  });

  it('says why a signal was aborted, and who may repeat', () => {
    const whys = ['caller', 'cancelled', 'paused', 'removed', 'timeout', 'shutdown'] as const;
    expect(whys.map((why) => [why, new AbortedError(why, 'm').retryable])).toEqual([
      ['caller', 'idempotent-only'],
      ['cancelled', 'no'],
      ['paused', 'no'],
      ['removed', 'no'],
      ['timeout', 'idempotent-only'],
      ['shutdown', 'no'],
    ]);
  });

  it('tells what kind of failure ended a task, and none when it was cancelled', () => {
    const failed = new TaskFailedError('m', { taskId: 'a', state: 'failed', kind: 'timeout' });
    expect(failed).toMatchObject({ taskId: 'a', state: 'failed', kind: 'timeout' });
    expect(new TaskFailedError('m', { taskId: 'a', state: 'cancelled' }).kind).toBeUndefined();
  });
});

describe('isMillraceError', () => {
  it('knows the errors of another copy of the package', async () => {
    const second = './errors.ts?second';
    const other = (await import(/* @vite-ignore */ second)) as typeof errors;
    expect(other.MillraceError).not.toBe(MillraceError);
    const error = new other.UnavailableError('m');
    expect(error).not.toBeInstanceOf(MillraceError);
    expect(isMillraceError(error, 'UNAVAILABLE')).toBe(true);
    expect(other.isMillraceError(new ValidationError('m'), 'VALIDATION')).toBe(true);
  });

  it.each([undefined, null, 'UNAVAILABLE', 5, Symbol('x'), new Error('x'), { code: 'UNAVAILABLE' }, () => {}])(
    'does not know %s',
    (value) => {
      expect(isMillraceError(value)).toBe(false);
    },
  );

  it('answers for a proxy that throws, and for a revoked one', () => {
    const hostile = new Proxy(
      {},
      {
        has: () => {
          throw new Error('no');
        },
      },
    );
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect([isMillraceError(hostile), isMillraceError(proxy)]).toEqual([false, false]);
  });
});
