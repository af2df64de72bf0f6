import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { inspect } from 'node:util';
import { startProxy } from '@millrace/conformance';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { redisBroker } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { serverUrl } from './harness.ts';
import {
  newBroker,
  newClient,
  newPrefix,
  openSession,
  ownServer,
  rejectionOf,
  until,
  watchUnhandled,
} from './support.ts';

watchUnhandled();

/** The address of the test server, with some of it changed. */
function urlWith(change: (url: URL) => void): string {
  const url = new URL(serverUrl);
  change(url);
  return url.href;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a wrong password is a configuration error that does not repeat it', async () => {
  const url = await ownServer(['--requirepass', 'right']);
  const wrong = url.replace('redis://', 'redis://:hunter2-secret@');
  const error = await rejectionOf(newBroker({ url: wrong, prefix: 'p' }).open());
  expect(error).toMatchObject({ code: 'CONFIGURATION' });
  expect(inspect(error, { depth: 10 })).not.toContain('hunter2-secret');
  const none = await rejectionOf(newBroker({ url, prefix: 'p' }).open());
  expect(none).toMatchObject({ code: 'CONFIGURATION' });
});

test('nobody listening is unavailable, at once', async () => {
  const port = await freePort();
  const started = Date.now();
  const broker = newBroker({ url: `redis://127.0.0.1:${port}`, prefix: 'p' });
  expect(await rejectionOf(broker.open())).toMatchObject({ code: 'UNAVAILABLE', retryable: 'safe' });
  expect(Date.now() - started).toBeLessThan(5_000);
});

test('a server that accepts and says nothing is unavailable by the deadline', async () => {
  const mute = createServer(() => {});
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void mute.close());
  const { port } = mute.address() as { port: number };
  const broker = newBroker({ url: `redis://127.0.0.1:${port}`, prefix: 'p', operationTimeout: 300 });
  expect(await rejectionOf(broker.open())).toMatchObject({ code: 'UNAVAILABLE' });
});

