import { startProxy } from '@millrace/conformance';
import { type Capabilities, type Guard, type Lease, LeaseLostError, type NewTask, systemClock } from '@millrace/core';
import { memoryGuard } from '@millrace/memory';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { amqpBroker, type GuardedAmqpBroker } from '../src/index.ts';
import { encodeMessage, toMessage } from '../src/message.ts';
import { queueNameOf } from '../src/names.ts';
import { thinMessage } from '../src/thin-message.ts';
import {
  changed,
  changedSessions,
  freshPlace,
  openGuarded,
  type Place,
  readyIn,
  runUntil,
  withChannel,
} from './guarded-support.ts';
import { serverUrl } from './harness.ts';
import { brokerOf, claimOne, newTask, openSession } from './support.ts';

const opened: { close(): Promise<void> }[] = [];
const request = { queues: ['line'], names: ['work'], limit: 10, waitMs: 500 };

async function open(place: Place, options: Parameters<typeof openGuarded>[1] = {}): Promise<GuardedAmqpBroker> {
  const broker = await openGuarded(place, options);
  opened.push(broker);
  return broker;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((broker) => broker.close()));
});

describe('a task the guard holds', () => {
  it('travels as its id alone, and is looked up where it is', async () => {
    const place = freshPlace();
    const broker = await open(place);
    const task = newTask({ input: '{"secret":1}', headers: { trace: 'x' }, priority: 7 });
    expect(await broker.enqueue([task])).toEqual([{ status: 'accepted' }]);
    await withChannel(async (channel) => {
      const message = await channel.get(queueNameOf(place.namespace, 'line'));
      if (message === false) throw new Error('there is no message');
      expect(message.content.length).toBe(0);
      expect(message.properties).toMatchObject({ type: 'work', priority: 7 });
      const envelope = JSON.parse(String(message.properties.headers?.['x-millrace'])) as object;
      expect(envelope).toMatchObject({
        headers: { 'x-millrace-guard': 'memory', 'x-millrace-task': task.id },
        maxAttempts: 'unlimited',
      });
      channel.nack(message, false, true);
    });
    const session = await openSession(broker);
    expect(await claimOne(session)).toMatchObject({ input: '{"secret":1}', headers: { trace: 'x' }, maxAttempts: 3 });
    expect((await broker.tasks.get([task.id]))[0]).toMatchObject({ state: 'running', attempt: 1 });
  });

  it('that was cancelled while it waited never starts, whoever is there by then', async () => {
    const place = freshPlace();
    const broker = await open(place);
    const [cancelled, last] = [newTask(), newTask()];
    await broker.enqueue([cancelled]);
    await broker.close();
    const later = await open(place);
    expect(await later.tasks.cancel([cancelled.id])).toEqual(['applied']);
    expect(await runUntil(later, await openSession(later), last)).toEqual([last.id]);
    await vi.waitFor(async () => expect(await readyIn(place.namespace)).toBe(0));
    expect((await later.tasks.get([cancelled.id]))[0]?.state).toBe('cancelled');
  });

  it('runs once however often it is enqueued, and leaves no message behind', async () => {
    const place = freshPlace();
    const broker = await open(place);
    const [task, last] = [newTask({ key: 'one' }), newTask({ priority: 0 })];
    await broker.enqueue([task]);
    for (let times = 0; times < 4; times++) {
      expect(await broker.enqueue([task])).toEqual([{ status: 'duplicate', existingId: task.id }]);
    }
    expect(await broker.enqueue([newTask({ key: 'one' })])).toEqual([{ status: 'duplicate', existingId: task.id }]);
    const ids = await runUntil(broker, await openSession(broker), last);
    expect(ids).toEqual([task.id, last.id]);
    await vi.waitFor(async () => expect(await readyIn(place.namespace)).toBe(0));
  });

  it('comes at once after a resume, a rerun and an earlier due time', async () => {
    const broker = await open(freshPlace());
    const session = await openSession(broker);
    const [paused, ended, delayed] = [newTask(), newTask(), newTask({ delayMs: 3_600_000 })];
    await broker.enqueue([ended]);
    const { lease } = await claimOne(session);
    await session.settle([{ type: 'complete', lease }]);
    await broker.enqueue([paused, delayed]);
    await broker.tasks.pause([paused.id]);
    expect(await session.claim(request)).toEqual([]);
    expect(await broker.tasks.resume([paused.id])).toEqual(['applied']);
    expect((await claimOne(session)).lease.taskId).toBe(paused.id);
    expect(await broker.tasks.rerun([ended.id])).toEqual(['applied']);
    expect((await claimOne(session)).lease).toMatchObject({ taskId: ended.id, attempt: 1, fence: 2 });
    expect(await broker.tasks.reschedule([delayed.id], { delayMs: 0 })).toEqual(['applied']);
    expect((await claimOne(session)).lease.taskId).toBe(delayed.id);
  });

  it('of an instant far away is told when to come, and comes then', async () => {
    const broker = await open(freshPlace());
    const session = await openSession(broker);
    const runAt = Date.now() + 1_500;
    await broker.enqueue([newTask({ runAt })]);
    const delivery = await claimOne(session);
    expect(Date.now()).toBeGreaterThanOrEqual(runAt);
    expect(delivery.runAt).toBe(runAt);
  });

  it('that was replaced by one of another name goes to those who run that', async () => {
    const broker = await open(freshPlace());
    const session = await openSession(broker);
    const task = newTask({ key: 'k', input: '1' });
    await broker.enqueue([task]);
    const replacement = newTask({ key: 'k', name: 'other', input: '2', onConflict: 'replace' });
    expect(await broker.enqueue([replacement])).toEqual([{ status: 'replaced', existingId: task.id }]);
    expect(await session.claim(request)).toEqual([]);
    const [delivery] = await session.claim({ ...request, names: ['other'], waitMs: 10_000 });
    expect(delivery).toMatchObject({ input: '2', lease: { taskId: task.id, attempt: 1 } });
  });

  it('ends as unregistered when workers have passed it on too often', async () => {
    const place = freshPlace();
    const broker = await open(place);
    const task = newTask({ name: 'unheard-of' });
    await broker.enqueue([task]);
    await withChannel(async (channel) => {
      const queue = queueNameOf(place.namespace, 'line');
      await channel.purgeQueue(queue);
      const thin = { ...toMessage(thinMessage(task, 'memory'), Date.now(), 0), passed: 64 };
      const { content, options } = encodeMessage(thin);
      channel.publish('', queue, Buffer.from(content as string), options);
      await channel.waitForConfirms();
    });
    const session = await openSession(broker);
    expect(await session.claim(request)).toEqual([]);
    await vi.waitFor(async () =>
      expect((await broker.tasks.get([task.id]))[0]).toMatchObject({ state: 'failed', failure: 'unregistered' }),
    );
    expect((await broker.dead.list()).total).toBe(0);
  });

  it('that RabbitMQ refuses is not kept either', async () => {
    const place = freshPlace();
    const broker = await open(place, { amqp: { queues: [{ name: 'line', arguments: { 'x-max-length': 1 } }] } });
    const tasks = Array.from({ length: 5 }, () => newTask());
    let refused: string | undefined;
    for (const task of tasks) {
      const outcome = await broker.enqueue([task]).then(
        ([each]) => (each?.status === 'rejected' ? each.error.code : undefined),
        (error: { code: string }) => error.code,
      );
      if (outcome === undefined) continue;
      expect(outcome).toBe('BACKPRESSURE');
      refused = task.id;
    }
    if (refused === undefined) throw new Error('the queue took everything');
    expect(await broker.tasks.get([refused])).toEqual([undefined]);
  });
});

