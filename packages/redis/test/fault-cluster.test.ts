import type { LocalServer } from '@millrace/conformance';
import { createWorker, defineTask, handle, type Logger, type NewTask } from '@millrace/core';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { claimOf, newTask } from './builders.ts';
import { type ClusterServers, startCluster } from './cluster-servers.ts';
import { RecordedLoad } from './recorded-load.ts';
import { newBroker, openSession, rejectionOf, until, watchUnhandled } from './support.ts';

watchUnhandled();

const total = 1_000;
const more = 200;
const quiet = (): void => {};
const silent: Logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
let servers: ClusterServers;

beforeAll(async () => {
  servers = await startCluster();
  return () => servers.close();
});

/** A queue of a prefix that lies on a server, whatever its name. */
function queueOn(server: LocalServer, prefix: string): Promise<string> {
  return firstOf(
    (number) => `queue-${number}`,
    server,
    (queue) => servers.masterOf(`${prefix}:{${queue}}`),
  );
}

async function firstOf(
  name: (number: number) => string,
  server: LocalServer,
  find: (name: string) => Promise<LocalServer>,
): Promise<string> {
  for (let number = 0; ; number++) if ((await find(name(number))) === server) return name(number);
}

test('a queue moves to another node and back amid 1,000 tasks: none is lost, none runs twice', async () => {
  const [, from, to] = servers.masters;
  const queues = [await queueOn(from, 'moved'), await queueOn(to, 'moved')];
  const load = await RecordedLoad.start({ broker: { url: servers.url, prefix: 'moved' }, queues });
  const enqueueing = load.enqueue(total);
  await until(() => load.settled(queues[0]) > 50, '50 settled');
  await servers.moveSlot(`moved:{${queues[0]}}`, from, to);
  await load.untilSettledAfter(process.hrtime.bigint(), queues[0]);
  await servers.moveSlot(`moved:{${queues[0]}}`, to, from);
  await load.untilSettledAfter(process.hrtime.bigint(), queues[0]);
  await enqueueing;
  const { states, ranTwice, settledTwice } = await load.finish();
  expect({ states, ranTwice, settledTwice }).toEqual({ states: { succeeded: total }, ranTwice: 0, settledTwice: 0 });
});

test('a master dies amid 1,000 tasks of every node: its replica takes over', async () => {
  const queues = await Promise.all(servers.masters.map((server) => queueOn(server, 'killed')));
  const [hit] = queues;
  const broker = { url: servers.url, prefix: 'killed', operationTimeout: 2_000 };
  const load = await RecordedLoad.start({ broker, queues });
  const enqueueing = load.enqueue(total);
  await until(() => load.settled(hit) > 100, '100 settled');
  await servers.masters[0].stop('kill');
  const dead = process.hrtime.bigint();
  const ms = await load.untilSettledAfter(dead, hit);
  expect(ms).toBeLessThan(10_000);
  await enqueueing;
  const { states, settledTwice } = await load.finish();
  // What a master has answered and not yet passed on goes with it. On one machine that is nothing: both leave together.
  expect({ states, settledTwice }).toEqual({ states: { succeeded: total }, settledTwice: 0 });
});

/** A prefix of which nothing but queues lies on a server that will die: what says which queues there are lies somewhere. */
function prefixOn(alive: LocalServer, victim: LocalServer, label: string): Promise<string> {
  return firstOf(
    (number) => `${label}${number}`,
    alive,
    async (name) => {
      const [queues, layout] = await Promise.all([
        servers.masterOf(`${name}:queues`),
        servers.masterOf(`${name}:layout`),
      ]);
      return queues === layout ? queues : victim;
    },
  );
}

