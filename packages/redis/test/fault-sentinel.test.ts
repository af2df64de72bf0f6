import { type Delivery, isMillraceError, type Session } from '@millrace/core';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { redisBroker } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { type LoadResult, RecordedLoad } from './recorded-load.ts';
import { ask, type SentinelServers, startBehindSentinels } from './sentinel-servers.ts';
import { newBroker, openSession, rejectionOf, until, watchUnhandled } from './support.ts';

watchUnhandled();

const total = 1_000;

/** A load that wants a copy of everything, a good part of it settled. */
async function loadAt(url: string): Promise<{ readonly load: RecordedLoad; readonly enqueueing: Promise<void> }> {
  const load = await RecordedLoad.start({
    broker: { url, prefix: 'p', durability: { replicas: 1 }, operationTimeout: '4s' },
    queues: ['line'],
  });
  expect(load.capabilities.durability).toBe('replicated');
  const enqueueing = load.enqueue(total);
  await until(() => load.settled() > 300, '300 settled');
  return { load, enqueueing };
}

/** Port of the master that took over. One Sentinel knows before the others. */
async function promotion({ masterPort, master }: SentinelServers): Promise<number> {
  let port = master.place.port;
  await until(async () => {
    port = await masterPort();
    return port !== master.place.port;
  }, 'another master');
  return port;
}

/** Every id that anybody asked for, whether the answer came or not. */
function expectAllOnce({ states, ranTwice, settledTwice }: LoadResult): void {
  expect(states).toEqual({ succeeded: total });
  expect({ ranTwice, settledTwice }).toEqual({ ranTwice: 0, settledTwice: 0 });
}

test('kill -9 of the master amid 1,000 tasks: a replica takes over, and with a copy of each none is lost', async () => {
  const servers = await startBehindSentinels(2);
  const { load, enqueueing } = await loadAt(servers.url);
  await servers.master.stop('kill');
  const dead = process.hrtime.bigint();
  const ms = await load.untilSettledAfter(dead);
  expect(ms).toBeLessThan(8_000);
  // It comes back as a master that nobody follows, and is made a replica.
  await servers.master.start();
  await enqueueing;
  expectAllOnce(await load.finish());
});

test('the master and a Sentinel fall silent without a word: they are left, and not believed when they wake', async () => {
  const servers = await startBehindSentinels(2);
  const { load, enqueueing } = await loadAt(servers.url);
  const frozen = process.hrtime.bigint();
  await Promise.all([servers.sentinels[0]?.freeze(), servers.master.freeze()]);
  const ms = await load.untilSettledAfter(frozen + 200_000_000n);
  expect(ms).toBeLessThan(12_000);
  await servers.master.thaw();
  await servers.sentinels[0]?.thaw();
  await enqueueing;
  expectAllOnce(await load.finish());
});

test('a master that was replaced while it lives is left at once, and what it took meanwhile was never accepted', async () => {
  const servers = await startBehindSentinels(1);
  const { load, enqueueing } = await loadAt(servers.url);
  await ask(servers.sentinels[0]?.place.port ?? 0, 'sentinel', 'failover', 'line');
  const port = await promotion(servers);
  const moved = process.hrtime.bigint();
  // What Sentinels do as well, after ten seconds: until then no write can have its copy.
  await ask(servers.master.place.port, 'replicaof', '127.0.0.1', String(port));
  const ms = await load.untilSettledAfter(moved);
  expect(ms).toBeLessThan(8_000);
  await enqueueing;
  expectAllOnce(await load.finish());
});

/** A claim, made again when it ended by its deadline: how long a failover takes is the servers' affair. */
async function claimThrough(session: Session): Promise<Delivery[]> {
  for (;;) {
    try {
      return await session.claim(claimOf(1, { waitMs: 60_000 }));
    } catch (error) {
      if (!isMillraceError(error, 'UNAVAILABLE')) throw error;
    }
  }
}

test('an idle claim is woken by a task that the new master was given', async () => {
  const servers = await startBehindSentinels(1);
  // Nobody finds this task by polling.
  const idle = newBroker({ url: servers.url, prefix: 'p', pollInterval: '60s' });
  await idle.open();
  const session = await openSession(idle);
  const claiming = claimThrough(session);
  const heard = async (port: number): Promise<boolean> =>
    Number((await ask(port, 'pubsub', 'numsub', 'p:{line}:work'))[1]) > 0;
  await until(() => heard(servers.master.place.port), 'the subscription');
  await servers.master.stop('kill');
  const port = await promotion(servers);
  await until(() => heard(port), 'the subscription at the new master');
  const producer = newBroker({ url: servers.url, prefix: 'p' });
  // The Sentinel it asks may not have heard of the new master yet.
  const isOpen = (): Promise<boolean> =>
    producer.open().then(
      () => true,
      () => false,
    );
  await until(isOpen, 'the way to the new master');
  const told = performance.now();
  await producer.enqueue([newTask()]);
  expect(await claiming).toHaveLength(1);
  expect(performance.now() - told).toBeLessThan(2_000);
});

test('a failover that the driver hears of while it asks the Sentinels ends no connection for good', async () => {
  const servers = await startBehindSentinels(1);
  const clients: Redis[] = [];
  const sentinels = servers.sentinels.map(({ place }) => ({ host: '127.0.0.1', port: place.port }));
  const connect = (): Redis => {
    const client = new Redis({ sentinels, name: 'line', lazyConnect: true, enableOfflineQueue: false });
    clients.push(client);
    return client;
  };
  const idle = redisBroker({ connect, prefix: 'p', pollInterval: '60s' });
  onTestFinished(() => idle.close());
  await idle.open();
  const session = await openSession(idle);
  const claiming = claimThrough(session);
  await until(() => clients.length === 2 && clients.every(({ status }) => status === 'ready'), 'both connections');
  const ended = new Set<Redis>();
  for (const client of clients) {
    client.once('end', () => ended.add(client));
    client.once('connecting', () => {
      // What the driver does itself on +switch-master.
      setImmediate(() => (client as unknown as { connector: { disconnect(): void } }).connector.disconnect());
    });
  }
  await servers.master.stop('kill');
  const port = await promotion(servers);
  await until(() => ended.size === 2, 'the end of both');
  await until(() => clients.every(({ status }) => status === 'ready'), 'both connections again');
  await until(async () => Number((await ask(port, 'pubsub', 'numsub', 'p:{line}:work'))[1]) > 0, 'the subscription');
  await idle.enqueue([newTask()]);
  expect(await claiming).toHaveLength(1);
});

test('a broker that is closed, at whatever moment, no longer listens to a Sentinel', async () => {
  const { url, sentinels } = await startBehindSentinels(1, 1);
  const listening = async (): Promise<number> =>
    (await ask(sentinels[0]?.place.port ?? 0, 'client', 'list')).split(/ sub=[1-9]/).length - 1;
  const open = newBroker({ url, prefix: 'p' });
  await open.open();
  await until(async () => (await listening()) === 1, 'somebody who listens');
  for (const afterMs of [0, 1, 2, 3, 4, 6, 8, 10]) {
    const broker = newBroker({ url, prefix: 'p' });
    const opening = broker.open().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await broker.close();
    await opening;
  }
  await open.close();
  await until(async () => (await listening()) === 0, 'nobody who listens');
});

test('a name that no Sentinel knows is a wrong option, and said so', async () => {
  const { url } = await startBehindSentinels(1, 1);
  const error = await rejectionOf(newBroker({ url: `${url}s`, prefix: 'p', operationTimeout: 500 }).open());
  expect(error).toMatchObject({ code: 'CONFIGURATION', reason: 'unknown-master' });
});
