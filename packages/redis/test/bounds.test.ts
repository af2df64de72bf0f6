import type { Lease } from '@millrace/core';
import { expect, test } from 'vitest';
import { claimOf, newTask } from './builders.ts';
import { serverUrl } from './harness.ts';
import { newBroker, newClient, newPrefix, openSession, rejectionOf, watchUnhandled } from './support.ts';

watchUnhandled();

test('a queue that is full rejects what does not fit, in order, and takes more once there is room', async () => {
  const broker = newBroker({ maxQueueLength: 3 });
  await broker.open();
  const tasks = [newTask(), newTask({ delayMs: 60_000 }), newTask({ queue: 'other' }), newTask(), newTask()];
  const outcomes = await broker.enqueue(tasks);
  expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'accepted', 'accepted', 'rejected']);
  expect(outcomes[4]).toMatchObject({
    error: { code: 'BACKPRESSURE', option: 'maxQueueLength', reason: 'queue-full' },
  });
  // What is there already needs no room.
  expect(await broker.enqueue([tasks[0] as ReturnType<typeof newTask>])).toMatchObject([{ status: 'duplicate' }]);
  const session = await openSession(broker);
  expect(await session.claim(claimOf(1))).toHaveLength(1);
  expect(await broker.enqueue([newTask()])).toEqual([{ status: 'accepted' }]);
});

test('only so many ended tasks are kept, the latest, on an idle queue too', async () => {
  const broker = newBroker({ retention: { succeeded: false, failed: false, maxSucceeded: 5, maxFailed: 2 } });
  await broker.open();
  const session = await openSession(broker);
  // Within one millisecond the order is that of the ids.
  const tasks = Array.from({ length: 12 }, (_unused, index) => newTask({ id: `task-${10 + index}` }));
  await broker.enqueue(tasks);
  for (const [index, { lease }] of (await session.claim(claimOf(12))).entries()) {
    const failure = { kind: 'error', name: 'Error', message: 'no' } as const;
    await session.settle([index < 8 ? { type: 'complete', lease } : { type: 'fail', lease, failure }]);
  }
  await session.end();
  for (let more = true; more; ) ({ more } = await broker.maintain({ maxTasks: 2 }));
  const left = await broker.tasks.get(tasks.map(({ id }) => id));
  const kept = tasks.filter((_task, index) => left[index] !== undefined).map(({ id }) => id);
  expect(kept.sort()).toEqual([...tasks.slice(3, 8), ...tasks.slice(10)].map(({ id }) => id).sort());
});

/** Keys that are there after tasks of all kinds have ended, and have been taken away. */
async function keysAfter(takeAway: (broker: ReturnType<typeof newBroker>) => Promise<void>, options = {}) {
  const prefix = newPrefix();
  const broker = newBroker({ prefix, ...options });
  await broker.open();
  const session = await openSession(broker);
  await broker.enqueue([newTask({ key: 'k', expiresInMs: 60_000 }), newTask(), newTask()]);
  const deliveries = await session.claim(claimOf(3));
  const line = { level: 'info', message: 'line', at: 0 } as const;
  await session.report(deliveries.map(({ lease }) => ({ lease, progress: '1', checkpoint: '2', log: [line] })));
  const failure = { kind: 'error', name: 'Error', message: 'no' } as const;
  const [first, ...others] = deliveries.map(({ lease }) => lease);
  await session.settle([
    { type: 'fail', lease: first as Lease, failure },
    ...others.map((lease) => ({ type: 'complete', lease, output: '"x"' }) as const),
  ]);
  await session.end();
  await takeAway(broker);
  const [start, keys] = [`${prefix}:`, await newClient().keys(`${prefix}:*`)];
  return keys.map((key) => key.slice(start.length)).sort();
}

const alwaysThere = ['layout', 'queues', '{line}:meta', '{line}:names'].sort();

test('nothing is left of tasks that were removed', async () => {
  const left = await keysAfter(async (broker) => {
    await broker.enqueue([newTask({ delayMs: 60_000 })]);
    const { tasks } = await broker.tasks.list({}, { limit: 10 });
    expect(await broker.tasks.remove(tasks.map(({ id }) => id))).toEqual(tasks.map(() => 'applied'));
    expect(tasks).toHaveLength(4);
  });
  expect(left).toEqual(alwaysThere);
});

test('nothing is left of tasks that retention took', async () => {
  const maintain = async (broker: ReturnType<typeof newBroker>): Promise<void> => {
    expect(await broker.maintain({ maxTasks: 100 })).toMatchObject({ pruned: 3, more: false });
  };
  expect(await keysAfter(maintain, { retention: { succeeded: 0, failed: 0 } })).toEqual(alwaysThere);
});

test('a paused task that stands among the ended ones by mistake is not lost with them', async () => {
  const prefix = newPrefix();
  const broker = newBroker({ prefix, retention: { succeeded: 1 } });
  await broker.open();
  const task = newTask();
  await broker.enqueue([task]);
  await broker.tasks.pause([task.id]);
  await newClient().zadd(`${prefix}:{line}:done`, 1, task.id);
  await broker.maintain({ maxTasks: 100 });
  expect((await broker.tasks.get([task.id]))[0]).toMatchObject({ state: 'paused' });
});

