import { randomUUID } from 'node:crypto';
import type { NewTask } from '@millrace/core';
import { expect, test } from 'vitest';
import { claimOf, newTask } from './builders.ts';
import { newBroker, newClient, openSession, ownServer, until, watchUnhandled } from './support.ts';

watchUnhandled();

const names = ['one', 'two', 'three'];

/** The same numbers in each run. */
function randomly(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}

/** Mostly tasks that go to a list: of all names by turns, with ids of all lengths, between some of other priorities. */
function mixture(total: number, random: (below: number) => number): NewTask[] {
  return Array.from({ length: total }, () =>
    newTask({
      name: names[random(3)] as string,
      priority: random(8) === 0 ? random(10) : 4,
      id: random(12) === 0 ? `${'own'.repeat(1 + random(4))}-${randomUUID()}` : randomUUID(),
    }),
  );
}

test.each([
  ['small ones', 0],
  ['a large one among them', 70_000],
])('a claim of several names gives one order, however much it takes: %s', async (_title, size) => {
  const broker = newBroker();
  await broker.open();
  const session = await openSession(broker);
  const random = randomly(7);
  const tasks = mixture(900, random);
  tasks[450] = newTask({ name: 'two', input: JSON.stringify('x'.repeat(size)) });
  for (let at = 0, count = 0; at < tasks.length; at += count) {
    count = 1 + random(60);
    await broker.enqueue(tasks.slice(at, at + count));
  }
  const left = tasks.toSorted((one, other) => other.priority - one.priority);
  while (left.length > 0) {
    // Of one name, of two, of all; and now and then a few come back to where they stood.
    const wanted = names.filter(() => random(3) > 0);
    const deliveries = await session.claim(claimOf(1 + random(90), { names: wanted.length > 0 ? wanted : names }));
    const expected = left
      .filter(({ name }) => wanted.length === 0 || wanted.includes(name))
      .slice(0, deliveries.length);
    expect(deliveries.map(({ lease }) => lease.taskId)).toEqual(expected.map(({ id }) => id));
    if (random(10) === 0) {
      await session.settle(deliveries.map(({ lease }) => ({ type: 'release', lease })));
    } else {
      for (const task of expected) left.splice(left.indexOf(task), 1);
    }
  }
  expect(await session.claim(claimOf(10, { names }))).toEqual([]);
});

test('a claim of several names reads little more than it takes', async () => {
  // Of its own: it tells all that it is asked for.
  const url = await ownServer();
  const broker = newBroker({ url });
  await broker.open();
  const session = await openSession(broker);
  for (let call = 0; call < 4; call++) {
    await broker.enqueue(
      Array.from({ length: 250 }, (_unused, index) => newTask({ name: names[index % 3] as string })),
    );
  }
  const client = newClient(url);
  const monitor = await client.monitor();
  let looked = 0;
  let hasToldAll = false;
  monitor.on('monitor', (_time: string, [command = '', , , last = '']: string[]) => {
    if (command.toUpperCase() === 'ECHO') hasToldAll = true;
    if (command.toUpperCase() === 'LRANGE') looked += Number(last) + 1;
  });
  expect(await session.claim(claimOf(240, { names }))).toHaveLength(240);
  // What it tells comes on a connection of its own, later than the answers.
  await client.echo('the end');
  await until(() => hasToldAll, 'the end of what it tells');
  monitor.disconnect();
  // They came by turns, so that each has an entry of its own.
  expect(looked).toBeGreaterThanOrEqual(240);
  expect(looked).toBeLessThan(2 * 240);
});
