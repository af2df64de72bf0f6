import type { ClaimVerdict, Session } from '@millrace/core';
import { expect, test } from 'vitest';
import { claimOf, newTask } from './builders.ts';
import { serverUrl, withClient } from './harness.ts';
import { newBroker, newLink, newSchema, openSession, rejectionOf, until, watchUnhandled } from './support.ts';

watchUnhandled();

async function claimTasks({ claimTasks }: Session, ...ids: string[]): Promise<ClaimVerdict[]> {
  if (claimTasks === undefined) throw new Error('the session cannot claim by id');
  return claimTasks(ids);
}

const statusesOf = (verdicts: readonly ClaimVerdict[]): string[] => verdicts.map(({ status }) => status);

test('a claim by id says of every task what became of it, in the order asked for', async () => {
  const schema = newSchema();
  const broker = newBroker({ schema });
  await broker.open();
  const [session, other] = [await openSession(broker), await openSession(broker)];
  const tasks = [
    newTask({ id: 'early', delayMs: 60_000 }),
    newTask({ id: 'late', delayMs: 60_000, queue: 'closed' }),
    newTask({ id: 'closed', queue: 'closed' }),
    newTask({ id: 'expired', expiresAt: Date.now() - 60_000 }),
    ...['due', 'mine', 'theirs', 'resting', 'over', 'removed'].map((id) =>
      newTask({ id, name: id, headers: { h: id } }),
    ),
  ];
  await broker.enqueue(tasks);
  await broker.queues.pause('closed');
  await broker.tasks.pause(['resting']);
  await broker.tasks.cancel(['over']);
  await broker.tasks.remove(['removed']);
  expect(statusesOf(await claimTasks(other, 'theirs'))).toEqual(['claimed']);
  expect(statusesOf(await claimTasks(session, 'mine'))).toEqual(['claimed']);
  const order = [
    'over',
    'theirs',
    'closed',
    'due',
    'no\0body',
    'mine',
    'late',
    'resting',
    'early',
    'removed',
    'expired',
  ];
  const verdicts = await claimTasks(session, ...order);
  expect(statusesOf(verdicts)).toEqual([
    ...['ended', 'held', 'queue-paused', 'claimed', 'gone', 'held', 'early', 'paused', 'early', 'gone', 'ended'],
  ]);
  expect(verdicts[3]).toMatchObject({
    delivery: {
      lease: { taskId: 'due', attempt: 1, fence: 1, sessionId: session.id },
      ...{
        name: 'due',
        queue: 'line',
        input: '{"n":1}',
        headers: { h: 'due' },
        priority: 4,
        maxAttempts: 3,
        version: 1,
      },
    },
  });
  const dueInMs = verdicts[8]?.status === 'early' ? verdicts[8].dueInMs : 0;
  expect(dueInMs).toBeGreaterThan(50_000);
  expect(dueInMs).toBeLessThanOrEqual(60_000);
});

test('a task that others have locked is held, and holds up no other', async () => {
  const schema = newSchema();
  const broker = newBroker({ schema });
  await broker.open();
  const session = await openSession(broker);
  await broker.enqueue([newTask({ id: 'locked', key: 'k' }), newTask({ id: 'free' })]);
  await withClient(serverUrl, async (client) => {
    await client.query('begin');
    await broker.enqueue([newTask({ key: 'k', onConflict: 'replace', input: '2' })], { transaction: client });
    const started = Date.now();
    expect(statusesOf(await claimTasks(session, 'locked', 'free'))).toEqual(['held', 'claimed']);
    expect(Date.now() - started).toBeLessThan(2_000);
    await client.query('commit');
  });
  expect(await claimTasks(session, 'locked')).toMatchObject([{ status: 'claimed', delivery: { input: '2' } }]);
});

test('a task that ends at that very moment is never taken for gone', async () => {
  const broker = newBroker({ poolSize: 10 });
  await broker.open();
  const [session, watcher] = [await openSession(broker), await openSession(broker)];
  const [running, waiting] = ['r', 'w'].map((kind) => Array.from({ length: 300 }, (_, n) => `${kind}${n}`)) as [
    string[],
    string[],
  ];
  await broker.enqueue(running.map((id) => newTask({ id })));
  await broker.enqueue(waiting.map((id) => newTask({ id, delayMs: 60_000 })));
  const verdicts = await claimTasks(session, ...running);
  const leases = verdicts.flatMap((verdict) => (verdict.status === 'claimed' ? [verdict.delivery.lease] : []));
  expect(leases).toHaveLength(300);
  const seen = new Map<string, number>();
  let working = true;
  const watching = (async () => {
    for (let looks = 0; working || looks < 5; looks++) {
      for (const status of statusesOf(await claimTasks(watcher, ...running, ...waiting))) {
        seen.set(status, (seen.get(status) ?? 0) + 1);
      }
    }
  })();
  for (let from = 0; from < running.length; from += 5) {
    await Promise.all([
      session.settle(leases.slice(from, from + 5).map((lease) => ({ type: 'complete', lease }))),
      broker.tasks.cancel(waiting.slice(from, from + 5)),
    ]);
  }
  working = false;
  await watching;
  expect([...seen.keys()].sort()).toEqual(['early', 'ended', 'held']);
});

