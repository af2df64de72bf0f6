import { expect, test } from 'vitest';
import { claimOf, newTask } from './builders.ts';
import { newBroker, newClient, newPrefix, openSession, watchUnhandled } from './support.ts';

watchUnhandled();

test('a listing shows all that was enqueued before it, however many ids were not in the index yet', async () => {
  const prefix = newPrefix();
  const broker = newBroker({ prefix });
  await broker.open();
  // Ids at random, so that the order of arrival is not that of the listing.
  const tasks = Array.from({ length: 2_500 }, () => newTask({ fresh: true }));
  await broker.enqueue(tasks.slice(0, 500));
  expect((await broker.tasks.list({}, { limit: 10 })).tasks).toHaveLength(10);
  await broker.enqueue(tasks.slice(500));
  const base = `${prefix}:{line}`;
  expect(await newClient().hget(`${base}:meta`, 'unlisted')).toBe('2000');
  const listed: string[] = [];
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const page = await broker.tasks.list({}, { limit: 1_000, ...(cursor !== undefined && { cursor }) });
    listed.push(...page.tasks.map(({ id }) => id));
    cursor = page.cursor;
  }
  const expected = tasks.map(({ id }) => id).sort();
  expect(listed).toEqual(expected.reverse());
  expect(await newClient().hget(`${base}:meta`, 'unlisted')).toBe('0');
  expect(await newClient().exists(`${base}:unlisted`)).toBe(0);
});

test('ids that came alone, in batches, with duplicates and of any length are listed once each', async () => {
  const broker = newBroker();
  await broker.open();
  const [lone, twice, ...batch] = Array.from({ length: 1_402 }, () => newTask({ fresh: true }));
  if (lone === undefined || twice === undefined) throw new Error('there are 1,402 tasks');
  const named = ['a', 'bb', 'ccc'].map((id) => newTask({ id }));
  await broker.enqueue([lone]);
  await broker.enqueue(batch.slice(0, 700));
  await broker.enqueue([twice, twice]);
  await broker.enqueue(named);
  await broker.enqueue(batch.slice(700));
  const expected = [lone, twice, ...named, ...batch].map(({ id }) => id).sort();
  const { tasks } = await broker.tasks.list({}, { limit: 1_000 });
  expect(tasks.map(({ id }) => id)).toEqual(expected.toReversed().slice(0, 1_000));
  expect(await broker.tasks.count({})).toBe(expected.length);
});

test('listings at the same time, while more is enqueued, all are complete', async () => {
  const broker = newBroker();
  await broker.open();
  await broker.enqueue(Array.from({ length: 3_000 }, () => newTask({ fresh: true })));
  const enqueues = Array.from({ length: 4 }, () =>
    broker.enqueue(Array.from({ length: 500 }, () => newTask({ fresh: true }))),
  );
  const counts = await Promise.all(Array.from({ length: 4 }, () => broker.tasks.count({})));
  await Promise.all(enqueues);
  for (const count of counts) expect(count).toBeGreaterThanOrEqual(3_000);
  expect(await broker.tasks.count({})).toBe(5_000);
});

test('ids of tasks that are gone do not pile up where nobody lists, nor come into a listing', async () => {
  const prefix = newPrefix();
  const broker = newBroker({ prefix });
  await broker.open();
  const stays = newTask({ delayMs: 3_600_000 });
  await broker.enqueue([stays]);
  const admin = newClient();
  const base = `${prefix}:{line}`;
  for (let round = 0; round < 5; round++) {
    const tasks = Array.from({ length: 100 }, () => newTask({ fresh: true }));
    await broker.enqueue(tasks);
    await broker.tasks.remove(tasks.map(({ id }) => id));
    expect(Number(await admin.hget(`${base}:meta`, 'unlisted'))).toBeLessThanOrEqual(1);
    expect(await admin.llen(`${base}:unlisted`)).toBeLessThanOrEqual(1);
  }
  expect((await broker.tasks.list({}, { limit: 10 })).tasks.map(({ id }) => id)).toEqual([stays.id]);
  expect(await admin.zcard(`${base}:index`)).toBe(1);
  await broker.tasks.remove([stays.id]);
  expect(await admin.exists(`${base}:unlisted`, `${base}:index`, `${base}:task`)).toBe(0);
});

test('an id twice in one call is a duplicate, whatever was promised of it', async () => {
  const broker = newBroker();
  await broker.open();
  const [first, second] = [newTask({ fresh: true }), newTask({ fresh: true })];
  const outcomes = await broker.enqueue([first, second, { ...first, input: '"other"' }]);
  expect(outcomes).toEqual([
    { status: 'accepted' },
    { status: 'accepted' },
    { status: 'duplicate', existingId: first.id },
  ]);
  const [stored] = await broker.tasks.get([first.id]);
  expect(stored).not.toHaveProperty('input');
  expect(await broker.queues.stats(['line'])).toMatchObject([{ pending: 2 }]);
});

test('ids of any length and alphabet go together in one call', async () => {
  const broker = newBroker();
  await broker.open();
  // Of one length in characters, not in bytes; and of several lengths.
  for (const ids of [
    ['ab', 'äb', 'a€'],
    ['x', 'longer', '🦉'],
  ]) {
    const outcomes = await broker.enqueue(ids.map((id) => newTask({ id })));
    expect(outcomes).toEqual(ids.map(() => ({ status: 'accepted' })));
    expect((await broker.tasks.get(ids)).map((task) => task?.id)).toEqual(ids);
  }
  expect(await broker.tasks.count({})).toBe(6);
});

test('sequences count on across hundreds', async () => {
  const broker = newBroker();
  await broker.open();
  const tasks = Array.from({ length: 730 }, () => newTask({ fresh: true }));
  for (const [from, to] of [
    [0, 99],
    [99, 100],
    [100, 101],
    [101, 730],
  ]) {
    await broker.enqueue(tasks.slice(from, to));
  }
  const ids: string[] = [];
  const session = await openSession(broker);
  for (let left = 730; left > 0; left -= 100) {
    const claimed = await session.claim(claimOf(Math.min(100, left)));
    ids.push(...claimed.map(({ lease }) => lease.taskId));
  }
  // Due in the same or a later millisecond, each stands behind the one before.
  expect(ids).toEqual(tasks.map(({ id }) => id));
});
