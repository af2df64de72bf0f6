import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock, turns, until } from '../../test/manual-clock.ts';
import { delivery, ScriptedBroker } from '../../test/scripted-broker.ts';
import type { SettleOp } from '../broker/session.ts';
import { defineTask } from '../define-task.ts';
import { silentLogger } from '../logger.ts';
import { createWorker, type Worker } from './create-worker.ts';
import { handle } from './handle.ts';
import type { TaskContext } from './task-context.ts';
import type { WorkerOptions } from './worker-options.ts';

const hostile = defineTask({ name: 'hostile' });
const good = defineTask({ name: 'good' });

let broker: ScriptedBroker;
let clock: ManualClock;
const rejections: unknown[] = [];
const noteRejection = (reason: unknown): void => void rejections.push(reason);

beforeEach(() => {
  broker = new ScriptedBroker();
  clock = new ManualClock();
  process.on('unhandledRejection', noteRejection);
});

afterEach(async () => {
  await turns();
  process.off('unhandledRejection', noteRejection);
  expect(rejections.splice(0)).toEqual([]);
});

/** A worker with two slots for a hostile and a good handler. */
function hire(run: (input: never, context: TaskContext) => unknown, options: Partial<WorkerOptions> = {}): Worker {
  return createWorker({
    broker,
    handlers: [handle(hostile, run as never), handle(good, () => 'done')],
    clock,
    concurrency: 2,
    logger: silentLogger,
    maintenance: false,
    ...options,
  });
}

const settledAs = (type: SettleOp['type']): SettleOp[] => broker.session.settled.filter((one) => one.type === type);

async function stopNow(worker: Worker): Promise<void> {
  const stopped = worker.stop({ force: true });
  await clock.advance(2_000);
  await stopped;
}

/** An array that no JSON can hold, an object that is no error, and so on. */
const unstorable = (): unknown[] => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  return [1n, { deep: [1n] }, cycle, () => {}, Symbol('s'), new Map(), 'x'.repeat(1_001), new Uint8Array(1_000)];
};

const thrown = (): unknown[] => {
  const cyclic = new Error('outer');
  cyclic.cause = cyclic;
  const getters = Object.defineProperty(new Error('x'), 'message', {
    get: () => {
      throw new Error('in the getter');
    },
  });
  return [undefined, null, '', 'text', 5, 1n, Symbol('s'), Object.freeze(new Error('cold')), cyclic, getters, {}];
};

describe('a handler', () => {
  it('that returns what cannot be stored ends its task as invalid; others go on', async () => {
    const values = unstorable();
    const worker = hire((input) => values[input]);
    broker.push(
      ...values.flatMap((_, index) => [
        delivery({ name: 'hostile', input: String(index) }),
        delivery({ name: 'good' }),
      ]),
    );
    await worker.start();
    await until(() => broker.session.settled.length === values.length * 2);
    expect(settledAs('fail').map((one) => one.type === 'fail' && one.failure.kind)).toEqual(
      values.map(() => 'invalid'),
    );
    expect(settledAs('complete')).toHaveLength(values.length);
    await stopNow(worker);
  });

  it.each(['at once', 'later'])('that throws anything %s is retried; others go on', async (when) => {
    const values = thrown();
    const worker = hire((input) => {
      if (when === 'at once') throw values[input];
      return Promise.reject(values[input]);
    });
    broker.push(
      ...values.flatMap((_, index) => [
        delivery({ name: 'hostile', input: String(index) }),
        delivery({ name: 'good' }),
      ]),
    );
    await worker.start();
    await until(() => broker.session.settled.length === values.length * 2);
    expect([settledAs('retry').length, settledAs('complete').length]).toEqual([values.length, values.length]);
    // What is stored is plain text.
    expect(JSON.parse(JSON.stringify(settledAs('retry')))).toEqual(settledAs('retry'));
    await stopNow(worker);
  });

  it('that never ends, deaf to its signal, loses its slot with its time; what it does later is dropped', async () => {
    const late: (() => void)[] = [];
    const worker = hire(() => new Promise<void>((resolve) => late.push(resolve)));
    broker.push(...[1, 2].map(() => delivery({ name: 'hostile', timeoutMs: 1_000 })), delivery({ name: 'good' }));
    await worker.start();
    await until(() => late.length === 2);
    await clock.advance(999);
    expect(broker.session.settled).toEqual([]);
    await clock.advance(10);
    expect([settledAs('retry').length, settledAs('complete').length, worker.running]).toEqual([2, 1, 0]);
    for (const resolve of late) resolve();
    await turns();
    expect(broker.session.settled).toHaveLength(3);
    await stopNow(worker);
  });

  it('that keeps the event loop busy past its time still has its outcome taken once', async () => {
    const worker = hire(() => {
      const end = performance.now() + 30;
      while (performance.now() < end);
      return 'late';
    });
    broker.push(
      ...Array.from({ length: 4 }, () => delivery({ name: 'hostile', timeoutMs: 1 })),
      delivery({ name: 'good' }),
    );
    await worker.start();
    await until(() => broker.session.settled.length === 5);
    await clock.advance(100);
    expect(settledAs('complete')).toHaveLength(5);
    await stopNow(worker);
  });

  it('whose outcome the broker refuses for good fails; the outcomes of others are taken', async () => {
    const logged: unknown[] = [];
    const logger = { ...silentLogger, error: (...line: unknown[]) => void logged.push(line) };
    const worker = hire(() => 'poison', { logger });
    await worker.start();
    broker.session.onSettle = async (operations) => {
      if (operations.some((one) => one.type === 'complete' && one.output === '"poison"')) throw new TypeError('no');
      return operations.map(() => 'applied');
    };
    const bad = delivery({ name: 'hostile' });
    broker.push(bad, delivery({ name: 'good' }), delivery({ name: 'good' }));
    await until(() => settledAs('complete').length > 2);
    broker.push(delivery({ name: 'good' }));
    await clock.advance(20_000);
    expect(settledAs('fail')).toEqual([
      {
        type: 'fail',
        lease: bad.lease,
        failure: expect.objectContaining({ kind: 'invalid', name: 'TypeError', message: 'no' }),
      },
    ]);
    expect(logged).toEqual([
      [expect.objectContaining({ taskId: bad.lease.taskId, operation: 'complete' }), expect.stringMatching(/refuses/)],
    ]);
    expect(await worker.stop()).toEqual({ drained: 0, released: 0, unconfirmed: 0, abandoned: 0 });
  });

  it('that changes its context harms only its own run', async () => {
    const worker = hire((_input, context) => {
      for (const key of ['id', 'signal', 'attempt', 'headers', 'log', 'progress']) {
        Reflect.set(context, key, undefined);
        Reflect.deleteProperty(context, key);
      }
      Object.assign(context.headers, { mine: 'x' });
      return context.id;
    });
    broker.push(delivery({ name: 'hostile' }), delivery({ name: 'good' }));
    await worker.start();
    await until(() => broker.session.settled.length === 2);
    expect(settledAs('complete')).toHaveLength(2);
    await stopNow(worker);
  });

  it('that logs and reports in a loop neither fills the memory nor the wire', async () => {
    const worker = hire((_input, { log, progress }) => {
      for (let line = 0; line < 20_000; line++) {
        log.info({ line }, 'again');
        progress(line);
      }
    });
    broker.push(delivery({ name: 'hostile' }));
    await worker.start();
    await until(() => broker.session.settled.length === 1);
    expect(broker.session.reported).toEqual([expect.objectContaining({ progress: '19999' })]);
    expect(broker.session.reported[0]?.log).toHaveLength(100);
    await stopNow(worker);
  });
});
