import { startProxy } from '@millrace/conformance';
import { isMillraceError } from '@millrace/core';
import type { Cluster } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { claimOf, newTask } from './builders.ts';
import { withCluster, withServers } from './harness.ts';
import { newBroker, newPrefix, openSession, rejectionOf, watchUnhandled } from './support.ts';

watchUnhandled();

const url = process.env.MILLRACE_TEST_REDIS_CLUSTER_URL ?? '';

test('queues spread over the nodes, and each lies in one slot', async () => {
  const prefix = newPrefix(url);
  const broker = newBroker({ url, prefix });
  await broker.open();
  const session = await openSession(broker);
  const queues = Array.from({ length: 30 }, (_unused, index) => `queue-${index}`);
  await broker.enqueue(queues.flatMap((queue) => [newTask({ queue, key: 'k' }), newTask({ queue, delayMs: 60_000 })]));
  const deliveries = await session.claim(claimOf(30, { queues }));
  expect(deliveries).toHaveLength(30);
  await session.settle(deliveries.map(({ lease }) => ({ type: 'complete', lease, output: '1' })));
  const slots = new Map<string, Set<number>>();
  const perNode: number[] = [];
  await withServers(url, async (servers) => {
    for (const server of servers) {
      const keys = (await server.keys(`${prefix}:{*`)).sort();
      perNode.push(keys.length);
      for (const key of keys) {
        const queue = /\{(.*?)\}/.exec(key)?.[1] ?? '';
        slots.set(queue, (slots.get(queue) ?? new Set()).add(Number(await server.cluster('KEYSLOT', key))));
      }
    }
  });
  expect(slots.size).toBe(30);
  for (const [queue, of] of slots) expect([queue, of.size]).toEqual([queue, 1]);
  expect(perNode.filter((count) => count > 0).length).toBeGreaterThan(1);
});

test('one id in two queues of different nodes is stored once, also when two producers race', async () => {
  const prefix = newPrefix(url);
  const brokers = [newBroker({ url, prefix }), newBroker({ url, prefix })];
  for (const broker of brokers) await broker.open();
  for (let round = 0; round < 20; round++) {
    const id = `chosen-${round}`;
    const outcomes = await Promise.all(
      brokers.map((broker, index) => broker.enqueue([newTask({ id, queue: `queue-${round}-${index}` })])),
    );
    expect(
      outcomes
        .flat()
        .map(({ status }) => status)
        .sort(),
    ).toEqual(['accepted', 'duplicate']);
  }
});

test('scripts that a node forgot are sent again', async () => {
  const broker = newBroker({ url, prefix: newPrefix(url) });
  await broker.open();
  await withServers(url, async (servers) => {
    for (const server of servers) await server.script('FLUSH');
  });
  const queues = ['a', 'b', 'c', 'd', 'e', 'f'];
  const outcomes = await broker.enqueue(queues.map((queue) => newTask({ queue })));
  expect(outcomes).toEqual(queues.map(() => ({ status: 'accepted' })));
});

test('a queue goes on working while its slot moves to another node', async () => {
  const prefix = newPrefix(url);
  const broker = newBroker({ url, prefix });
  await broker.open();
  const hasty = newBroker({ url, prefix, operationTimeout: 1_000 });
  await hasty.open();
  const session = await openSession(broker);
  await broker.enqueue([newTask(), newTask()]);
  const refusals: unknown[] = [];
  await withCluster(url, async (client) => {
    const cluster = client as Cluster;
    await cluster.ping();
    const key = `${prefix}:{line}:meta`;
    const slot = Number(await cluster.cluster('KEYSLOT', key));
    const nodes = await Promise.all(
      cluster.nodes('master').map(async (node) => ({ node, id: String(await node.cluster('MYID')) })),
    );
    const owner = await ownerOf(nodes, slot);
    const target = nodes.find(({ id }) => id !== owner.id) as (typeof nodes)[number];
    await target.node.call('cluster', 'setslot', String(slot), 'importing', owner.id);
    await owner.node.call('cluster', 'setslot', String(slot), 'migrating', target.id);
    // On its way the queue lies on two nodes: nothing is done to it, until it has arrived.
    const during = broker.enqueue([newTask()]);
    const { host, port, password } = target.node.options as { host: string; port: number; password?: string | null };
    const keys = (await owner.node.call('cluster', 'getkeysinslot', String(slot), '1000')) as string[];
    const auth = password ? ['auth', password] : [];
    for (const [index, each] of keys.entries()) {
      await owner.node.call('migrate', host, String(port), '', '0', '5000', ...auth, 'keys', each);
      if (index === 1) await rejectionOf(hasty.enqueue([newTask()])).then((error) => refusals.push(error));
    }
    for (const { node } of nodes) await node.call('cluster', 'setslot', String(slot), 'node', target.id);
    expect(await during).toEqual([{ status: 'accepted' }]);
  });
  // A deadline in the middle of a try cannot tell whether it was applied; another one can.
  expect(refusals).toMatchObject([{ code: expect.stringMatching(/^(UNAVAILABLE|INDETERMINATE)$/) }]);
  const deliveries = await session.claim(claimOf(3));
  expect(deliveries).toHaveLength(3);
  await broker.enqueue([newTask()]);
  const settled = await session.settle(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
  expect(settled).toEqual(['applied', 'applied', 'applied']);
  const [stats] = await broker.queues.stats(['line']);
  expect(stats?.running).toBe(0);
  expect(isMillraceError(refusals[0], 'INDETERMINATE') ? [1, 2] : [1]).toContain(stats?.pending);
});

async function ownerOf<T extends { readonly node: { call(...words: [string, ...string[]]): Promise<unknown> } }>(
  nodes: readonly (T & { readonly id: string })[],
  slot: number,
): Promise<T & { readonly id: string }> {
  const ranges = (await nodes[0]?.node.call('cluster', 'slots')) as [number, number, [string, number, string]][];
  const range = ranges.find(([from, to]) => from <= slot && slot <= to);
  return nodes.find(({ id }) => id === range?.[2][2]) as T & { readonly id: string };
}

test('a node that takes more than a second to answer is waited for', async () => {
  const [, host = '', port = ''] = /@([^:,]+):([0-9]+)/.exec(url) ?? [];
  const proxy = await startProxy({ host, port: Number(port) });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  proxy.latency(700);
  const throughProxy = url.replace(/@[^/?]*/, `@127.0.0.1:${proxy.port}`);
  const broker = newBroker({ url: throughProxy, prefix: newPrefix(url) });
  await broker.open();
  expect(await broker.enqueue([newTask()])).toEqual([{ status: 'accepted' }]);
});

test('what only one server can promise is refused', async () => {
  const broker = newBroker({ url, prefix: 'p', durability: { replicas: 1 } });
  await expect(broker.open()).rejects.toMatchObject({ code: 'CONFIGURATION', reason: 'cluster' });
});
