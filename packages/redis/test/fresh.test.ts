import { randomUUID } from 'node:crypto';
import type { Lease, NewTask, Session } from '@millrace/core';
import { expect, test } from 'vitest';
import type { RedisBroker } from '../src/index.ts';
import { makeScripts } from '../src/scripts.ts';
import { claimOf, newTask } from './builders.ts';
import { newBroker, newClient, newPrefix, openSession, ownServer, watchUnhandled } from './support.ts';

watchUnhandled();

/** Where tasks lie that were due when enqueued, have the usual priority, and were not touched since. */
const listOf = (prefix: string): string => `${prefix}:{line}:fresh:work`;

/** How many tasks its entries stand for, see fresh.lua; with ids of 36 characters. */
async function countIn(prefix: string): Promise<number> {
  const entries = await newClient().lrange(listOf(prefix), 0, -1);
  return entries.reduce((sum, entry) => sum + (entry.length - 25) / 36, 0);
}

async function open(): Promise<{ readonly broker: RedisBroker; readonly prefix: string; readonly session: Session }> {
  const prefix = newPrefix();
  const broker = newBroker({ prefix });
  await broker.open();
  return { broker, prefix, session: await openSession(broker) };
}

const idsOf = (tasks: readonly NewTask[]): string[] => tasks.map(({ id }) => id);

async function claimed(session: Session, limit = 100): Promise<string[]> {
  return (await session.claim(claimOf(limit))).map(({ lease }) => lease.taskId);
}

test('what lies in the list and what does not are given in one order', async () => {
  const { broker, prefix, session } = await open();
  const usual = Array.from({ length: 6 }, () => newTask());
  const [high, low, keyed] = [newTask({ priority: 7 }), newTask({ priority: 1 }), newTask({ key: 'k' })];
  const [first, second, ...rest] = usual as [NewTask, NewTask, ...NewTask[]];
  await broker.enqueue([first, low, second, keyed, ...rest, high]);
  expect(await countIn(prefix)).toBe(6);
  expect(await claimed(session, 2)).toEqual(idsOf([high, first]));
  expect(await claimed(session, 3)).toEqual(idsOf([second, keyed, rest[0] as NewTask]));
  expect(await claimed(session)).toEqual(idsOf([...rest.slice(1), low]));
});

test('a batch of all kinds is stored as one by one, up to the limit of its queue', async () => {
  const broker = newBroker({ prefix: newPrefix(), maxQueueLength: 260 });
  await broker.open();
  const session = await openSession(broker);
  const known = newTask();
  await broker.enqueue([known]);
  const kinds: Partial<NewTask>[] = [
    {},
    {},
    {},
    { priority: 6 },
    { key: 'k' },
    { expiresInMs: 60_000 },
    { name: 'rest' },
  ];
  const tasks = Array.from({ length: 330 }, (_unused, index) => newTask({ input: `${index}`, ...kinds[index % 7] }));
  tasks.splice(120, 0, known);
  const outcomes = await broker.enqueue(tasks);
  const accepted = tasks.filter((_task, index) => outcomes[index]?.status === 'accepted');
  expect(accepted).toHaveLength(259);
  // The known one and all but the first with the key; and no later one is accepted once the queue is full.
  const last = tasks.indexOf(accepted.at(-1) as NewTask);
  const refused = outcomes.slice(0, last).filter(({ status }) => status !== 'accepted');
  expect(refused.every(({ status }) => status === 'duplicate')).toBe(true);
  expect(refused).toHaveLength(tasks.slice(0, last).filter(({ key }) => key !== undefined).length);
  expect(outcomes[last + 1]?.status).not.toBe('accepted');
  const byPriority = [known, ...accepted].toSorted((one, other) => other.priority - one.priority);
  const deliveries = await session.claim(claimOf(250, { names: ['work', 'rest'] }));
  deliveries.push(...(await session.claim(claimOf(250, { names: ['work', 'rest'] }))));
  expect(deliveries.map(({ lease, input }) => [lease.taskId, input])).toEqual(
    byPriority.map(({ id, input }) => [id, input]),
  );
});