describe('a session', () => {
  it('that loses RabbitMQ is over, and what it ran is lost at once: charged, except a last attempt that never began', async () => {
    const { hostname, port } = new URL(serverUrl);
    const proxy = await startProxy({ host: hostname, port: Number(port === '' ? 5672 : port) });
    opened.push(proxy);
    const place = freshPlace();
    const [cut, other] = [await open(place, { amqp: { url: proxy.url(serverUrl) } }), await open(place)];
    const session = await openSession(cut);
    const [retried, ahead, begun] = [newTask(), newTask({ maxAttempts: 1 }), newTask({ maxAttempts: 1 })];
    await cut.enqueue([retried, ahead, begun]);
    const leases = new Map<string, Lease>();
    for (let count = 0; count < 3; count++) {
      const { lease } = await claimOne(session);
      leases.set(lease.taskId, lease);
    }
    const lease = (task: NewTask): Lease => leases.get(task.id) as Lease;
    await session.report([{ lease: lease(begun), begun: true }]);
    proxy.sever();
    proxy.refuse('reset');
    await vi.waitFor(() => expect(session.lost.aborted).toBe(true), 10_000);
    expect(session.lost.reason).toMatchObject({ code: 'LEASE_LOST' });
    expect(await session.settle([{ type: 'complete', lease: lease(retried) }])).toEqual(['stale']);
    await expect(session.claim(request)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    const state = async (task: NewTask): Promise<unknown> => {
      const [record] = await other.tasks.get([task.id]);
      return [record?.state, record?.attempt, record?.errors.map(({ kind }) => kind)];
    };
    await vi.waitFor(async () => expect(await state(begun)).toEqual(['failed', 1, ['lost']]));
    expect(await state(retried)).toEqual(['retrying', 1, ['lost']]);
    expect(await state(ahead)).toEqual(['pending', 0, []]);
    const successor = await openSession(other);
    const again = [await claimOne(successor), await claimOne(successor)].map((each) => each.lease);
    expect(new Map(again.map(({ taskId, attempt }) => [taskId, attempt]))).toEqual(
      new Map([
        [retried.id, 2],
        [ahead.id, 1],
      ]),
    );
    proxy.heal();
  });

  it('that loses the guard gives its messages back to RabbitMQ', async () => {
    const place = freshPlace();
    const lost = new AbortController();
    const cut = await open(place, { change: (guard) => changedSessions(guard, () => ({ lost: lost.signal })) });
    const session = await openSession(cut);
    const task = newTask();
    await cut.enqueue([task]);
    await claimOne(session);
    const waiting = session.claim({ ...request, waitMs: 60_000 });
    lost.abort(new LeaseLostError('the guard has ended it', { adapter: 'memory' }));
    await expect(waiting).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(session.lost.aborted).toBe(true);
    const other = await open(place);
    expect((await claimOne(await openSession(other))).lease.taskId).toBe(task.id);
  });

  it('tells its holder of a stop, and what it says then holds', async () => {
    const broker = await open(freshPlace());
    const requests: string[] = [];
    const session = await openSession(broker, { onSignal: (signal) => requests.push(signal.request) });
    const task = newTask();
    await broker.enqueue([task]);
    const { lease } = await claimOne(session);
    expect(await broker.tasks.cancel([task.id])).toEqual(['requested']);
    await vi.waitFor(() => expect(requests).toEqual(['cancel']));
    expect(await session.settle([{ type: 'cancel', lease }])).toEqual(['applied']);
    expect((await broker.tasks.get([task.id]))[0]?.state).toBe('cancelled');
  });
});

describe('a paused queue', () => {
  it('keeps its backlog at rest, and is worked off as soon as it is resumed', async () => {
    let looks = 0;
    const place = freshPlace();
    const broker = await open(place, {
      change: (guard) =>
        changedSessions(guard, ({ claimTasks }) => ({
          claimTasks: (ids) => {
            looks += 1;
            return (claimTasks as NonNullable<typeof claimTasks>)(ids);
          },
        })),
    });
    await broker.queues.pause('line');
    const tasks = Array.from({ length: 40 }, () => newTask());
    await broker.enqueue(tasks);
    const session = await openSession(broker);
    expect(await session.claim({ ...request, waitMs: 2_000 })).toEqual([]);
    // Every half a second once, and what came of the look before.
    expect(looks).toBeLessThanOrEqual(10);
    const claiming = session.claim({ ...request, waitMs: 10_000 });
    const began = performance.now();
    await broker.queues.resume('line');
    expect((await claiming).length).toBeGreaterThan(0);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe('a transaction of the store', () => {
  it('that commits late brings its tasks then, and not before', async () => {
    const place = freshPlace();
    const broker = await open(place);
    const session = await openSession(broker);
    const task = newTask();
    const { transaction } = place.store.hooks;
    if (transaction === undefined) throw new Error('the store has no transactions');
    await transaction({ url: '', namespace: place.namespace, clock: systemClock }, async (tx) => {
      expect(await broker.enqueue([task], { transaction: tx as never })).toEqual([{ status: 'accepted' }]);
      expect(await session.claim({ ...request, waitMs: 1_000 })).toEqual([]);
    });
    expect((await claimOne(session)).lease.taskId).toBe(task.id);
  });

  it('that rolls back leaves nothing that runs', async () => {
    const place = freshPlace();
    const broker = await open(place);
    const session = await openSession(broker);
    const { transaction } = place.store.hooks;
    const rolledBack = transaction?.({ url: '', namespace: place.namespace, clock: systemClock }, async (tx) => {
      await broker.enqueue([newTask()], { transaction: tx as never });
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    const last = newTask();
    expect(await runUntil(broker, session, last)).toEqual([last.id]);
  });
});

describe('mode needed', () => {
  it('costs the store nothing for tasks that do not need it', async () => {
    const calls: string[] = [];
    const place = freshPlace();
    const counting = await open(place, {
      guard: { tasks: ['import'] },
      change: (guard) =>
        changed(guard, (broker) => ({
          enqueue: (tasks, options) => {
            calls.push(...tasks.map(({ name }) => `enqueue ${name}`));
            return broker.enqueue(tasks, options as never);
          },
          openSession: async (options) => {
            const session = await broker.openSession(options);
            const { claimTasks, settle, report } = session;
            return Object.assign(session, {
              claimTasks: (ids: readonly string[]) => {
                calls.push(`claim ${ids.length}`);
                return (claimTasks as NonNullable<typeof claimTasks>).call(session, ids);
              },
              settle: (operations: Parameters<typeof settle>[0]) => {
                calls.push(`settle ${operations.length}`);
                return settle.call(session, operations);
              },
              report: (reports: Parameters<typeof report>[0]) => {
                calls.push(`report ${reports.length}`);
                return report.call(session, reports);
              },
            });
          },
        })),
    });
    const session = await openSession(counting);
    const free = [newTask(), newTask()];
    await counting.enqueue(free);
    for (let index = 0; index < free.length; index++) {
      const { lease } = await claimOne(session);
      expect(await session.report([{ lease, begun: true }])).toEqual(['applied']);
      expect(await session.settle([{ type: 'complete', lease }])).toEqual(['applied']);
    }
    expect(calls).toEqual([]);
    await counting.enqueue([newTask({ key: 'unique' }), newTask({ name: 'import' }), newTask()]);
    const deliveries = new Map<string, string>();
    while (deliveries.size < 3) {
      for (const delivery of await session.claim({ ...request, names: ['work', 'import'], waitMs: 5_000 })) {
        deliveries.set(delivery.lease.taskId, delivery.lease.sessionId);
        await session.settle([{ type: 'complete', lease: delivery.lease }]);
      }
    }
    expect(calls.filter((call) => call.startsWith('enqueue'))).toEqual(['enqueue work', 'enqueue import']);
    expect(calls.filter((call) => call.startsWith('settle'))).toEqual(['settle 1', 'settle 1']);
  });

  it('refuses what concerns every task of a queue, naming the way', async () => {
    const broker = await open(freshPlace(), { guard: {} });
    for (const call of [broker.queues.pause('line'), broker.queues.resume('line'), broker.queues.purge('line')]) {
      await expect(call).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringContaining("mode: 'always'"),
      });
    }
    await broker.enqueue([newTask(), newTask({ key: 'k' })]);
    const [stats] = await broker.queues.stats(['line']);
    expect(stats).toMatchObject({ queue: 'line', paused: false, pending: 2 });
  });
});

describe('two kinds of consumers on one queue', () => {
  it('a broker without the guard leaves its tasks alone, and one with it gets them', async () => {
    const place = freshPlace();
    const guarded = await open(place);
    const pure = brokerOf(serverUrl, { namespace: place.namespace });
    opened.push(pure);
    await pure.open();
    const task = newTask();
    await guarded.enqueue([task]);
    const bare = await openSession(pure);
    expect(await bare.claim({ ...request, waitMs: 1_000 })).toEqual([]);
    await bare.end();
    expect((await claimOne(await openSession(guarded))).lease).toMatchObject({ taskId: task.id, attempt: 1 });
  });

  it('headers that would make a task look like another one are refused', async () => {
    const place = freshPlace();
    const [guarded, pure] = [await open(place), brokerOf(serverUrl, { namespace: place.namespace })];
    opened.push(pure);
    await pure.open();
    for (const broker of [guarded, pure]) {
      for (const name of ['x-millrace-guard', 'x-millrace-task']) {
        const [outcome] = await broker.enqueue([newTask({ headers: { [name]: 'memory' } })]);
        expect(outcome).toMatchObject({ status: 'rejected', error: { code: 'VALIDATION', option: 'headers' } });
      }
    }
  });
});

describe('the option guard', () => {
  it('takes a guard once, and nothing else', async () => {
    const guard = memoryGuard();
    const broker = amqpBroker({ url: serverUrl, guard });
    expect(() => amqpBroker({ url: serverUrl, guard })).toThrow(/another broker/);
    for (const wrong of [{}, 'postgres', null, guard.broker]) {
      expect(() => amqpBroker({ url: serverUrl, guard: wrong as never })).toThrow(
        expect.objectContaining({ code: 'VALIDATION', option: 'guard' }),
      );
    }
    await broker.close();
  });

  it('refuses a store that cannot claim by id, when it is opened', async () => {
    const { broker, ...guard } = memoryGuard();
    const open = async (): Promise<Capabilities> => ({ ...(await broker.open()), claimById: false });
    const lame = changed({ ...guard, broker } as Guard<never>, () => ({ open }));
    const guarded = amqpBroker({ url: serverUrl, guard: lame });
    opened.push(guarded);
    await expect(guarded.open()).rejects.toMatchObject({ code: 'CONFIGURATION', option: 'guard' });
  });

  it('without it, what needs a store is refused and says so', async () => {
    const broker = brokerOf(serverUrl);
    opened.push(broker);
    await broker.open();
    const [outcome] = await broker.enqueue([newTask({ key: 'k' })]);
    expect(outcome).toMatchObject({
      status: 'rejected',
      error: { code: 'UNSUPPORTED', message: expect.stringContaining('guard: postgresGuard(') },
    });
  });

  it('is closed with its broker, and health names the half that is down', async () => {
    const guard = memoryGuard({ mode: 'always' });
    const broker = amqpBroker({ url: serverUrl, namespace: freshPlace().namespace, guard });
    await broker.open();
    expect(await broker.health()).toEqual({ state: 'ready' });
    await guard.broker.close();
    expect(await broker.health()).toMatchObject({ state: 'down', detail: expect.stringContaining('the guard') });
    await broker.close();
    expect((await broker.health()).state).toBe('down');
    const other = memoryGuard({ mode: 'always' });
    const second = amqpBroker({ url: serverUrl, namespace: freshPlace().namespace, guard: other });
    await second.open();
    await second.close();
    await expect(other.broker.tasks.get(['a'])).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
