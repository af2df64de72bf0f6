import { setTimeout as pause } from 'node:timers/promises';
import { startProxy } from '@millrace/conformance';
import { createClient, createWorker, defineTask, handle, isMillraceError, typed } from '@millrace/core';
import { startPrivateServer } from './private-server.ts';
import { brokerOf, freshNamespace } from './support.ts';

/** How much a soak does, and whom it tells. */
export interface SoakOptions {
  readonly tasks: number;
  readonly log?: (line: string) => void;
}

/** What became of the tasks of a soak through faults. */
export interface FaultsReport {
  readonly accepted: number;
  /** Whose enqueue was not answered in time: they may be there. */
  readonly unknown: number;
  /** Accepted, and never run. */
  readonly missing: readonly number[];
  /** Runs beyond the first of a task. */
  readonly repeated: number;
  readonly dead: number;
  readonly seconds: number;
}

/** How late the tasks of a soak of delays were, in milliseconds. */
export interface DelaysReport {
  readonly accepted: number;
  readonly missing: number;
  readonly early: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
  /** Of those that fell due while the server ran: the others can only come afterwards. */
  readonly p99Served: number;
  /** Later than 1.5 s, of those. */
  readonly lateServed: number;
  /** Later than a minute, of all: they found no exchange while the server started. */
  readonly stuck: number;
}

const work = defineTask({ name: 'work', queue: 'line', input: typed<number>() });
const concurrency = 100;
const batch = 500;
/** A new quorum queue needs a moment before it survives a crash. */
const settlingMs = 3_000;
const longestRestMs = 120_000;
/** Between faults, so that there is work under way. */
const stageMs = 2_000;

/** Tasks are enqueued and worked off all the time while the server is restarted, killed and frozen and links are cut. */
export async function soakFaults({ tasks, log = () => {} }: SoakOptions): Promise<FaultsReport> {
  const { url, server, close } = await startPrivateServer();
  const proxy = await startProxy({ host: '127.0.0.1', port: Number(new URL(url).port) });
  const address = { url: proxy.url(url), namespace: freshNamespace() };
  const newBroker = () => brokerOf(address.url, { namespace: address.namespace, queues: [{ name: 'line' }] });
  const began = performance.now();
  const runs = new Map<number, number>();
  const handler = handle(work, async (input) => {
    runs.set(input, (runs.get(input) ?? 0) + 1);
  });
  const workers = [0, 1].map(() =>
    createWorker({ broker: newBroker(), handlers: [handler], concurrency, sessionTtl: '6s', logger: silent }),
  );
  const client = createClient({ broker: newBroker(), enqueueTimeout: '60s' });
  const accepted = new Set<number>();
  let unknown = 0;
  let isOver = false;
  try {
    await Promise.all(workers.map((worker) => worker.start()));
    await pause(settlingMs);
    const faults: readonly (readonly [string, () => Promise<void>])[] = [
      ['the server is restarted', () => server.restart('graceful')],
      ['links are cut', async () => void proxy.sever()],
      ['the server is killed', () => server.restart('kill')],
      ['links are cut again', async () => void proxy.sever()],
      [
        'the server stands still for 8 s',
        async () => {
          await server.freeze();
          await pause(8_000);
          await server.thaw();
        },
      ],
      [
        'the network is silent for 8 s',
        async () => {
          proxy.blackhole('both');
          await pause(8_000);
          proxy.heal();
          proxy.sever();
        },
      ],
    ];
    const share = tasks / (faults.length + 1);
    const whenSent = async (count: number): Promise<void> => {
      while (accepted.size + unknown < count && !isOver) await pause(10);
    };
    const producing = (async () => {
      for (let next = 0; next < tasks; next += batch) {
        const inputs = Array.from({ length: Math.min(batch, tasks - next) }, (_each, index) => next + index);
        try {
          await client.enqueueMany(
            work,
            inputs.map((input) => ({ input })),
          );
          for (const input of inputs) accepted.add(input);
        } catch (error) {
          if (!isMillraceError(error)) throw error;
          log(`an enqueue of ${inputs.length} failed: ${error.message}`);
          unknown += inputs.length;
        }
        await pause((stageMs * batch) / share);
      }
    })().finally(() => {
      isOver = true;
    });
    producing.catch(() => {});
    for (const [index, [what, happen]] of faults.entries()) {
      await whenSent(share * (index + 1));
      log(`${accepted.size} accepted, ${runs.size} run; ${what}`);
      await happen();
    }
    await producing;
    const end = performance.now() + longestRestMs;
    while ([...accepted].some((input) => !runs.has(input)) && performance.now() < end) await pause(100);
    const dead = newBroker();
    await dead.open();
    const page = await dead.dead.list({ limit: 1 });
    await dead.close();
    return {
      accepted: accepted.size,
      unknown,
      missing: [...accepted].filter((input) => !runs.has(input)),
      repeated: [...runs.values()].reduce((sum, count) => sum + count - 1, 0),
      dead: page.total,
      seconds: (performance.now() - began) / 1_000,
    };
  } finally {
    isOver = true;
    await Promise.all(workers.map((worker) => worker.stop()));
    await client.close();
    await proxy.close();
    await close();
  }
}

