import type { EnqueueOutcome, SessionSignal } from '@millrace/core';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { channelOf } from '../src/notify.ts';
import { claimOf, newTask } from './builders.ts';
import { serverUrl, withClient } from './harness.ts';
import { newBroker, newSchema, openSession, until, watchUnhandled } from './support.ts';

watchUnhandled();

test('an id enqueued again and again while it runs and ends is stored once', async () => {
  const schema = newSchema();
  const broker = newBroker({ schema, poolSize: 10 });
  await broker.open();
  const session = await openSession(broker);
  let rounds = 0;
  let stop = false;
  const runs = new Map<string, number>();
  const worker = (async () => {
    while (!stop) {
      const deliveries = await session.claim(claimOf({ limit: 100 }));
      for (const { lease } of deliveries) runs.set(lease.taskId, (runs.get(lease.taskId) ?? 0) + 1);
      await session.settle(deliveries.map(({ lease }) => ({ type: 'complete' as const, lease })));
    }
  })();
  const ids: string[] = [];
  const end = Date.now() + 4_000;
  await Promise.all(
    Array.from({ length: 6 }, async (_unused, producer) => {
      while (Date.now() < end) {
        if (producer === 0) ids.push(`round-${++rounds}`);
        const id = ids.at(-1) ?? 'round-0';
        if (id !== 'round-0') await broker.enqueue([newTask({ id }), newTask({ id, key: `key ${id}` })]);
      }
    }),
  );
  stop = true;
  await worker;
  expect(rounds).toBeGreaterThan(20);
  expect([...runs.values()].filter((count) => count > 1)).toEqual([]);
  const { rows } = await withClient(serverUrl, (client) =>
    client.query(`select count(*)::integer as count from ${schema}.task join ${schema}.finished using (id)`),
  );
  expect(rows).toEqual([{ count: 0 }]);
});

test('fifty calls at once for one key: one is accepted, the others name it; a replacing one keeps its id', async () => {
  const broker = newBroker({ poolSize: 10 });
  await broker.open();
  for (let round = 0; round < 10; round++) {
    const key = `round ${round}`;
    const outcomes = (
      await Promise.all(Array.from({ length: 50 }, () => broker.enqueue([newTask({ key }), newTask()])))
    ).map(([outcome]) => outcome as EnqueueOutcome);
    expect(outcomes.filter(({ status }) => status === 'accepted')).toHaveLength(1);
    const existing = outcomes.flatMap((outcome) => ('existingId' in outcome ? [outcome.existingId] : []));
    expect(new Set(existing).size).toBe(1);
    const [replaced] = await broker.enqueue([newTask({ key, onConflict: 'replace', input: '"new"', priority: 9 })]);
    expect(replaced).toEqual({ status: 'replaced', existingId: existing[0] });
    expect((await broker.tasks.get([existing[0] as string]))[0]).toMatchObject({ input: '"new"', priority: 9 });
  }
});

test('tasks of one call that replace each other end as the last one says', async () => {
  const broker = newBroker();
  await broker.open();
  const tasks = [1, 2, 3].map((n) => newTask({ id: `n${n}`, key: 'k', onConflict: 'replace', input: String(n) }));
  expect(await broker.enqueue(tasks)).toEqual([
    { status: 'accepted' },
    { status: 'replaced', existingId: 'n1' },
    { status: 'replaced', existingId: 'n1' },
  ]);
  expect((await broker.tasks.get(['n1']))[0]?.input).toBe('3');
});

test('claims of many sessions and names overlap nowhere and leave nothing', async () => {
  const schema = newSchema();
  const brokers = Array.from({ length: 3 }, () => newBroker({ schema }));
  await Promise.all(brokers.map((broker) => broker.open()));
  const names = ['a', 'b', 'c'];
  const tasks = Array.from({ length: 3_000 }, (_, n) => newTask({ name: names[n % 3] as string, priority: n % 10 }));
  await brokers[0]?.enqueue(tasks);
  const seen: string[] = [];
  await Promise.all(
    brokers.flatMap((broker) =>
      [1, 2].map(async () => {
        const session = await openSession(broker);
        for (;;) {
          const deliveries = await session.claim(claimOf({ names, limit: 40, waitMs: 300 }));
          if (deliveries.length === 0) return;
          seen.push(...deliveries.map(({ lease }) => lease.taskId));
          await session.settle(deliveries.map(({ lease }) => ({ type: 'complete' as const, lease })));
        }
      }),
    ),
  );
  expect(seen).toHaveLength(3_000);
  expect(new Set(seen).size).toBe(3_000);
});