test('a master without a replica dies: its queues answer by the deadline, others go on, and it comes back', async () => {
  const [, alive, victim] = servers.masters;
  const prefix = await prefixOn(alive, victim, 'alone');
  const [working, hit] = [await queueOn(alive, prefix), await queueOn(victim, prefix)];
  const operationTimeout = 1_500;
  const broker = newBroker({ url: servers.url, prefix, operationTimeout });
  await broker.open();
  const kept = newTask({ queue: hit });
  await broker.enqueue([kept]);
  const load = await RecordedLoad.start({
    broker: { url: servers.url, prefix, operationTimeout },
    queues: [working],
  });
  const session = await openSession(broker);
  expect(await session.claim(claimOf(1, { queues: [hit], names: ['none'] }))).toEqual([]);
  const enqueueing = load.enqueue(total);
  await until(() => load.settled() > 100, '100 settled');
  await victim.stop('kill');
  const calls = [
    () => broker.enqueue([newTask({ queue: hit, fresh: true })]),
    () => session.claim(claimOf(1, { queues: [hit] })),
    () => broker.queues.stats([hit]),
  ];
  for (const call of calls) {
    const asked = performance.now();
    expect(await rejectionOf(call())).toMatchObject({ code: expect.stringMatching(/^(UNAVAILABLE|INDETERMINATE)$/) });
    expect(performance.now() - asked).toBeLessThan(2 * operationTimeout);
  }
  await enqueueing;
  await load.enqueue(more);
  await until(() => load.settled() === total + more, 'everything of the other queue settled');
  // Maintenance reaches the queues that can be reached, too.
  const late = newTask({ queue: working, fresh: true, expiresInMs: 1 });
  await broker.enqueue([late]);
  await until(async () => (await broker.tasks.get([late.id]))[0]?.state === 'failed', 'what expired to be ended');
  await victim.start();
  await until(
    async () =>
      broker.queues.stats([hit]).then(
        ([found]) => found?.pending === 1,
        () => false,
      ),
    'the queue',
  );
  const deliveries = await session.claim(claimOf(2, { queues: [hit], waitMs: 5_000 }));
  expect(deliveries.map(({ lease }) => lease.taskId)).toContain(kept.id);
  expect(await session.settle(deliveries.map(({ lease }) => ({ type: 'complete', lease })))).not.toContain('unknown');
  const { states, ranTwice, settledTwice } = await load.finish();
  expect({ states, ranTwice, settledTwice }).toEqual({
    states: { succeeded: total + more },
    ranTwice: 0,
    settledTwice: 0,
  });
});

test('a worker that serves queues of a dead node and of others goes on with the others, and with all when it is back', async () => {
  const [, alive, victim] = servers.masters;
  const prefix = await prefixOn(alive, victim, 'both');
  const [working, hit] = [await queueOn(alive, prefix), await queueOn(victim, prefix)];
  const broker = newBroker({ url: servers.url, prefix, operationTimeout: 1_000 });
  const ran = new Set<string>();
  const handlers = [working, hit].map((queue) =>
    handle(defineTask({ name: `count-${queue}`, queue }), (_input, { id }) => void ran.add(id)),
  );
  // The session beats on both nodes and is lost; the next one knows of nothing on the dead one.
  const worker = createWorker({ broker, handlers, sessionTtl: '3s', logger: silent });
  await worker.start();
  onTestFinished(async () => void (await worker.stop({ force: true })));
  const taskOf = (queue: string): NewTask => newTask({ queue, name: `count-${queue}`, fresh: true });
  const isRun = async (tasks: readonly NewTask[]): Promise<boolean> => {
    await broker.enqueue(tasks.filter(({ id }) => !ran.has(id))).catch(() => {});
    return tasks.every(({ id }) => ran.has(id));
  };
  const both = [taskOf(working), taskOf(hit)];
  await until(() => isRun(both), 'a task of each queue');
  await victim.stop('kill');
  const others = Array.from({ length: more }, () => taskOf(working));
  await until(() => isRun(others), 'everything of the living node', 20_000);
  await victim.start();
  const late = [taskOf(hit)];
  await until(() => isRun(late), 'a task of the node that is back');
});