/**
 * Tasks with delays spread evenly over a span.
 * @param restart stops and starts the server in the middle. @param erlang settings of the server; none are its defaults
 */
export async function soakDelays(
  { tasks, log = () => {} }: SoakOptions,
  { leastMs, mostMs, restart, erlang }: DelaysOptions,
): Promise<DelaysReport> {
  const { url, server, close } = await startPrivateServer(erlang ?? '', { defaults: true });
  const namespace = freshNamespace();
  const newBroker = () => brokerOf(url, { namespace, queues: [{ name: 'line' }] });
  const due: number[] = [];
  const came: number[] = [];
  const handler = handle(work, async (input) => {
    came[input] ??= performance.now();
  });
  const worker = createWorker({ broker: newBroker(), handlers: [handler], concurrency, logger: silent });
  const client = createClient({ broker: newBroker(), enqueueTimeout: '60s' });
  try {
    await worker.start();
    await client.capabilities();
    await pause(settlingMs);
    const began = performance.now();
    let stopped = Number.POSITIVE_INFINITY;
    let served = Number.NEGATIVE_INFINITY;
    for (let next = 0; next < tasks; next += batch) {
      const now = performance.now();
      const items = Array.from({ length: Math.min(batch, tasks - next) }, (_each, index) => {
        const delay = leastMs + Math.floor(Math.random() * (mostMs - leastMs));
        due[next + index] = now + delay;
        return { input: next + index, options: { delay } };
      });
      await client.enqueueMany(work, items);
    }
    log(`${due.length} accepted in ${Math.round(performance.now() - began)} ms`);
    if (restart !== undefined) {
      await pause(Math.max(0, (leastMs + mostMs) / 2 - (performance.now() - began)));
      stopped = performance.now();
      await server.restart(restart);
      served = performance.now();
      log(`the server was away for ${Math.round(served - stopped)} ms`);
    }
    const count = (): number => came.reduce((sum) => sum + 1, 0);
    const end = performance.now() + mostMs + 2 * longestRestMs;
    while (count() < due.length && performance.now() < end) await pause(100);
    const lateness = (indexes: readonly number[]): number[] =>
      indexes
        .filter((index) => came[index] !== undefined)
        .map((index) => (came[index] as number) - (due[index] as number))
        .sort((a, b) => a - b);
    const all = lateness([...due.keys()]);
    const whileServed = lateness([...due.keys()].filter((index) => isServed(due[index] as number, stopped, served)));
    return {
      accepted: due.length,
      missing: due.length - all.length,
      early: all.filter((late) => late < 0).length,
      p50: at(all, 0.5),
      p99: at(all, 0.99),
      most: at(all, 1),
      p99Served: at(whileServed, 0.99),
      lateServed: whileServed.filter((late) => late > 1_500).length,
      stuck: all.filter((late) => late > 60_000).length,
    };
  } finally {
    await worker.stop();
    await client.close();
    await close();
  }
}

/** How the delays are spread, and what happens meanwhile. */
export interface DelaysOptions {
  readonly leastMs: number;
  readonly mostMs: number;
  readonly restart?: 'graceful' | 'kill';
  readonly erlang?: string;
}

/** Due before the server went, or after it and those who use it had a moment to come back. */
function isServed(due: number, stopped: number, served: number): boolean {
  return due < stopped - 200 || due > served + 2_000;
}

function at(sorted: readonly number[], share: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