test('an id of your own is not taken for new, whatever is promised of it', async () => {
  const { broker, session } = await open();
  // Above the highest id that was made here, of another length, and in another order for people than for machines.
  const ids = ['zz', 'x'.repeat(36), 'B'.repeat(36), 'a'.repeat(36)];
  await broker.enqueue(ids.map((id) => newTask({ id, input: '"first"' })));
  await broker.enqueue([newTask()]);
  for (const id of ids) {
    const outcomes = await broker.enqueue([newTask({ id, input: '"second"', fresh: true })]);
    expect(outcomes).toEqual([{ status: 'duplicate', existingId: id }]);
  }
  const deliveries = await session.claim(claimOf(4));
  expect(deliveries.map(({ lease, input }) => [lease.taskId, input])).toEqual(ids.map((id) => [id, '"first"']));
});

test('ids of every kind and length come back with the task they belong to', async () => {
  const { broker, session } = await open();
  // As many bytes as an id that was generated, but fewer characters; as many characters, but more bytes; and others.
  const ids = ['é'.repeat(18), 'x'.repeat(36), '🦆'.repeat(9), 'é'.repeat(36), 'short', randomUUID(), 'y'.repeat(255)];
  const tasks = ids.map((id, index) => newTask({ id, input: String(index) }));
  await broker.enqueue([...tasks, newTask({ input: 'null', delayMs: 0, key: 'k' })]);
  const deliveries = await session.claim(claimOf(100));
  expect(deliveries.slice(0, ids.length).map(({ lease, input }) => [lease.taskId, input])).toEqual(
    ids.map((id, index) => [id, String(index)]),
  );
  const settled = await session.settle(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
  expect(settled).toEqual(deliveries.map(() => 'applied'));
});

test('whatever is done to a task takes it out of its place in the list', async () => {
  const { broker, session } = await open();
  const tasks = Array.from({ length: 8 }, () => newTask());
  const [cancelled, removed, raised, paused, resumed, replacedLater, byId, left] = tasks as [
    ...[NewTask, NewTask, NewTask, NewTask, NewTask, NewTask, NewTask, NewTask],
  ];
  await broker.enqueue(tasks);
  await broker.tasks.cancel([cancelled.id]);
  await broker.tasks.remove([removed.id, replacedLater.id]);
  await broker.tasks.update([raised.id], { priority: 9 });
  await broker.tasks.pause([paused.id, resumed.id]);
  await broker.tasks.resume([resumed.id]);
  expect(await session.claimTasks?.([byId.id])).toMatchObject([{ status: 'claimed' }]);
  // The id comes again: it stands where it came in now.
  expect(await broker.enqueue([{ ...replacedLater, input: '"again"' }])).toEqual([{ status: 'accepted' }]);
  const deliveries = await session.claim(claimOf(100));
  expect(deliveries.map(({ lease }) => lease.taskId)).toEqual(idsOf([raised, resumed, left, replacedLater]));
  expect(deliveries[3]?.input).toBe('"again"');
  const [ofRaised, ofLeft] = [deliveries[0]?.lease, deliveries[2]?.lease] as [Lease, Lease];
  expect(await session.settle([{ type: 'complete', lease: { ...ofRaised, fence: ofLeft.fence } }])).toEqual(['stale']);
  expect(await claimed(session)).toEqual([]);
  expect(await broker.queues.stats(['line'])).toMatchObject([{ pending: 0, running: 5, pausedTasks: 1 }]);
});

test('a task that comes back keeps its place before those that came after it', async () => {
  const { broker, session } = await open();
  const tasks = Array.from({ length: 3 }, () => newTask());
  await broker.enqueue(tasks);
  const [first] = await session.claim(claimOf(1));
  await session.settle([{ type: 'release', lease: first?.lease as never }]);
  const again = await session.claim(claimOf(3));
  expect(again.map(({ lease }) => lease.taskId)).toEqual(idsOf(tasks));
  expect(again[0]?.lease.fence).toBeGreaterThan(first?.lease.fence as number);
  expect(await session.settle(again.map(({ lease }) => ({ type: 'complete', lease })))).toEqual(
    tasks.map(() => 'applied'),
  );
});

test('a clock that was set back puts nobody in front of those that wait', async () => {
  const { broker, prefix, session } = await open();
  const admin = newClient();
  const [before, after] = [newTask(), newTask()];
  await broker.enqueue([before]);
  // As if it had been stored by a clock that was an hour ahead.
  const entry = (await admin.lindex(listOf(prefix), 0)) as string;
  const ahead = String(Number(entry.slice(12, 25)) + 3_600_000);
  await admin.lset(listOf(prefix), 0, entry.slice(0, 12) + ahead + entry.slice(25));
  await broker.enqueue([after]);
  expect(await admin.llen(listOf(prefix))).toBe(1);
  expect(await claimed(session)).toEqual(idsOf([after, before]));
});

test('entries that count no more do not pile up where nobody claims', async () => {
  const { broker, prefix, session } = await open();
  const admin = newClient();
  const tasks = Array.from({ length: 2_600 }, () => newTask());
  await broker.enqueue(tasks);
  // The latest first, so that the head of the list is good all the time.
  const gone = tasks.slice(100, 2_550).reverse();
  for (let from = 0; from < gone.length; from += 500) {
    await broker.tasks.remove(idsOf(gone.slice(from, from + 500)));
  }
  for (let more = true; more; ) ({ more } = await broker.maintain({ maxTasks: 1_000 }));
  expect(await countIn(prefix)).toBeLessThanOrEqual(1_150);
  const left = [...tasks.slice(0, 100), ...tasks.slice(2_550)];
  const order: string[] = [];
  while (order.length < left.length) order.push(...(await claimed(session, 40)));
  expect(order).toEqual(idsOf(left));
  await broker.enqueue([newTask()]);
  await broker.tasks.remove(
    (await broker.tasks.list({ states: ['pending'] }, { limit: 10 })).tasks.map(({ id }) => id),
  );
  for (let more = true; more; ) ({ more } = await broker.maintain({ maxTasks: 1_000 }));
  expect(await admin.exists(listOf(prefix))).toBe(0);
  expect(await admin.hget(`${prefix}:{line}:meta`, 'void')).toBe('0');
});

test('a purge takes what lies in the list, beside entries that count no more', async () => {
  const { broker, prefix, session } = await open();
  const tasks = Array.from({ length: 1_200 }, (_unused, index) => newTask({ priority: index % 3 === 0 ? 5 : 4 }));
  await broker.enqueue(tasks);
  await broker.tasks.remove(idsOf(tasks.slice(0, 900)));
  expect(await broker.queues.purge('line')).toBe(300);
  expect(await claimed(session)).toEqual([]);
  expect(await broker.tasks.count({})).toBe(0);
  expect(await newClient().hget(`${prefix}:{line}:meta`, 'void')).toBe('0');
});

test('an id that comes again has one place, also when entries were moved in between', async () => {
  const { broker, prefix, session } = await open();
  const tasks = Array.from({ length: 1_101 }, () => newTask());
  await broker.enqueue(tasks);
  await broker.tasks.remove(idsOf(tasks.slice(0, 1_000)));
  await broker.tasks.remove(idsOf(tasks.slice(1_000, 1_100)));
  const [again, other] = [tasks[0] as NewTask, tasks[1_100] as NewTask];
  await broker.enqueue([again]);
  for (let more = true; more; ) ({ more } = await broker.maintain({ maxTasks: 1_000 }));
  expect(await claimed(session)).toEqual(idsOf([other, again]));
  expect(await claimed(session)).toEqual([]);
  for (let more = true; more; ) ({ more } = await broker.maintain({ maxTasks: 1_000 }));
  expect(await newClient().hget(`${prefix}:{line}:meta`, 'void')).toBe('0');
});

test('the age of the oldest task is not that of one that is gone', async () => {
  const { broker, prefix } = await open();
  const tasks = Array.from({ length: 250 }, () => newTask());
  await broker.enqueue(tasks.slice(0, 249));
  await broker.enqueue(tasks.slice(249));
  const admin = newClient();
  const entries = await admin.lrange(listOf(prefix), 0, -1);
  for (const [index, entry] of entries.slice(0, -1).entries()) {
    const earlier = String(Number(entry.slice(12, 25)) - 3_600_000);
    await admin.lset(listOf(prefix), index, entry.slice(0, 12) + earlier + entry.slice(25));
  }
  expect((await broker.queues.stats(['line']))[0]?.oldestPendingMs).toBeGreaterThanOrEqual(3_600_000);
  await broker.tasks.cancel(idsOf(tasks.slice(0, 249)));
  expect((await broker.queues.stats(['line']))[0]?.oldestPendingMs).toBeLessThan(3_600_000);
  expect(await admin.llen(listOf(prefix))).toBe(1);
});

test('an id that is there is found, however it stands to those stored before', async () => {
  const { broker } = await open();
  // Above and below each other, of the length of generated ids and of others.
  const ids = [
    ...['00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000005', '0', 'z'.repeat(36)],
    ...['00000000-0000-7000-8000-000000000004', '00000000-0000-7000-8000-000000000009', 'ffff'],
  ];
  for (const id of ids) expect(await broker.enqueue([newTask({ id, fresh: true })])).toEqual([{ status: 'accepted' }]);
  for (const id of ids) {
    const duplicate = { status: 'duplicate', existingId: id };
    expect(await broker.enqueue([newTask({ id, fresh: true })])).toEqual([duplicate]);
    expect(await broker.enqueue([newTask({ id, fresh: true }), newTask({ fresh: true })])).toMatchObject([
      duplicate,
      { status: 'accepted' },
    ]);
  }
  const together = [...ids.slice(0, 2), ids[4] as string, '00000000-0000-7000-8000-000000000006'];
  const outcomes = await broker.enqueue(together.sort().map((id) => newTask({ id, fresh: true })));
  expect(outcomes.map(({ status }) => status)).toEqual(['duplicate', 'duplicate', 'duplicate', 'accepted']);
});

test('rising ids need not be looked for, and still none is stored twice', async () => {
  const { broker } = await open();
  const at = (number: number): string => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
  await broker.enqueue(Array.from({ length: 300 }, (_unused, index) => newTask({ id: at(index), fresh: true })));
  const outcomes = await broker.enqueue([
    ...[at(299), at(300), at(301)].map((id) => newTask({ id, fresh: true })),
    ...[at(301), at(120)].map((id) => newTask({ id, fresh: true })),
    newTask({ id: randomUUID() }),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual([
    ...['duplicate', 'accepted', 'accepted', 'duplicate', 'duplicate', 'accepted'],
  ]);
  expect(await broker.tasks.count({})).toBe(303);
});

test('a task that was given back and claimed again is found once among what a session holds', async () => {
  const { broker, prefix, session } = await open();
  await broker.enqueue([newTask(), newTask()]);
  const [first, second] = (await session.claim(claimOf(2))).map(({ lease }) => lease) as [Lease, Lease];
  await session.settle([{ type: 'release', lease: first }]);
  await session.claim(claimOf(1));
  const base = `${prefix}:{line}`;
  const found = await newClient().eval(makeScripts().readHeld.text, 2, base, `${base}:meta`, session.id, second.taskId);
  expect((found as string[]).filter((text) => text.endsWith(first.taskId))).toHaveLength(1);
});

test('a server that is full still tells its numbers, also where some of an entry is void', async () => {
  const url = await ownServer();
  const broker = newBroker({ url });
  await broker.open();
  const tasks = Array.from({ length: 30 }, () => newTask());
  await broker.enqueue(tasks);
  await broker.tasks.remove(idsOf(tasks.slice(0, 3)));
  await newClient(url).config('SET', 'maxmemory', '1');
  expect(await broker.queues.stats(['line'])).toMatchObject([{ pending: 27 }]);
});
