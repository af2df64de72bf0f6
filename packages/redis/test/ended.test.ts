import type { Lease, SettleOp } from '@millrace/core';
import { expect, test } from 'vitest';
import { claimOf, newTask } from './builders.ts';
import { newBroker, newClient, newPrefix, openSession, watchUnhandled } from './support.ts';

watchUnhandled();

const complete = (lease: Lease): SettleOp => ({ type: 'complete', lease });
const failure = { kind: 'error', name: 'Error', message: 'no' } as const;

/** A broker that keeps what ended for ever, or so many; what it wrote down of the ends; and tasks settled in one call. */
async function settledTogether(total: number, maxSucceeded?: number) {
  const prefix = newPrefix();
  const retention = { succeeded: false, failed: false, ...(maxSucceeded !== undefined && { maxSucceeded }) } as const;
  const broker = newBroker({ prefix, retention });
  await broker.open();
  const session = await openSession(broker);
  const tasks = Array.from({ length: total }, () => newTask({ fresh: true }));
  await broker.enqueue(tasks);
  const deliveries = await session.claim(claimOf(total));
  expect(await session.settle(deliveries.map(({ lease }) => complete(lease)))).toEqual(tasks.map(() => 'applied'));
  const server = newClient();
  return {
    broker,
    session,
    ids: tasks.map(({ id }) => id),
    entries: () => server.zrange(`${prefix}:{line}:done`, '0', '-1'),
    counted: async () => Number(await server.hget(`${prefix}:{line}:meta`, 'done')),
  };
}

test('what is settled together has one entry, which loses what is removed and what runs again', async () => {
  const { broker, session, ids, entries, counted } = await settledTogether(6);
  expect(await entries()).toEqual([`\0${ids.join('')}`]);
  const [removed, rerun, ...others] = ids as [string, string, ...string[]];
  expect(await broker.tasks.remove([removed])).toEqual(['applied']);
  expect(await broker.tasks.rerun([rerun])).toEqual(['applied']);
  expect(await entries()).toEqual([`\0${others.join('')}`]);
  expect(await counted()).toBe(4);
  const [again] = await session.claim(claimOf(1));
  expect(await session.settle([complete((again as { lease: Lease }).lease)])).toEqual(['applied']);
  expect((await entries()).sort()).toEqual([`\0${others.join('')}`, rerun].sort());
  expect(await broker.tasks.remove(ids)).toEqual(['not-found', ...ids.slice(1).map(() => 'applied')]);
  expect(await entries()).toEqual([]);
  expect(await counted()).toBe(0);
});

test('too many are removed from the front of what ended together, however few at a time', async () => {
  const { broker, ids, entries, counted } = await settledTogether(10, 4);
  const report = await broker.maintain({ maxTasks: 1 });
  expect(report).toMatchObject({ pruned: 1, more: true });
  expect(await counted()).toBe(9);
  for (let more = true; more; ) ({ more } = await broker.maintain({ maxTasks: 3 }));
  expect(await entries()).toEqual([`\0${ids.slice(6).join('')}`]);
  expect((await broker.tasks.get(ids)).map((task) => task !== undefined)).toEqual(ids.map((_id, index) => index >= 6));
  expect(await counted()).toBe(4);
});

test('a lease settles once in a call, by the first operation, whatever else is in it', async () => {
  const broker = newBroker();
  await broker.open();
  const session = await openSession(broker);
  const tasks = [newTask({ fresh: true }), newTask({ fresh: true }), newTask({ id: 'of another length' })];
  await broker.enqueue(tasks);
  const leases = (await session.claim(claimOf(3))).map(({ lease }) => lease) as [Lease, Lease, Lease];
  const [first, second, third] = leases;
  expect(await session.settle([complete(first), complete(first)])).toEqual(['applied', 'stale']);
  const mixed: SettleOp[] = [{ type: 'fail', lease: second, failure }, complete(second), complete(third)];
  expect(await session.settle(mixed)).toEqual(['applied', 'stale', 'applied']);
  expect(await session.settle(leases.map(complete))).toEqual(['stale', 'stale', 'stale']);
  const states = (await broker.tasks.get(tasks.map(({ id }) => id))).map((task) => task?.state);
  expect(states).toEqual(['succeeded', 'failed', 'succeeded']);
});

test('what one claim gave settles in any order and mixture, each with its own output', async () => {
  const broker = newBroker();
  await broker.open();
  const session = await openSession(broker);
  const tasks = Array.from({ length: 60 }, () => newTask({ fresh: true }));
  await broker.enqueue(tasks);
  const leases = (await session.claim(claimOf(60))).map(({ lease }) => lease);
  const operations = leases.slice(0, 50).map((lease, index): SettleOp => {
    if (index % 11 === 3) return { type: 'retry', lease, delayMs: 3_600_000, failure };
    if (index % 13 === 5) return complete({ ...lease, fence: lease.fence - 1 });
    if (index % 17 === 7) return complete({ ...lease, attempt: 2 });
    return index % 20 < 10 ? complete(lease) : { type: 'complete', lease, output: String(index) };
  });
  // Out of order here and there, and some once more.
  const shuffled = [...operations.slice(20, 40), ...operations.slice(40).reverse(), ...operations.slice(0, 20)];
  const outcomes = await session.settle([...shuffled, ...operations.slice(0, 4)]);
  const isForged = ({ lease }: SettleOp): boolean => lease.attempt === 2 || lease.fence !== leases[0]?.fence;
  expect(outcomes.slice(0, 50)).toEqual(shuffled.map((operation) => (isForged(operation) ? 'stale' : 'applied')));
  expect(outcomes.slice(50)).toEqual(['stale', 'stale', 'stale', 'stale']);
  const records = await broker.tasks.get(tasks.map(({ id }) => id));
  const expected = operations.map((operation) => {
    if (isForged(operation)) return ['running', undefined];
    return operation.type === 'complete' ? ['succeeded', operation.output] : ['retrying', undefined];
  });
  expect(records.slice(0, 50).map((record) => [record?.state, record?.output])).toEqual(expected);
  expect(records.slice(0, 50).map((record) => record?.fence)).toEqual(operations.map(() => leases[0]?.fence));
  // What was not settled goes back with its session.
  await session.end();
  const left = expected.filter(([state]) => state === 'running').length + 10;
  expect(await broker.queues.stats(['line'])).toMatchObject([{ pending: left, running: 0, retrying: 5 }]);
});