test('sessions that ask for the same ids share them, each task once, whoever else claims by queue', async () => {
  const schema = newSchema();
  const brokers = Array.from({ length: 3 }, () => newBroker({ schema }));
  await Promise.all(brokers.map((broker) => broker.open()));
  const tasks = Array.from({ length: 600 }, () => newTask());
  await brokers[0]?.enqueue(tasks);
  const ids = tasks.map(({ id }) => id);
  const seen: string[] = [];
  const run = async (session: Session, claim: () => Promise<readonly string[]>): Promise<void> => {
    while (seen.length < ids.length && !session.lost.aborted) seen.push(...(await claim()));
  };
  await Promise.all(
    brokers.flatMap(async (broker) => {
      const [byId, byQueue] = [await openSession(broker), await openSession(broker)];
      await Promise.all([
        run(byId, async () => {
          const open = ids.filter((id) => !seen.includes(id)).sort(() => Math.random() - 0.5);
          if (open.length === 0) return [];
          const verdicts = await claimTasks(byId, ...open.slice(0, 50));
          return verdicts.flatMap((verdict) => (verdict.status === 'claimed' ? [verdict.delivery.lease.taskId] : []));
        }),
        run(byQueue, async () => (await byQueue.claim(claimOf({ limit: 7 }))).map(({ lease }) => lease.taskId)),
      ]);
    }),
  );
  expect(seen).toHaveLength(600);
  expect(new Set(seen).size).toBe(600);
});

test('a claim by id whose answer was lost is answered all the same, charged once', async () => {
  const link = await newLink();
  const schema = newSchema();
  const broker = newBroker({ url: link.url, schema, operationTimeout: 3_000 });
  await broker.open();
  await broker.enqueue([newTask({ id: 'one' }), newTask({ id: 'two' })]);
  const session = await openSession(broker);
  link.swallowAnswers(true);
  const claim = claimTasks(session, 'two', 'nobody', 'one');
  await until(async () => (await countRunning(schema)) === 2, 'the claim at the server');
  link.swallowAnswers(false);
  link.cut();
  const verdicts = await claim;
  expect(statusesOf(verdicts)).toEqual(['claimed', 'gone', 'claimed']);
  expect(verdicts[0]).toMatchObject({ delivery: { lease: { taskId: 'two', attempt: 1, fence: 1 } } });
});

test('a claim by id into silence ends by its deadline; asking again brings what it took', async () => {
  const link = await newLink();
  const broker = newBroker({ url: link.url, operationTimeout: 2_000 });
  await broker.open();
  await broker.enqueue([newTask({ id: 'one' }), newTask({ id: 'two' })]);
  const session = await openSession(broker);
  link.swallowAnswers(true);
  const started = Date.now();
  expect(await rejectionOf(claimTasks(session, 'one'))).toMatchObject({ code: 'INDETERMINATE' });
  expect(Date.now() - started).toBeLessThan(3_700);
  link.swallowAnswers(false);
  const verdicts = await claimTasks(session, 'two', 'one');
  expect(statusesOf(verdicts)).toEqual(['claimed', 'claimed']);
  expect(verdicts[1]).toMatchObject({ delivery: { lease: { taskId: 'one', attempt: 1, fence: 1 } } });
});

test('what nobody asks for again after its answer was lost is back with the next heartbeat, not charged', async () => {
  const link = await newLink();
  const schema = newSchema();
  const [near, far] = [newBroker({ url: link.url, schema, operationTimeout: 2_000 }), newBroker({ schema })];
  await Promise.all([near.open(), far.open()]);
  await far.enqueue([newTask({ id: 'one' }), newTask({ id: 'two' })]);
  const [session, other] = [await openSession(near, 6_000), await openSession(far)];
  link.swallowAnswers(true);
  expect(await rejectionOf(claimTasks(session, 'one'))).toMatchObject({ code: 'INDETERMINATE' });
  link.swallowAnswers(false);
  const started = Date.now();
  let verdict: ClaimVerdict | undefined;
  // The session itself goes on to ask for others, all the time.
  const asking = new AbortController();
  const busy = (async () => {
    while (!asking.signal.aborted) await claimTasks(session, 'nobody');
  })();
  await until(async () => {
    [verdict] = await claimTasks(other, 'one');
    return verdict?.status === 'claimed';
  }, 'the task');
  asking.abort();
  await busy;
  // A third of its time to live, and a while for the machine.
  expect(Date.now() - started).toBeLessThan(2_000 + 3_000);
  expect(verdict).toMatchObject({ delivery: { lease: { taskId: 'one', attempt: 1, fence: 2 } } });
  expect(session.lost.aborted).toBe(false);
});

test('a claim that was carried out after it had been given up is found by asking again', async () => {
  const schema = newSchema();
  const broker = newBroker({ schema });
  await broker.open();
  const session = await openSession(broker);
  await broker.enqueue([newTask({ id: 'stray' })]);
  await withClient(serverUrl, (client) =>
    client.query(
      `update ${schema}.task set state = 'running', attempt = 1, fence = 1, session_id = $1, started_at = ${schema}.now_ms()`,
      [session.id],
    ),
  );
  expect(await claimTasks(session, 'stray')).toMatchObject([
    { status: 'claimed', delivery: { lease: { taskId: 'stray', attempt: 1, fence: 1 } } },
  ]);
  expect(await claimTasks(session, 'stray')).toEqual([{ status: 'held' }]);
});

test('a claim by id of a session that was ended meanwhile is closed, and what it took is back', async () => {
  const broker = newBroker();
  await broker.open();
  const [session, other] = [await openSession(broker), await openSession(broker)];
  await broker.enqueue([newTask({ id: 'one' })]);
  const claim = rejectionOf(claimTasks(session, 'one'));
  await session.end();
  expect(await claim).toMatchObject({ code: 'CLOSED' });
  expect(await claimTasks(other, 'one')).toMatchObject([{ status: 'claimed', delivery: { lease: { attempt: 1 } } }]);
});

async function countRunning(schema: string): Promise<number> {
  const text = `select count(*)::integer as count from ${schema}.task where state = 'running'`;
  const { rows } = await withClient(serverUrl, (client) => client.query(text));
  return Number(rows[0].count);
}
