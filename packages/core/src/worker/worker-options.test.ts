import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { ScriptedBroker } from '../../test/scripted-broker.ts';
import { defineTask } from '../define-task.ts';
import { silentLogger } from '../logger.ts';
import { handle } from './handle.ts';
import { resolveWorkerOptions, type WorkerOptions } from './worker-options.ts';

const handler = handle(defineTask({ name: 'work' }), () => {});
const minimal: WorkerOptions = { broker: new ScriptedBroker(), handlers: [handler] };

describe('resolveWorkerOptions', () => {
  it('fills in defaults', () => {
    expect(resolveWorkerOptions(minimal)).toMatchObject({
      concurrency: 10,
      queues: undefined,
      prefetch: 'auto',
      sessionTtlMs: 30_000,
      host: hostname(),
      middleware: [],
      drainMs: 25_000,
      graceMs: 5_000,
      maintenanceMs: undefined,
      closeBroker: true,
    });
  });

  it('makes a new instance name each time', () => {
    const names = [resolveWorkerOptions(minimal), resolveWorkerOptions(minimal)].map(({ instance }) => instance);
    expect(names[0]).toContain(`-${process.pid}-`);
    expect(names[0]).not.toBe(names[1]);
  });

  it('takes what it is given', () => {
    const options = { queues: ['b', 'a', 'b'], prefetch: 0, maintenance: false, instance: 'me', drain: 0, grace: '0s' };
    expect(resolveWorkerOptions({ ...minimal, ...options } as WorkerOptions)).toMatchObject({
      queues: ['b', 'a'],
      prefetch: 0,
      maintenanceMs: false,
      instance: 'me',
      drainMs: 0,
      graceMs: 0,
    });
  });

  it('takes loggers with methods of their own kind', () => {
    expect(() => resolveWorkerOptions({ ...minimal, logger: console })).not.toThrow();
    expect(() => resolveWorkerOptions({ ...minimal, logger: silentLogger })).not.toThrow();
  });

  it.each<[string, object]>([
    ['broker', { broker: undefined }],
    ['broker', { broker: Promise.resolve(new ScriptedBroker()) }],
    ['heartbeatThread.url', { heartbeatThread: {} }],
    ['heartbeatThread.url', { heartbeatThread: { url: '' } }],
    ['heartbeatThread.blockedAtMost', { heartbeatThread: { url: 'a:', blockedAtMost: '1ms' } }],
    ['heartbeatThread.blockedAtMost', { heartbeatThread: { url: 'a:', blockedAtMost: 'soon' } }],
    ['heartbeatThread.ttl', { heartbeatThread: { url: 'a:', ttl: '1s' } }],
    ['options', { heartbeatThread: 'postgres://host' }],
    ['handlers', { handlers: [] }],
    ['handlers', { handlers: undefined }],
    ['handlers', { handlers: [handler.definition] }],
    ['handlers', { handlers: [handler, handler] }],
    ['concurrency', { concurrency: 0 }],
    ['concurrency', { concurrency: 1.5 }],
    ['concurrency', { concurrency: '5' }],
    ['concurrency', { concurrency: Number.POSITIVE_INFINITY }],
    ['queues', { queues: [] }],
    ['queues', { queues: 'default' }],
    ['queues', { queues: ['a', ''] }],
    ['prefetch', { prefetch: -1 }],
    ['prefetch', { prefetch: 'some' }],
    ['sessionTtl', { sessionTtl: 'long' }],
    ['instance', { instance: '' }],
    ['logger', { logger: { warn: () => {} } }],
    ['logger', { logger: 'console' }],
    ['middleware', { middleware: () => {} }],
    ['middleware', { middleware: [5] }],
    ['drain', { drain: -1 }],
    ['grace', { grace: Number.NaN }],
    ['maintenance', { maintenance: 0 }],
    ['maintenance', { maintenance: true }],
    ['concurency', { concurency: 5 }],
  ])('refuses a wrong %s (BAD-01, BAD-02, BAD-08)', (option, changes) => {
    expect(() => resolveWorkerOptions({ ...minimal, ...changes } as WorkerOptions)).toThrow(
      expect.objectContaining({ code: 'VALIDATION', option }),
    );
  });
});
