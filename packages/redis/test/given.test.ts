import { startProxy } from '@millrace/conformance';
import type { Delivery, Session } from '@millrace/core';
import { expect, onTestFinished, test } from 'vitest';
import type { RedisBroker } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { serverUrl } from './harness.ts';
import { newBroker, newClient, newPrefix, openSession, until, watchUnhandled } from './support.ts';

watchUnhandled();

/** Long enough that nothing here is found by polling. */
const pollInterval = '1h';
const waitMs = 3_600_000;
const idsOf = (deliveries: readonly Delivery[]): string[] => deliveries.map(({ lease }) => lease.taskId);

async function opened(prefix: string, url: string = serverUrl): Promise<RedisBroker> {
  const broker = newBroker({ prefix, url, pollInterval });
  await broker.open();
  return broker;
}

/** How many claims sleep and may be given a task. */
const sleepers = (prefix: string): Promise<number> => newClient().zcard(`${prefix}:{line}:asleep`);

/** A claim that sleeps. */
async function asleep(prefix: string, session: Session, changes = {}): Promise<Promise<Delivery[]>[]> {
  const before = await sleepers(prefix);
  const claim = session.claim(claimOf(1, { waitMs, ...changes }));
  await until(async () => (await sleepers(prefix)) > before, 'a claim that sleeps');
  return [claim];
}

test('a task that comes alone is running before its enqueue is answered, if somebody waits for it', async () => {
  const prefix = newPrefix();
  const [producer, consumer] = [await opened(prefix), await opened(prefix)];
  const session = await openSession(consumer);
  const [claim] = await asleep(prefix, session);
  const task = newTask({ fresh: true });
  await producer.enqueue([task]);
  expect(await producer.tasks.get([task.id])).toMatchObject([{ state: 'running', attempt: 1 }]);
  expect(await producer.queues.stats(['line'])).toMatchObject([{ pending: 0, running: 1 }]);
  const [delivery] = await (claim as Promise<Delivery[]>);
  expect(delivery).toMatchObject({ name: 'work', queue: 'line', lease: { taskId: task.id, attempt: 1 } });
  expect(await session.settle([{ type: 'complete', lease: delivery!.lease }])).toEqual(['applied']);
  expect(await producer.tasks.get([task.id])).toMatchObject([{ state: 'succeeded' }]);
});

test('each task goes to one of those who wait, who waited longest first', async () => {
  const prefix = newPrefix();
  const [producer, consumer] = [await opened(prefix), await opened(prefix)];
  const claims: Promise<Delivery[]>[] = [];
  for (let waiting = 0; waiting < 4; waiting++) claims.push(...(await asleep(prefix, await openSession(consumer))));
  const tasks = Array.from({ length: 4 }, () => newTask({ fresh: true }));
  for (const task of tasks) await producer.enqueue([task]);
  expect((await Promise.all(claims)).flatMap(idsOf)).toEqual(tasks.map(({ id }) => id));
});

test('nothing is given before what came first and was told by another way', async () => {
  const prefix = newPrefix();
  const [producer, consumer] = [await opened(prefix), await opened(prefix)];
  const session = await openSession(consumer);
  for (const earlier of [[newTask(), newTask()], [newTask({ key: 'k' })], [newTask({ expiresInMs: 60_000 })]]) {
    const [claim] = await asleep(prefix, session);
    const task = newTask({ fresh: true });
    // On one connection, one right after the other: the claim is asleep for both.
    await Promise.all([producer.enqueue(earlier.map((each) => ({ ...each, fresh: true }))), producer.enqueue([task])]);
    const order = [...idsOf(await (claim as Promise<Delivery[]>))];
    while (order.length <= earlier.length) order.push(...idsOf(await session.claim(claimOf(1, { waitMs }))));
    expect(order).toEqual([...earlier.map(({ id }) => id), task.id]);
  }
});

test('whose listening connection is gone is given nothing: the next one is', async () => {
  const prefix = newPrefix();
  const [producer, deaf, other] = [await opened(prefix), await opened(prefix), await opened(prefix)];
  const first = await asleep(prefix, await openSession(deaf));
  const channels = (await newClient().pubsub('CHANNELS', `${prefix}:*`)) as string[];
  expect(channels.some((channel) => channel.includes(':given:'))).toBe(true);
  const second = await asleep(prefix, await openSession(other));
  // The claim of `deaf` sleeps on, and is the first in line.
  const admin = newClient();
  const lines = String(await admin.client('LIST')).split('\n');
  const ids = lines.filter((line) => / sub=[1-9]/.test(line) && line.includes(`name=millrace:${prefix}`));
  expect(ids.length).toBeGreaterThan(0);
  const oldest = ids.map((line) => Number(/^id=(\d+)/.exec(line)?.[1])).sort((a, b) => a - b)[0];
  const task = newTask({ fresh: true });
  const killed = admin.client('KILL', 'ID', String(oldest));
  const [, outcomes] = await Promise.all([killed, producer.enqueue([task])]);
  expect(outcomes).toEqual([{ status: 'accepted' }]);
  const [delivery] = await Promise.race([...first, ...second]);
  expect(delivery?.lease.taskId).toBe(task.id);
});

test('a task whose message got lost is handed out once the link is back', async () => {
  const address = new URL(serverUrl);
  const proxy = await startProxy({ host: address.hostname, port: Number(address.port) });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const prefix = newPrefix();
  const [producer, consumer] = [await opened(prefix), await opened(prefix, proxy.url(serverUrl))];
  const session = await openSession(consumer);
  const [claim] = await asleep(prefix, session);
  const hole = proxy.blackhole('in');
  const task = newTask({ fresh: true });
  await producer.enqueue([task]);
  expect(await producer.tasks.get([task.id])).toMatchObject([{ state: 'running' }]);
  proxy.sever();
  hole.heal();
  const [delivery] = await (claim as Promise<Delivery[]>);
  expect(delivery?.lease).toMatchObject({ taskId: task.id, attempt: 1 });
  expect(await session.settle([{ type: 'complete', lease: delivery!.lease }])).toEqual(['applied']);
});

test('a claim that ends takes itself out, and so does one that looks again', async () => {
  const prefix = newPrefix();
  const broker = await opened(prefix);
  const session = await openSession(broker);
  const stop = new AbortController();
  const [claim] = await asleep(prefix, session, { signal: stop.signal });
  stop.abort();
  expect(await claim).toEqual([]);
  expect(await session.claim(claimOf())).toEqual([]);
  expect(await sleepers(prefix)).toBe(0);
});

test('tasks with large inputs are not sent to where nobody may want them', async () => {
  const prefix = newPrefix();
  const [producer, consumer] = [await opened(prefix), await opened(prefix)];
  const [claim] = await asleep(prefix, await openSession(consumer));
  const task = newTask({ fresh: true, input: JSON.stringify('x'.repeat(100_000)) });
  await producer.enqueue([task]);
  expect(idsOf(await (claim as Promise<Delivery[]>))).toEqual([task.id]);
});