test('opening may be tried again once the server is there', async () => {
  const port = await freePort();
  const broker = newBroker({ url: `redis://127.0.0.1:${port}`, prefix: 'p' });
  expect(await rejectionOf(broker.open())).toMatchObject({ code: 'UNAVAILABLE' });
  const address = new URL(serverUrl);
  const link = createServer((near) => {
    const far = connect(Number(address.port), address.hostname);
    for (const socket of [near, far]) socket.on('error', () => {});
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => link.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => void link.close());
  const opened = await broker.open().catch((error: unknown) => error);
  // The server behind the link may want a password; then it says so, which it could not before.
  if (address.password === '') expect(opened).toMatchObject({ clock: 'server' });
  else expect(opened).toMatchObject({ code: 'CONFIGURATION', reason: 'authentication' });
});

test('a server that may throw tasks away is refused, unless that is accepted', async () => {
  const url = await ownServer(['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru']);
  const error = await rejectionOf(newBroker({ url, prefix: 'p' }).open());
  expect(error).toMatchObject({ code: 'CONFIGURATION', reason: 'eviction' });
  const accepting = newBroker({ url, prefix: 'p', allowEviction: true });
  expect((await accepting.open()).durability).toBe('none');
});

test('a user with the rights of docs/redis.md can do everything, and gets the weakest durability', async () => {
  const url = await ownServer(['--appendonly', 'yes', '--appendfsync', 'always']);
  const guide = readFileSync(new URL('../../../docs/redis.md', import.meta.url), 'utf8');
  const rights = /^ACL SETUSER worker (.*)$/m.exec(guide)?.[1]?.replaceAll('<prefix>', 'p').split(' ') ?? [];
  expect(rights.length).toBeGreaterThan(5);
  await newClient(url).call('acl', 'setuser', 'worker', ...rights);
  const full = newBroker({ url, prefix: 'p' });
  expect((await full.open()).durability).toBe('node');
  const limited = newBroker({ url: url.replace('redis://', 'redis://worker:secret@'), prefix: 'p' });
  expect((await limited.open()).durability).toBe('none');
  const task = newTask();
  expect(await limited.enqueue([task])).toEqual([{ status: 'accepted' }]);
  const session = await openSession(limited);
  const waiting = limited.tasks.wait([task.id], { waitMs: 10_000 });
  const [delivery] = await session.claim(claimOf(1, { waitMs: 1_000 }));
  await session.settle([{ type: 'complete', lease: delivery!.lease, output: '1' }]);
  expect(await waiting).toMatchObject([{ state: 'succeeded' }]);
  const asleep = session.claim(claimOf(1, { waitMs: 10_000 }));
  await full.enqueue([newTask()]);
  expect(await asleep).toHaveLength(1);
  await limited.maintain({ maxTasks: 10 });
  expect((await limited.tasks.list({}, { limit: 10 })).tasks).toHaveLength(2);
  expect(await limited.queues.purge('line')).toBe(0);
});

test('a server whose memory is full refuses tasks, but lets workers finish what is there', async () => {
  const url = await ownServer();
  const broker = newBroker({ url, prefix: 'p' });
  await broker.open();
  await broker.enqueue([newTask(), newTask()]);
  const session = await openSession(broker);
  const [first] = await session.claim(claimOf());
  await newClient(url).config('SET', 'maxmemory', '1');
  expect(await rejectionOf(broker.enqueue([newTask()]))).toMatchObject({
    code: 'BACKPRESSURE',
    reason: 'out-of-memory',
    retryable: 'safe',
  });
  const [second] = await session.claim(claimOf());
  const leases = [first, second].flatMap((delivery) => delivery?.lease ?? []);
  const outcomes = await session.settle(leases.map((lease) => ({ type: 'complete', lease, output: '"done"' })));
  expect(outcomes).toEqual(['applied', 'applied']);
  await newClient(url).config('SET', 'maxmemory', '0');
  expect(await broker.enqueue([newTask()])).toEqual([{ status: 'accepted' }]);
  expect(await broker.queues.stats(['line'])).toMatchObject([{ pending: 1, running: 0 }]);
});

test('scripts that the server forgot are sent again', async () => {
  const url = await ownServer();
  const broker = newBroker({ url, prefix: 'p' });
  await broker.open();
  const session = await openSession(broker);
  const admin = newClient(url);
  for (let round = 0; round < 3; round++) {
    await admin.script('FLUSH');
    expect(await broker.enqueue([newTask(), newTask()])).toHaveLength(2);
    await admin.script('FLUSH');
    const deliveries = await session.claim(claimOf(2));
    await admin.script('FLUSH');
    const settled = await session.settle(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
    expect(settled).toEqual(['applied', 'applied']);
  }
});

test('a client of the caller is a pattern: it stays open and unused', async () => {
  const client = newClient();
  await client.ping();
  const broker = redisBroker({ client, prefix: newPrefix() });
  await broker.open();
  expect(await broker.enqueue([newTask()])).toEqual([{ status: 'accepted' }]);
  await broker.close();
  expect(await client.ping()).toBe('PONG');
});

test('ioredis that sends commands twice behind our back stores and settles once, and says so', async () => {
  const address = new URL(serverUrl);
  const proxy = await startProxy({ host: address.hostname, port: Number(address.port) });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const url = proxy.url(serverUrl);
  // What ioredis does unless told otherwise.
  const make = (): Redis => new Redis(url, { lazyConnect: true, protocol: 2 });
  const broker = redisBroker({ connect: make, prefix: newPrefix() });
  onTestFinished(() => broker.close());
  await broker.open();
  const session = await openSession(broker, 3_000);
  const [task] = [newTask({ fresh: true })];
  const lostReply = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
    const hole = proxy.blackhole('in');
    const answer = call().catch(() => undefined);
    await until(() => proxy.stats.open > 0, 'the link');
    await new Promise((resolve) => setTimeout(resolve, 50));
    proxy.sever();
    hole.heal();
    return answer;
  };
  await lostReply(() => broker.enqueue([task as ReturnType<typeof newTask>]));
  await broker.enqueue([{ ...(task as ReturnType<typeof newTask>) }]);
  expect(await broker.queues.stats(['line'])).toMatchObject([{ pending: 1 }]);
  const [delivery] = await session.claim(claimOf(5));
  expect(delivery?.lease.taskId).toBe(task?.id);
  const settled = await lostReply(() => session.settle([{ type: 'complete', lease: delivery!.lease }]));
  expect(settled).toEqual(['applied']);
  expect(await session.settle([{ type: 'complete', lease: delivery!.lease }])).toEqual(['stale']);
});

test('what waits for more replicas than there are says that it may be lost', async () => {
  const url = await ownServer();
  const broker = newBroker({ url, prefix: 'p', durability: { replicas: 1 }, operationTimeout: 5_000 });
  expect((await broker.open()).durability).toBe('replicated');
  expect(await rejectionOf(broker.enqueue([newTask()]))).toMatchObject({
    code: 'INDETERMINATE',
    reason: 'too-few-copies',
  });
});

test('what waits for a replica is answered when it is there', async () => {
  const url = await ownServer();
  const { port } = new URL(url);
  await ownServer(['--replicaof', '127.0.0.1', port]);
  const admin = newClient(url);
  await until(async () => /connected_slaves:1/.test(await admin.info('replication')), 'the replica');
  await until(async () => /state=online/.test(await admin.info('replication')), 'the replica online');
  const broker = newBroker({ url, prefix: 'p', durability: { replicas: 1 } });
  await broker.open();
  expect(await broker.enqueue([newTask()])).toEqual([{ status: 'accepted' }]);
});

test('a replica is unavailable by the deadline, and works once it is a master', async () => {
  const url = await ownServer([
    '--replicaof',
    '127.0.0.1',
    String(await freePort()),
    '--replica-serve-stale-data',
    'yes',
  ]);
  const broker = newBroker({ url, prefix: 'p', operationTimeout: 2_000 });
  expect(await rejectionOf(broker.open())).toMatchObject({ code: 'UNAVAILABLE' });
  await newClient(url).call('replicaof', 'no', 'one');
  await until(
    async () =>
      broker.open().then(
        () => true,
        () => false,
      ),
    'the opening',
  );
  expect(await broker.enqueue([newTask()])).toEqual([{ status: 'accepted' }]);
});

test('a database of its own is chosen by the URL', async () => {
  const prefix = newPrefix();
  const broker = newBroker({ url: urlWith((url) => (url.pathname = '/5')), prefix });
  await broker.open();
  await broker.enqueue([newTask()]);
  expect(await newClient().exists(`${prefix}:layout`)).toBe(0);
  const there = newClient(urlWith((url) => (url.pathname = '/5')));
  expect(await there.exists(`${prefix}:layout`)).toBe(1);
  for (const key of await there.keys(`${prefix}:*`)) await there.unlink(key);
});