test('a cancel that meets settles and reports: every task ends once, and both sides agree', async () => {
  const broker = newBroker({ poolSize: 10 });
  await broker.open();
  const session = await openSession(broker);
  const tasks = Array.from({ length: 200 }, () => newTask());
  await broker.enqueue(tasks);
  const leases = (await session.claim(claimOf({ limit: 200 }))).map(({ lease }) => lease);
  expect(leases).toHaveLength(200);
  const [settled] = await Promise.all([
    session.settle(
      leases.map((lease, n) =>
        n % 2 === 0 ? { type: 'complete' as const, lease } : { type: 'release' as const, lease },
      ),
    ),
    broker.tasks.cancel(tasks.map(({ id }) => id).reverse()),
    session.report(leases.map((lease) => ({ lease, progress: '1' }))),
  ]);
  expect(new Set(settled)).toEqual(new Set(['applied']));
  const states = (await broker.tasks.get(leases.map(({ taskId }) => taskId))).map((task) => task?.state);
  expect(states.filter((_, n) => n % 2 === 0).every((state) => state === 'succeeded' || state === 'cancelled')).toBe(
    true,
  );
  expect(states.filter((_, n) => n % 2 === 1).every((state) => state === 'pending' || state === 'cancelled')).toBe(
    true,
  );
});

test('a stream of single enqueues sends few notifications, and the last of them wakes', async () => {
  const schema = newSchema();
  const broker = newBroker({ schema });
  await broker.open();
  const listener = new pg.Client(serverUrl);
  await listener.connect();
  onTestFinished(() => listener.end());
  let heard = 0;
  listener.on('notification', ({ payload }) => {
    if (payload?.startsWith('work:') === true) heard += 1;
  });
  await listener.query(`listen "${channelOf(schema)}"`);
  const started = Date.now();
  for (let n = 0; n < 200; n++) await broker.enqueue([newTask()]);
  const elapsedMs = Date.now() - started;
  await until(() => heard > 0, 'a notification');
  // At most one with a statement and one after it, each at most every 10 ms.
  expect(heard).toBeLessThanOrEqual(elapsedMs / 5 + 2);
});

test('tasks that end on another broker wake who waits for them, without polling', async () => {
  const schema = newSchema();
  const [here, there] = [newBroker({ schema, pollInterval: '30s' }), newBroker({ schema })];
  await Promise.all([here.open(), there.open()]);
  const session = await openSession(there);
  await openSession(here);
  await here.enqueue([newTask({ id: 'slow' })]);
  const [delivery] = await session.claim(claimOf());
  const waiting = here.tasks.wait(['slow'], { waitMs: 20_000 });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const started = Date.now();
  await session.settle([{ type: 'complete', lease: delivery!.lease, output: '42' }]);
  expect((await waiting)[0]).toMatchObject({ state: 'succeeded', output: '42' });
  expect(Date.now() - started).toBeLessThan(5_000);
});

test('a stop asked for on another broker reaches the holder at once, not with the next beat', async () => {
  const schema = newSchema();
  const [here, there] = [newBroker({ schema }), newBroker({ schema })];
  await Promise.all([here.open(), there.open()]);
  const signals: SessionSignal[] = [];
  const session = await openSession(there, 3_600_000, signals);
  await until(async () => (await there.health()).state === 'ready', 'listening');
  await here.enqueue([newTask({ id: 'long' })]);
  await session.claim(claimOf({ waitMs: 5_000 }));
  expect(await here.tasks.cancel(['long'])).toEqual(['requested']);
  await until(() => signals.length > 0, 'the signal', 3_000);
  expect(signals).toEqual([{ taskId: 'long', fence: 1, request: 'cancel' }]);
});
