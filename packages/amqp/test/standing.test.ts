import { setTimeout as pause } from 'node:timers/promises';
import { type Delivery, isMillraceError, type Session } from '@millrace/core';
import { type Channel, type ConfirmChannel, connect } from 'amqplib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { blank } from '../src/blank.ts';
import type { AmqpBroker } from '../src/index.ts';
import { queueNameOf } from '../src/names.ts';
import { Publisher } from '../src/publisher.ts';
import { serverUrl } from './harness.ts';
import { noServer, programs, startPrivateServer } from './private-server.ts';
import { brokerOf, freshNamespace, newTask, openSession } from './support.ts';

const opened: AmqpBroker[] = [];
const limit = 50;

async function open(namespace: string, url = serverUrl): Promise<AmqpBroker> {
  const broker = brokerOf(url, { namespace });
  opened.push(broker);
  await broker.open();
  return broker;
}

function claim(session: Session, waitMs = 5_000): Promise<Delivery[]> {
  return session.claim({ queues: ['line'], names: ['work'], limit, waitMs });
}

async function settle(session: Session, deliveries: readonly Delivery[]): Promise<void> {
  const outcomes = await session.settle(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
  expect(new Set(outcomes)).toEqual(new Set(deliveries.length === 0 ? [] : ['applied']));
}

/** Claims one after the other until a subscription stands. Returns what it has not settled, and how many it has. */
async function flow(session: Session): Promise<{ held: Delivery[]; settled: number }> {
  let held: Delivery[] = [];
  let settled = 0;
  for (let count = 0; count < 8; count++) {
    await settle(session, held);
    settled += held.length;
    held = await claim(session);
  }
  return { held, settled };
}

/** Everything there is, as another session gets it. */
async function rest(broker: AmqpBroker, count: number): Promise<Delivery[]> {
  const session = await openSession(broker);
  const all: Delivery[] = [];
  while (all.length < count) {
    const some = await claim(session);
    if (some.length === 0) break;
    all.push(...some);
    await settle(session, some);
  }
  return all;
}

/** Ends a session while tasks come one after the other. Returns those that were charged without having been claimed. */
async function chargedAtTheEnd(url: string, afterMs: number): Promise<Delivery[]> {
  const broker = await open(freshNamespace(), url);
  await broker.enqueue(Array.from({ length: 8 * limit }, () => newTask()));
  const session = await openSession(broker);
  await settle(session, (await flow(session)).held);
  let sent = 0;
  let isOver = false;
  const trickling = (async () => {
    while (!isOver) {
      await broker.enqueue([newTask()]);
      sent += 1;
    }
  })();
  // A claim that waits, as a worker's would.
  const claiming = (async () => {
    let count = 0;
    while (!isOver) {
      const some = await claim(session, 1_000).catch(() => undefined);
      if (some === undefined) break;
      await session.settle(some.map(({ lease }) => ({ type: 'complete', lease })));
      count += some.length;
    }
    return count;
  })();
  await pause(afterMs);
  await session.end();
  await pause(50);
  isOver = true;
  await trickling;
  const left = sent - (await claiming);
  const others = await rest(broker, left);
  expect(others.length).toBeGreaterThanOrEqual(left);
  return others.filter(({ lease }) => lease.attempt !== 1);
}

async function onChannel<T>(work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
  const connection = await connect(serverUrl);
  try {
    return await work(await connection.createConfirmChannel());
  } finally {
    await connection.close();
  }
}

/** Subscriptions of the usual queue. */
function consumersOf(namespace: string): Promise<number> {
  return onChannel(async (channel) => (await channel.checkQueue(queueNameOf(namespace, 'line'))).consumerCount);
}

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((broker) => broker.close()));
});

