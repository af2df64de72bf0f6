import { startProxy, type TcpProxy } from '@millrace/conformance';
import type { ClaimVerdict, Session } from '@millrace/core';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { redisBroker } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { serverUrl } from './harness.ts';
import { newBroker, newClient, newPrefix, openSession, rejectionOf, until, watchUnhandled } from './support.ts';

watchUnhandled();

async function claimTasks({ claimTasks }: Session, ...ids: string[]): Promise<ClaimVerdict[]> {
  if (claimTasks === undefined) throw new Error('the session cannot claim by id');
  return claimTasks(ids);
}

const statusesOf = (verdicts: readonly ClaimVerdict[]): string[] => verdicts.map(({ status }) => status);

async function newProxy(): Promise<TcpProxy> {
  const address = new URL(serverUrl);
  const proxy = await startProxy({ host: address.hostname, port: Number(address.port) });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  return proxy;
}

// On one server the queues lie together, on a cluster on several.
test.each([
  ['one server', serverUrl],
  ['a cluster', process.env.MILLRACE_TEST_REDIS_CLUSTER_URL ?? ''],
])(
  'a claim by id finds its tasks in whatever queues, and says of each what became of it, on %s',
  async (_name, url) => {
    const prefix = newPrefix(url);
    const [producer, worker] = [newBroker({ url, prefix }), newBroker({ url, prefix })];
    await Promise.all([producer.open(), worker.open()]);
    const [session, other] = [await openSession(worker), await openSession(producer)];
    const queueOf = (n: number): string => `queue-${n % 7}`;
    const tasks = [
      newTask({ id: 'early', delayMs: 60_000 }),
      newTask({ id: 'late', delayMs: 60_000, queue: 'closed' }),
      newTask({ id: 'closed', queue: 'closed' }),
      newTask({ id: 'expired', expiresAt: Date.now() - 60_000 }),
      ...['due', 'mine', 'theirs', 'resting', 'over', 'removed', 'ünïcode {x}'].map((id, n) =>
        newTask({ id, name: id, queue: queueOf(n), headers: { h: id }, input: `"${id}"` }),
      ),
    ];
    await producer.enqueue(tasks);
    await producer.queues.pause('closed');
    await producer.tasks.pause(['resting']);
    await producer.tasks.cancel(['over']);
    await producer.tasks.remove(['removed']);
    expect(statusesOf(await claimTasks(other, 'theirs'))).toEqual(['claimed']);
    expect(statusesOf(await claimTasks(session, 'mine'))).toEqual(['claimed']);
    const order = [
      'over',
      'theirs',
      'closed',
      'due',
      '\ud800',
      'mine',
      'late',
      'resting',
      'early',
      'removed',
      'expired',
    ];
    const verdicts = await claimTasks(session, ...order, 'ünïcode {x}');
    expect(statusesOf(verdicts)).toEqual([
      ...['ended', 'held', 'queue-paused', 'claimed', 'gone', 'held', 'early', 'paused', 'early', 'gone', 'ended'],
      'claimed',
    ]);
    const [record] = await producer.tasks.get(['due']);
    expect(verdicts[3]).toMatchObject({
      delivery: {
        lease: { taskId: 'due', attempt: 1, fence: record?.fence, sessionId: session.id },
        ...{ name: 'due', queue: 'queue-0', input: '"due"', headers: { h: 'due' }, priority: 4, maxAttempts: 3 },
        ...{ createdAt: record?.createdAt, runAt: record?.runAt },
      },
    });
    expect(record).toMatchObject({ state: 'running', worker: 'test@here', attempt: 1 });
    const dueInMs = verdicts[8]?.status === 'early' ? verdicts[8].dueInMs : 0;
    expect(dueInMs).toBeGreaterThan(50_000);
    expect(dueInMs).toBeLessThanOrEqual(60_000);
    expect(await producer.queues.stats(['queue-0'])).toMatchObject([{ pending: 0, running: 1 }]);
  },
);

test('a session that was given nothing is nowhere, and is not lost for it', async () => {
  const prefix = newPrefix();
  const broker = newBroker({ prefix });
  await broker.open();
  const session = await openSession(broker, 2_000);
  await broker.enqueue([newTask({ id: 'later', delayMs: 60_000 })]);
  expect(statusesOf(await claimTasks(session, 'later', 'nobody'))).toEqual(['early', 'gone']);
  expect(await newClient().keys(`${prefix}:*:session`)).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(session.lost.aborted).toBe(false);
  await broker.enqueue([newTask({ id: 'now' })]);
  expect(statusesOf(await claimTasks(session, 'now'))).toEqual(['claimed']);
});

test('large tasks come in several answers, all of them', async () => {
  const broker = newBroker({ maxPayloadBytes: 4_000_000 });
  await broker.open();
  const session = await openSession(broker);
  const input = JSON.stringify('x'.repeat(3_000_000));
  const tasks = Array.from({ length: 7 }, () => newTask({ input }));
  for (const task of tasks) await broker.enqueue([task]);
  const verdicts = await claimTasks(session, 'nobody', ...tasks.map(({ id }) => id));
  expect(statusesOf(verdicts)).toEqual(['gone', ...tasks.map(() => 'claimed')]);
  expect(verdicts.every((verdict) => verdict.status !== 'claimed' || verdict.delivery.input === input)).toBe(true);
});

