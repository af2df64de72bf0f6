import type { LocalServer } from '@millrace/conformance';
import { type Command, Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { type RedisBroker, redisBroker, type StoreOptions } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { startServer } from './private-server.ts';
import { newBroker, newClient, openSession, rejectionOf, until, watchUnhandled } from './support.ts';

watchUnhandled();

const tooFew = { code: 'INDETERMINATE', reason: 'too-few-copies' };

interface Pair {
  readonly url: string;
  readonly replica: LocalServer;
  readonly broker: RedisBroker;
}

async function server(settings: readonly string[] = []): Promise<LocalServer> {
  const started = await startServer(['--repl-diskless-sync-delay', '0', ...settings]);
  if (started === undefined) throw new Error('this test needs redis-server on the PATH');
  onTestFinished(() => started.close());
  return started;
}

/** A master with one replica, and a broker that wants a copy of everything. */
async function pair(options: StoreOptions = {}): Promise<Pair> {
  const { port } = (await server()).place;
  const replica = await server(['--replicaof', '127.0.0.1', String(port)]);
  const url = `redis://127.0.0.1:${port}`;
  const admin = newClient(url);
  await until(async () => /state=online/.test(await admin.info('replication')), 'the replica online');
  const broker = newBroker({ url, prefix: 'p', durability: { replicas: 1 }, operationTimeout: 2_000, ...options });
  await broker.open();
  return { url, replica, broker };
}

/** What a call answers as soon as there are copies again. */
async function onceCopied<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      // On a busy machine the deadline may come before the answer.
      expect(error).toMatchObject({ code: 'INDETERMINATE' });
    }
  }
}

test('a write without a copy does not keep heartbeats waiting behind it', async () => {
  const url = `redis://127.0.0.1:${(await server()).place.port}`;
  const setup = newBroker({ url, prefix: 'p' });
  await setup.open();
  await setup.enqueue([newTask()]);
  const broker = newBroker({ url, prefix: 'p', durability: { replicas: 1 }, operationTimeout: 6_000 });
  await broker.open();
  const session = await openSession(broker, 2_000);
  const claiming = rejectionOf(session.claim(claimOf()));
  // Nothing was answered yet when three times the ttl is over; the session is trusted all along.
  const writes = Array.from({ length: 20 }, () => rejectionOf(broker.enqueue([newTask()])));
  expect(await Promise.all(writes)).toEqual(writes.map(() => expect.objectContaining(tooFew)));
  expect(await claiming).toMatchObject({ code: expect.stringMatching(/^(INDETERMINATE|UNAVAILABLE)$/) });
  expect(session.lost.aborted).toBe(false);
});

test('a script that the server had to be sent again waits for its copy too', async () => {
  const { url, replica, broker } = await pair({ operationTimeout: 2_500 });
  const first = newTask();
  await onceCopied(() => broker.enqueue([first]));
  await newClient(url).script('FLUSH');
  await replica.freeze();
  const task = newTask();
  expect(await rejectionOf(broker.enqueue([task]))).toMatchObject(tooFew);
  await replica.thaw();
  expect(await onceCopied(() => broker.enqueue([task]))).toEqual([{ status: 'duplicate', existingId: task.id }]);
});

test('what was written before by another connection is not taken for copied', async () => {
  const { url, replica, broker } = await pair();
  await replica.freeze();
  const task = newTask();
  expect(await rejectionOf(broker.enqueue([task]))).toMatchObject(tooFew);
  const other = newBroker({ url, prefix: 'p', durability: { replicas: 1 }, operationTimeout: 2_000 });
  await other.open();
  // It is there, and changes nothing: but a failover now would lose it.
  expect(await rejectionOf(other.enqueue([task]))).toMatchObject(tooFew);
  await replica.thaw();
  expect(await onceCopied(() => other.enqueue([task]))).toEqual([{ status: 'duplicate', existingId: task.id }]);
});

test('a connection that is lost while a copy is awaited does not take those of the next one for its own', async () => {
  const { url, replica, broker } = await pair({ operationTimeout: 3_000 });
  await replica.freeze();
  const task = newTask({ fresh: true });
  const enqueueing = rejectionOf(broker.enqueue([task]));
  const admin = newClient(url);
  await until(async () => (await admin.exists('p:{line}:task')) === 1, 'the task');
  await admin.call('client', 'kill', 'type', 'normal', 'skipme', 'yes');
  await replica.thaw();
  expect(await enqueueing).toMatchObject({ code: 'INDETERMINATE', reason: 'connection' });
});

test('a lease is given out once it has a copy: a server that takes over knows who holds the task', async () => {
  const { replica, broker } = await pair();
  const task = newTask();
  await onceCopied(() => broker.enqueue([task]));
  const session = await openSession(broker);
  await replica.freeze();
  expect(await rejectionOf(session.claim(claimOf()))).toMatchObject(tooFew);
  await replica.thaw();
  const deliveries = await onceCopied(() => session.claim(claimOf(1, { waitMs: 5_000 })));
  expect(deliveries).toHaveLength(1);
  expect(await session.settle(deliveries.map(({ lease }) => ({ type: 'complete', lease })))).toEqual(['applied']);
});

/** The driver's words for a connection that is being given up: a moment that no test can hit from outside. */
class LeavingAtWait extends Redis {
  override sendCommand(command: Command): unknown {
    if (command.name === 'wait')
      return Promise.reject(new Error("Stream isn't writeable and enableOfflineQueue options is false"));
    return super.sendCommand(command);
  }
}

test('a question for copies that was never sent does not make the write before it one that never happened', async () => {
  const { url, broker: other } = await pair();
  const connect = (): Redis => new LeavingAtWait(url, { lazyConnect: true, protocol: 2, enableOfflineQueue: false });
  const broker = redisBroker({ connect, prefix: 'p', durability: { replicas: 1 }, operationTimeout: 10_000 });
  onTestFinished(() => broker.close());
  await broker.open();
  const [first, second] = [newTask({ fresh: true }), newTask({ fresh: true })];
  const unsure = { code: 'INDETERMINATE', reason: 'connection' };
  expect(await rejectionOf(broker.enqueue([first]))).toMatchObject(unsure);
  await onceCopied(() => other.enqueue([second]));
  const session = await openSession(broker);
  // It took the first one, and must not take the second as well while nobody has heard of the first.
  expect(await rejectionOf(session.claim(claimOf()))).toMatchObject(unsure);
  const next = await openSession(other);
  const deliveries = await onceCopied(() => next.claim(claimOf(10)));
  expect(deliveries.map(({ lease }) => lease.taskId)).toEqual([second.id]);
});