describe('claims that follow each other', () => {
  it('find their tasks here: they subscribe a few times, not once each', async () => {
    const namespace = freshNamespace();
    const broker = await open(namespace);
    await broker.enqueue(Array.from({ length: 3_000 }, () => newTask()));
    const probe = await connect(serverUrl);
    const prototype = Object.getPrototypeOf(await probe.createChannel()) as Channel;
    await probe.close();
    const consume = vi.spyOn(prototype, 'consume');
    const session = await openSession(broker);
    let done = 0;
    let claims = 0;
    while (done < 3_000) {
      const some = await claim(session);
      expect(some.length).toBeLessThanOrEqual(limit);
      done += some.length;
      claims += 1;
      await settle(session, some);
    }
    expect(claims).toBeGreaterThanOrEqual(60);
    expect(consume.mock.calls.length).toBeLessThan(20);
  });

  it('and then stop: what was sent ahead goes back, uncharged', async () => {
    const namespace = freshNamespace();
    const broker = await open(namespace);
    await broker.enqueue(Array.from({ length: 1_000 }, () => newTask()));
    const session = await openSession(broker);
    const { held, settled } = await flow(session);
    const left = 1_000 - settled - held.length;
    await vi.waitFor(async () => expect(await broker.queues.stats(['line'])).toMatchObject([{ pending: left }]), 5_000);
    const others = await rest(await open(namespace), left);
    expect(others.map(({ lease }) => lease.attempt)).toEqual(Array.from({ length: left }, () => 1));
    await settle(session, held);
  });

  it('and, where the queue is full, what was sent ahead stays for the next claim', async () => {
    const queues = [{ name: 'line', arguments: { 'x-max-length': 1_000 } }];
    const broker = brokerOf(serverUrl, { namespace: freshNamespace(), queues });
    opened.push(broker);
    await broker.open();
    const accepted = new Set<string>();
    const fill = async (): Promise<void> => {
      for (let isFull = false; !isFull; ) {
        const tasks = Array.from({ length: limit }, () => newTask());
        // Refused with all its tasks, it throws.
        const outcomes = await broker.enqueue(tasks).catch((error: unknown) => {
          if (isMillraceError(error, 'BACKPRESSURE')) return [];
          throw error;
        });
        for (const [index, { id }] of tasks.entries()) if (outcomes[index]?.status === 'accepted') accepted.add(id);
        isFull = outcomes.filter(({ status }) => status === 'accepted').length < tasks.length;
      }
    };
    await fill();
    const session = await openSession(broker);
    const seen: Delivery[] = [];
    const publish = vi.spyOn(Publisher.prototype, 'publish');
    const triesToReturn = (): number => publish.mock.calls.filter(([op]) => op === 'session.claim').length;
    // Where the machine is busy, claims may be too far apart for anything to be sent ahead.
    while (triesToReturn() <= 2) {
      for (let count = 0; count < 8; count++) {
        const some = await claim(session);
        seen.push(...some);
        await settle(session, some);
      }
      await fill();
      await vi.waitUntil(() => triesToReturn() > 2, 1_000).catch(() => {});
    }
    while (seen.length < accepted.size) {
      const some = await claim(session);
      if (some.length === 0) break;
      seen.push(...some);
      await settle(session, some);
    }
    expect(new Set(seen.map(({ lease }) => lease.taskId))).toEqual(accepted);
    expect(seen.length).toBe(accepted.size);
    expect(new Set(seen.map(({ lease }) => lease.attempt))).toEqual(new Set([1]));
  });

  it('and end when nothing comes: what used up their credit is gone with them', async () => {
    const namespace = freshNamespace();
    const broker = await open(namespace);
    const other = await openSession(await open(namespace));
    const session = await openSession(broker);
    const waiting = [claim(session), claim(other, 500)];
    await vi.waitFor(async () => expect(await consumersOf(namespace)).toBe(2), 5_000);
    await Promise.all([session.end(), other.end()]);
    expect(await Promise.all(waiting)).toEqual([[], []]);
    expect(await broker.queues.stats(['line'])).toMatchObject([{ pending: 0 }]);
    expect(await consumersOf(namespace)).toBe(0);
  });

  it('and get what somebody else used up his credit with: they throw it away and go on', async () => {
    const namespace = freshNamespace();
    const broker = await open(namespace);
    const session = await openSession(broker);
    const sendBlank = (): Promise<void> =>
      onChannel(async (channel) => {
        channel.sendToQueue(queueNameOf(namespace, 'line'), Buffer.from(blank.content), blank.options);
        await channel.waitForConfirms();
      });
    const waiting = claim(session, 60_000);
    await vi.waitFor(async () => expect(await consumersOf(namespace)).toBe(1), 5_000);
    await sendBlank();
    const [first, second] = [newTask(), newTask()];
    await broker.enqueue([first]);
    const came = await waiting;
    await sendBlank();
    await broker.enqueue([second]);
    came.push(...(await claim(session, 0)));
    expect(came.map(({ lease }) => [lease.taskId, lease.attempt])).toEqual([
      [first.id, 1],
      [second.id, 1],
    ]);
    await settle(session, came);
    expect(await broker.queues.stats(['line'])).toMatchObject([{ pending: 0 }]);
  });

  it('and end while tasks trickle in: none of those is charged', async () => {
    for (let round = 0; round < 5; round++) expect(await chargedAtTheEnd(serverUrl, 20 + 40 * round)).toEqual([]);
  });

  it.skipIf(programs === undefined)(
    `and end on a server that takes its time: none is charged either${programs === undefined ? ` [${noServer}]` : ''}`,
    async () => {
      const { url, server, close } = await startPrivateServer();
      let isOver = false;
      const slow = async (): Promise<void> => {
        while (!isOver) {
          await server.freeze();
          await pause(40);
          await server.thaw();
          await pause(10);
        }
      };
      const slowing = slow();
      try {
        for (let round = 0; round < 5; round++) expect(await chargedAtTheEnd(url, 20 + 40 * round)).toEqual([]);
      } finally {
        isOver = true;
        await slowing;
        await close();
      }
    },
  );
});