test('sessions that ask for the same ids share them, each task once, whoever else claims by queue', async () => {
  const prefix = newPrefix();
  const brokers = Array.from({ length: 3 }, () => newBroker({ prefix }));
  await Promise.all(brokers.map((broker) => broker.open()));
  const tasks = Array.from({ length: 600 }, (_unused, n) => newTask({ queue: n % 2 === 0 ? 'line' : 'row' }));
  await brokers[0]?.enqueue(tasks);
  const ids = tasks.map(({ id }) => id);
  const seen: string[] = [];
  const run = async (claim: () => Promise<readonly string[]>): Promise<void> => {
    while (seen.length < ids.length) seen.push(...(await claim()));
  };
  await Promise.all(
    brokers.map(async (broker) => {
      const [byId, byQueue] = [await openSession(broker), await openSession(broker)];
      await Promise.all([
        run(async () => {
          const open = ids.filter((id) => !seen.includes(id)).sort(() => Math.random() - 0.5);
          if (open.length === 0) return [];
          const verdicts = await claimTasks(byId, ...open.slice(0, 20));
          return verdicts.flatMap((verdict) => (verdict.status === 'claimed' ? [verdict.delivery.lease.taskId] : []));
        }),
        run(async () => {
          const deliveries = await byQueue.claim(claimOf(7, { queues: ['line', 'row'] }));
          return deliveries.map(({ lease }) => lease.taskId);
        }),
      ]);
    }),
  );
  expect(seen).toHaveLength(600);
  expect(new Set(seen).size).toBe(600);
});

test('a claim by id that ioredis sends twice gives its tasks once, and to whoever asked', async () => {
  const proxy = await newProxy();
  const url = proxy.url(serverUrl);
  // What ioredis does unless told otherwise.
  const broker = redisBroker({
    connect: () => new Redis(url, { lazyConnect: true, protocol: 2 }),
    prefix: newPrefix(),
  });
  onTestFinished(() => broker.close());
  await broker.open();
  const session = await openSession(broker);
  await broker.enqueue([newTask({ id: 'one' }), newTask({ id: 'two' })]);
  const hole = proxy.blackhole('in');
  const claim = claimTasks(session, 'two', 'nobody', 'one');
  await new Promise((resolve) => setTimeout(resolve, 50));
  proxy.sever();
  hole.heal();
  const verdicts = await claim;
  expect(statusesOf(verdicts)).toEqual(['claimed', 'gone', 'claimed']);
  expect(verdicts).toMatchObject([{ delivery: { lease: { taskId: 'two', attempt: 1 } } }, {}, { delivery: {} }]);
  expect(await claimTasks(session, 'one')).toEqual([{ status: 'held' }]);
  expect(await broker.queues.stats(['line'])).toMatchObject([{ pending: 0, running: 2 }]);
});

test('a claim by id into silence ends by its deadline; asking again brings what it took', async () => {
  const proxy = await newProxy();
  const prefix = newPrefix();
  const broker = newBroker({ url: proxy.url(serverUrl), prefix, operationTimeout: 2_000 });
  await broker.open();
  const session = await openSession(broker);
  await broker.enqueue([newTask({ id: 'one' }), newTask({ id: 'two' })]);
  const hole = proxy.blackhole('in');
  const started = Date.now();
  expect(await rejectionOf(claimTasks(session, 'one'))).toMatchObject({ code: 'INDETERMINATE' });
  expect(Date.now() - started).toBeLessThan(3_700);
  hole.heal();
  let verdicts: ClaimVerdict[] = [];
  await until(async () => {
    verdicts = await claimTasks(session, 'two', 'one').catch(() => []);
    return verdicts.length > 0;
  }, 'an answer');
  expect(statusesOf(verdicts)).toEqual(['claimed', 'claimed']);
  expect(verdicts[1]).toMatchObject({ delivery: { lease: { taskId: 'one', attempt: 1 } } });
});

test('what nobody asks for again after its answer was lost is back with the next heartbeat, not charged', async () => {
  const proxy = await newProxy();
  const prefix = newPrefix();
  const near = newBroker({ url: proxy.url(serverUrl), prefix, operationTimeout: 2_000 });
  const far = newBroker({ prefix });
  await Promise.all([near.open(), far.open()]);
  const [session, other] = [await openSession(near, 6_000), await openSession(far)];
  await far.enqueue([newTask({ id: 'one' }), newTask({ id: 'two' })]);
  expect(statusesOf(await claimTasks(session, 'nobody'))).toEqual(['gone']);
  const hole = proxy.blackhole('in');
  expect(await rejectionOf(claimTasks(session, 'one'))).toMatchObject({ code: 'INDETERMINATE' });
  hole.heal();
  const started = Date.now();
  const asking = new AbortController();
  // The session itself goes on to ask for others, all the time.
  const busy = (async () => {
    while (!asking.signal.aborted) await claimTasks(session, 'nobody').catch(() => {});
  })();
  let verdict: ClaimVerdict | undefined;
  await until(async () => {
    [verdict] = await claimTasks(other, 'one');
    return verdict?.status === 'claimed';
  }, 'the task');
  asking.abort();
  await busy;
  // A third of its time to live, and a while for the machine.
  expect(Date.now() - started).toBeLessThan(2_000 + 3_000);
  expect(verdict).toMatchObject({ delivery: { lease: { taskId: 'one', attempt: 1 } } });
  expect(session.lost.aborted).toBe(false);
});

test('a claim by id of a session that was ended meanwhile is closed, and what it took is back', async () => {
  const broker = newBroker();
  await broker.open();
  const [session, other] = [await openSession(broker), await openSession(broker)];
  await broker.enqueue([newTask({ id: 'one' })]);
  const claim = rejectionOf(claimTasks(session, 'one'));
  await session.end();
  expect(await claim).toMatchObject({ code: 'CLOSED' });
  expect(await claimTasks(other, 'one')).toMatchObject([{ status: 'claimed', delivery: { lease: { attempt: 1 } } }]);
});