test('a task in line whose content is gone does no harm to the others', async () => {
  const prefix = newPrefix();
  const broker = newBroker({ prefix });
  await broker.open();
  const tasks = [newTask({ priority: 9 }), newTask(), newTask()];
  await broker.enqueue(tasks);
  // As a crash in the middle of a hand-over, or somebody's hand, would leave it.
  await newClient().hdel(`${prefix}:{line}:task`, (tasks[0] as { id: string }).id);
  const session = await openSession(broker);
  const deliveries = await session.claim(claimOf(3));
  expect(deliveries.map(({ lease }) => lease.taskId)).toEqual(tasks.slice(1).map(({ id }) => id));
  expect(await session.claim(claimOf(3))).toEqual([]);
});

/** Redis commands that a call makes, scripts' own included. */
async function commandsOf(call: () => Promise<unknown>): Promise<number> {
  const admin = newClient();
  const count = async (): Promise<number> => {
    const stats = await admin.info('commandstats');
    // Other tests use the same server: only what scripts do counts, and they are slow enough to be told apart.
    return [...stats.matchAll(/cmdstat_(?:z|h|s)[a-z]*:calls=(\d+)/g)].reduce(
      (sum, [, calls]) => sum + Number(calls),
      0,
    );
  };
  const before = await count();
  await call();
  return (await count()) - before;
}

test('a claim and a settle make the same commands with 100 and with 20,000 tasks waiting', async () => {
  const made: number[] = [];
  for (const waiting of [100, 20_000]) {
    const broker = newBroker({ url: serverUrl });
    await broker.open();
    for (let left = waiting; left > 0; left -= 5_000) {
      const count = Math.min(left, 5_000);
      await broker.enqueue(Array.from({ length: count }, () => newTask({ fresh: true, delayMs: left % 2 })));
    }
    const session = await openSession(broker);
    await session.claim(claimOf(1));
    // Several times, and the least of them: others may be at work, for a while even in every round.
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 5 || (round < 200 && least > (made[0] ?? least) + 2); round++) {
      // As many as there are tasks for, in every round.
      await broker.enqueue(Array.from({ length: 10 }, () => newTask({ fresh: true })));
      const commands = await commandsOf(async () => {
        const deliveries = await session.claim(claimOf(10));
        await session.settle(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
      });
      least = Math.min(least, commands);
    }
    made.push(least);
  }
  expect(made[1]).toBeLessThanOrEqual((made[0] as number) + 2);
});

test('a waiting task with 187 bytes of input takes less than 750 bytes', async () => {
  const prefix = newPrefix();
  const broker = newBroker({ prefix });
  await broker.open();
  const tasks = Array.from({ length: 5_000 }, () => newTask({ fresh: true, input: JSON.stringify('x'.repeat(185)) }));
  await broker.enqueue(tasks);
  const admin = newClient();
  let bytes = 0;
  for (const key of await admin.keys(`${prefix}:*`)) bytes += Number(await admin.memory('USAGE', key, 'SAMPLES', '0'));
  expect(bytes / tasks.length).toBeLessThan(750);
});

test('tasks with large inputs come in answers of bounded size, and in order', async () => {
  const broker = newBroker({ maxPayloadBytes: 3_000_000 });
  await broker.open();
  const session = await openSession(broker);
  const large = JSON.stringify('x'.repeat(2_500_000));
  const tasks = [...Array.from({ length: 8 }, () => newTask({ input: large })), newTask(), newTask()];
  await broker.enqueue(tasks);
  const ids: string[] = [];
  const sizes: number[] = [];
  while (ids.length < tasks.length) {
    const deliveries = await session.claim(claimOf(100));
    expect(deliveries.length).toBeGreaterThan(0);
    ids.push(...deliveries.map(({ lease }) => lease.taskId));
    sizes.push(deliveries.reduce((sum, { input = '' }) => sum + input.length, 0));
  }
  expect(ids).toEqual(tasks.map(({ id }) => id));
  expect(Math.max(...sizes)).toBeLessThan(9_000_000);
  expect((await broker.tasks.list({ names: ['work'] }, { limit: 4 })).tasks).toHaveLength(4);
  expect(await broker.tasks.count({ names: ['work'] })).toBe(10);
});

test('what one queue refuses neither takes the others down nor is said not to have happened to them', async () => {
  const prefix = newPrefix();
  const broker = newBroker({ prefix });
  await broker.open();
  const tasks = ['one', 'broken', 'two'].map((queue) => newTask({ id: queue, queue }));
  await broker.enqueue(tasks);
  const admin = newClient();
  await admin.del(`${prefix}:{broken}:task`);
  await admin.set(`${prefix}:{broken}:task`, 'of another program');
  const refused = { code: 'CONFIGURATION', reason: 'foreign-keys' };
  const more = ['one', 'broken', 'two'].map((queue) => newTask({ queue, fresh: true }));
  expect(await broker.enqueue(more)).toMatchObject([
    { status: 'accepted' },
    { status: 'rejected', error: refused },
    { status: 'accepted' },
  ]);
  expect(await rejectionOf(broker.enqueue(more.slice(1, 2)))).toMatchObject(refused);
  // The second of an id is sent after the first.
  const twice = ['one', 'broken'].map((queue) => newTask({ id: 'twice', queue, fresh: true }));
  expect(await rejectionOf(broker.enqueue(twice))).toMatchObject({ code: 'INDETERMINATE', reason: 'in-part' });
  const ids = tasks.map(({ id }) => id);
  expect(await rejectionOf(broker.tasks.cancel(ids))).toMatchObject({ code: 'INDETERMINATE', reason: 'in-part' });
  await admin.del(`${prefix}:{broken}:task`);
  expect((await broker.tasks.get(ids)).map((task) => task?.state)).toEqual(['cancelled', undefined, 'cancelled']);
});
