import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { PostgresTransaction } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { serverUrl } from './harness.ts';
import { newBroker, openSession, rejectionOf, watchUnhandled } from './support.ts';

watchUnhandled();

async function newClient(): Promise<pg.Client> {
  const client = new pg.Client(serverUrl);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

test('tasks of a transaction are seen after its commit, and wake a worker that sleeps', async () => {
  const broker = newBroker({ pollInterval: '30s' });
  await broker.open();
  const session = await openSession(broker);
  const client = await newClient();
  const claiming = session.claim(claimOf({ waitMs: 20_000 }));
  await client.query('begin');
  const transaction: PostgresTransaction = client;
  expect(await broker.enqueue([newTask({ id: 'tx' })], { transaction })).toEqual([{ status: 'accepted' }]);
  expect(await broker.tasks.get(['tx'])).toEqual([undefined]);
  await client.query('commit');
  expect((await claiming).map(({ lease }) => lease.taskId)).toEqual(['tx']);
});

test('rolling back to a savepoint takes back what was enqueued after it, and nothing else', async () => {
  const broker = newBroker();
  await broker.open();
  const client = await newClient();
  await client.query('begin');
  await broker.enqueue([newTask({ id: 'before' })], { transaction: client });
  await client.query('savepoint here');
  await broker.enqueue([newTask({ id: 'within', key: 'k' })], { transaction: client });
  await client.query('rollback to savepoint here');
  await broker.enqueue([newTask({ id: 'after', key: 'k' })], { transaction: client });
  await client.query('commit');
  const tasks = await broker.tasks.get(['before', 'within', 'after']);
  expect(tasks.map((task) => task?.state)).toEqual(['pending', undefined, 'pending']);
});

test('duplicates and rejected tasks leave the transaction usable', async () => {
  const broker = newBroker();
  await broker.open();
  await broker.enqueue([newTask({ id: 'there', key: 'k' })]);
  const client = await newClient();
  await client.query('begin');
  const outcomes = await broker.enqueue(
    [newTask({ id: 'there' }), newTask({ id: 'other', key: 'k' }), newTask({ priority: 99 }), newTask({ id: 'good' })],
    { transaction: client },
  );
  expect(outcomes.map(({ status }) => status)).toEqual(['duplicate', 'duplicate', 'rejected', 'accepted']);
  await client.query('commit');
  expect(await broker.tasks.count({})).toBe(2);
});

test('a delay counts from the call, not from the beginning of the transaction', async () => {
  const broker = newBroker();
  await broker.open();
  const client = await newClient();
  await client.query('begin');
  await client.query('select pg_sleep(0.5)');
  const before = Date.now();
  await broker.enqueue([newTask({ id: 'late', delayMs: 60_000 })], { transaction: client });
  await client.query('commit');
  const [task] = await broker.tasks.get(['late']);
  expect(task!.runAt).toBeGreaterThanOrEqual(before + 60_000 - 100);
});

test('a key held by an open transaction of somebody else is waited for, not for ever', async () => {
  const broker = newBroker({ operationTimeout: '4s' });
  await broker.open();
  const client = await newClient();
  await client.query('begin');
  await broker.enqueue([newTask({ id: 'first', key: 'k' })], { transaction: client });
  const error = await rejectionOf(broker.enqueue([newTask({ id: 'second', key: 'k' })]));
  expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'transaction-conflict' });
  const third = broker.enqueue([newTask({ id: 'third', key: 'k' })]);
  await client.query('commit');
  expect(await third).toEqual([{ status: 'duplicate', existingId: 'first' }]);
});

test('what is no transaction is refused', async () => {
  const broker = newBroker();
  await broker.open();
  expect(await rejectionOf(broker.enqueue([newTask()], { transaction: {} as never }))).toMatchObject({
    code: 'VALIDATION',
    option: 'transaction',
  });
});
