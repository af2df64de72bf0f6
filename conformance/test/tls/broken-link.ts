import assert from 'node:assert/strict';
import { type Broker, createClient, createWorker, defineTask, handle, typed } from '@millrace/core';
import type { TcpProxy } from '../../src/faults/tcp-proxy.ts';
import { within } from './within.ts';

const tasks = 200;
const limitMs = 20_000;
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const counted = defineTask({ name: 'counted', queue: 'counted', input: typed<number>() });

/**
 * Runs tasks of two brokers that reach their server through the proxy, resets all links when half of them have run, and
 * enqueues one more after that.
 * @throws AssertionError unless each ran, on new links
 */
export async function runThroughBrokenLinks(
  proxy: TcpProxy,
  producer: Broker<unknown>,
  consumer: Broker<unknown>,
): Promise<void> {
  const ran = new Set<number>();
  const waiting = new Map<number, () => void>();
  const count = (wanted: number): Promise<void> =>
    within(limitMs, `running ${wanted} tasks`, new Promise((resolve) => waiting.set(wanted, resolve)));
  const handler = handle(counted, async (number) => {
    // A task whose run was cut short comes again.
    if (ran.has(number)) return;
    ran.add(number);
    if (ran.size === tasks / 2) proxy.sever();
    waiting.get(ran.size)?.();
  });
  const client = createClient({ broker: producer });
  const worker = createWorker({ broker: consumer, handlers: [handler], logger: silent });
  await worker.start();
  const all = count(tasks);
  await client.enqueueMany(
    counted,
    Array.from({ length: tasks }, (_, input) => ({ input })),
  );
  await all;
  const oneMore = count(tasks + 1);
  await client.enqueue(counted, tasks);
  await oneMore;
  await within(limitMs, 'closing', Promise.all([worker.stop(), client.close()]));
  const { severed, opened } = proxy.stats;
  assert.ok(severed >= 2, `${severed} links were reset; each broker should have had one`);
  assert.ok(opened > severed, 'no new link was made');
}
