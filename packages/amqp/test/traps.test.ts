import { setTimeout as pause } from 'node:timers/promises';
import { startProxy, type TcpProxy } from '@millrace/conformance';
import { createWorker, defineTask, handle } from '@millrace/core';
import { type Channel, connect } from 'amqplib';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { SharedBarrier } from '../src/acknowledgements.ts';
import type { AmqpBroker } from '../src/index.ts';
import { Publisher } from '../src/publisher.ts';
import { AmqpSession } from '../src/session.ts';
import { Waiter } from '../src/waiter.ts';
import { serverUrl } from './harness.ts';
import { brokerOf, claimOne, freshNamespace, newTask, openSession } from './support.ts';

/** A way AMQP loses or delays tasks silently, what shows it, and an adapter that falls for it. */
interface Trap {
  readonly name: string;
  /** Rejects when a task was lost, came late, or was said to be safe and was not. */
  readonly check: (proxy: TcpProxy, url: string) => Promise<void>;
  /** Makes amqplib, or a part of the adapter, behave as if it had not taken care. */
  readonly spring: (channel: Channel) => void;
}

const undo: (() => void)[] = [];
let prototype: Channel;

function patch<T extends object, K extends keyof T>(target: T, name: K, change: (original: T[K]) => T[K]): void {
  const own = Object.getOwnPropertyDescriptor(target, name);
  const original = target[name];
  target[name] = change(original);
  undo.push(() => {
    if (own === undefined) delete (target as Partial<T>)[name];
    else Object.defineProperty(target, name, own);
  });
}

const traps: readonly Trap[] = [
  {
    name: 'an acknowledgement without a barrier',
    async check(proxy, url) {
      const namespace = freshNamespace();
      const broker = brokerOf(url, { namespace });
      await broker.open();
      const other = brokerOf(serverUrl, { namespace });
      await other.open();
      await other.enqueue([newTask()]);
      const session = await openSession(broker);
      const { lease } = await claimOne(session);
      expect(await session.settle([{ type: 'complete', lease }])).toEqual(['applied']);
      proxy.sever();
      const again = await (await openSession(other)).claim({
        queues: ['line'],
        names: ['work'],
        limit: 1,
        waitMs: 1_000,
      });
      await Promise.all([broker.close(), other.close()]);
      expect(again).toEqual([]);
    },
    spring(channel) {
      const last = new WeakMap<object, number>();
      patch(
        channel,
        'prefetch',
        (original) =>
          function prefetch(this: Channel, count: number) {
            // What is asked for already is asked again only to hear an answer.
            if ((last.get(this) ?? 0) === count) return Promise.resolve({});
            last.set(this, count);
            return original.call(this, count);
          },
      );
    },
  },
  {
    name: 'a publish without a confirm',
    async check(proxy, url) {
      const broker = brokerOf(url, { operationTimeout: '1s' });
      await broker.open();
      await broker.enqueue([newTask()]);
      proxy.blackhole('both');
      const outcome = await broker.enqueue([newTask()]).catch((error: { readonly code?: string }) => error.code);
      proxy.heal();
      await broker.close();
      expect(outcome).toBe('INDETERMINATE');
    },
    spring() {
      patch(
        Publisher.prototype,
        'publish',
        (original) =>
          async function publish(this: Publisher, op, messages) {
            original.call(this, op, messages).catch(() => {});
            return messages.map(() => 'confirmed');
          },
      );
    },
  },
  {
    name: 'a short delay behind a long one',
    async check(_proxy, url) {
      const broker = brokerOf(url);
      await broker.open();
      const short = newTask({ delayMs: 300 });
      await broker.enqueue([newTask({ delayMs: 4_000 })]);
      await broker.enqueue([short]);
      const session = await openSession(broker);
      const [first] = await session.claim({ queues: ['line'], names: ['work'], limit: 1, waitMs: 2_000 });
      await broker.close();
      expect(first?.lease.taskId).toBe(short.id);
    },
    spring() {
      const made = new Set<string>();
      patch(
        Publisher.prototype,
        'publish',
        (original) =>
          async function publish(this: Publisher, op, messages) {
            // All delays in one queue, each message with an expiration of its own: only its head expires.
            const instead = messages.map((message) => {
              if (!message.exchange.startsWith('millrace.delay')) return message;
              const words = message.key.split('.');
              const units = words.slice(0, 6).reduce((sum, digit) => sum * 16 + Number(digit), 0);
              const target = words.slice(6).join('.');
              const options = { ...message.options, expiration: String(units * 100) };
              return { ...message, exchange: '', key: `${target}.delayed`, options, target };
            });
            for (const { key, ...message } of instead) {
              if (!('target' in message) || made.has(key)) continue;
              made.add(key);
              await makeDelayQueue(key, message.target);
            }
            return original.call(this, op, instead);
          },
      );
    },
  },
  {
    name: 'an acknowledgement before the retry was published',
    async check(proxy, url) {
      const namespace = freshNamespace();
      const broker = brokerOf(url, { namespace });
      await broker.open();
      const other = brokerOf(serverUrl, { namespace });
      await other.open();
      await other.enqueue([newTask()]);
      const session = await openSession(broker);
      const { lease } = await claimOne(session);
      const failure = { kind: 'error', name: 'Error', message: 'broken' } as const;
      const outcome = await session.settle([{ type: 'retry', lease, delayMs: 0, failure }]);
      proxy.sever();
      proxy.refuse('reset');
      const [again] = await (await openSession(other)).claim({
        queues: ['line'],
        names: ['work'],
        limit: 1,
        waitMs: 1_500,
      });
      proxy.heal();
      await Promise.all([broker.close(), other.close()]);
      expect(outcome).toEqual(['applied']);
      expect(again?.lease).toMatchObject({ taskId: lease.taskId, attempt: 2 });
    },
    spring() {
      patch(
        Publisher.prototype,
        'publish',
        (original) =>
          async function publish(this: Publisher, op, messages) {
            const isRetry = messages.some(({ options }) =>
              String(options.headers?.['x-millrace']).includes('"attempt"'),
            );
            if (!isRetry) return original.call(this, op, messages);
            // By then the connection is gone, and the retry with it.
            setTimeout(() => original.call(this, op, messages).catch(() => {}), 200);
            return messages.map(() => 'confirmed');
          },
      );
    },
  },
  {
    name: 'a barrier that began before the acknowledgement',
    async check(proxy, url) {
      const namespace = freshNamespace();
      const broker = brokerOf(url, { namespace });
      await broker.open();
      const other = brokerOf(serverUrl, { namespace });
      await other.open();
      await other.enqueue([newTask(), newTask()]);
      const session = await openSession(broker);
      const [first, second] = [await claimOne(session), await claimOne(session)];
      const slow = proxy.latency(200);
      const answered = session.settle([{ type: 'complete', lease: first.lease }]);
      await new Promise((resolve) => setTimeout(resolve, 100));
      const unanswered = session.settle([{ type: 'complete', lease: second.lease }]);
      await new Promise((resolve) => setTimeout(resolve, 150));
      // The first one has arrived by now, and its answer is on its way; the second has not, and never does.
      proxy.blackhole('out');
      expect(await answered).toEqual(['applied']);
      await new Promise((resolve) => setTimeout(resolve, 100));
      proxy.sever();
      const outcomes = await unanswered;
      slow.heal();
      proxy.heal();
      const again = await claimOne(await openSession(other));
      await Promise.all([broker.close(), other.close()]);
      expect(again.lease.taskId).toBe(second.lease.taskId);
      expect(outcomes).not.toEqual(['applied']);
    },
    spring() {
      let underWay: Promise<void> | undefined;
      patch(
        SharedBarrier.prototype,
        'next',
        (original) =>
          function next(this: SharedBarrier, channel) {
            underWay ??= original.call(this, channel).finally(() => {
              underWay = undefined;
            });
            return underWay;
          },
      );
    },
  },
  {
    name: 'a last attempt that waits for a slot',
    async check(proxy, url) {
      const namespace = freshNamespace();
      const other = brokerOf(serverUrl, { namespace });
      await other.open();
      const quick = defineTask({ name: 'work', queue: 'line' });
      let done = 0;
      let started = 0;
      const handler = handle(quick, async (_input, { maxAttempts, signal }) => {
        if (maxAttempts > 1) {
          done += 1;
          return;
        }
        started += 1;
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      });
      const worker = createWorker({
        broker: brokerOf(url, { namespace }),
        handlers: [handler],
        concurrency: 1,
        logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
      });
      await worker.start();
      // So many quick ones that it claims ahead.
      await other.enqueue(Array.from({ length: 2_000 }, () => newTask()));
      await vi.waitFor(() => expect(done).toBe(2_000), { timeout: 10_000 });
      const last = Array.from({ length: 20 }, () => newTask({ maxAttempts: 1 }));
      await other.enqueue(last);
      await vi.waitFor(() => expect(started).toBe(1), { timeout: 5_000 });
      // Long before what was claimed ahead would go back because it got old.
      await new Promise((resolve) => setTimeout(resolve, 500));
      proxy.refuse('reset');
      proxy.sever();
      const session = await openSession(other);
      const came = new Set<string>();
      for (let look = 0; look < 40 && came.size < 19; look++) {
        const claim = { queues: ['line'], names: ['work'], limit: 4, waitMs: 100 };
        for (const { lease } of await session.claim(claim)) came.add(lease.taskId);
      }
      const dead = await other.dead.list();
      proxy.heal();
      await worker.stop({ force: true });
      await other.close();
      expect([came.size, dead.total]).toEqual([19, 1]);
    },
    spring() {
      // Says that it keeps what it does not: that the handler of a last attempt begins.
      patch(
        Object.getPrototypeOf(brokerOf(serverUrl)) as AmqpBroker,
        'open',
        (original) =>
          async function open(this: AmqpBroker) {
            const capabilities = await original.call(this);
            return { ...capabilities, reports: { ...capabilities.reports, begun: true } };
          },
      );
      patch(
        AmqpSession.prototype,
        'report',
        () =>
          async function report(reports) {
            return reports.map(() => 'applied' as const);
          },
      );
    },
  },
  {
    name: 'a delivery limit without a dead-letter exchange',
    async check(_proxy, url) {
      const namespace = freshNamespace();
      const queues = [{ name: 'line', arguments: { 'x-delivery-limit': 2 } }];
      const broker = brokerOf(url, { namespace, queues });
      await broker.open();
      const task = newTask();
      await broker.enqueue([task]);
      const connection = await connect(serverUrl);
      const channel = await connection.createChannel();
      for (let delivery = 0; delivery < 10; delivery++) {
        const message = await channel.get(`${namespace}.q.line`);
        if (message !== false) channel.nack(message, false, true);
      }
      await connection.close();
      let ids: (string | undefined)[] = [];
      for (let look = 0; look < 20 && ids.length === 0; look++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        ids = (await broker.dead.list()).tasks.map((dead) => dead.task?.id);
      }
      await broker.close();
      expect(ids).toEqual([task.id]);
    },
    spring(channel) {
      patch(
        channel,
        'assertQueue',
        (original) =>
          function assertQueue(this: Channel, queue, options) {
            const kept = Object.entries((options?.arguments ?? {}) as object).filter(
              ([name]) => !name.startsWith('x-dead-letter') && name !== 'x-overflow',
            );
            return original.call(this, queue, { ...options, arguments: Object.fromEntries(kept) });
          },
      );
    },
  },
  {
    name: 'what must not run uses up what a waiting claim has asked for',
    async check(_proxy, url) {
      const broker = brokerOf(url);
      await broker.open();
      const waiting = (await openSession(broker)).claim({ queues: ['line'], names: ['work'], limit: 1, waitMs: 4_000 });
      const task = newTask();
      for (const next of [newTask({ expiresInMs: 0 }), newTask({ name: 'another' }), task]) {
        await pause(200);
        await broker.enqueue([next]);
      }
      const [delivery] = await Promise.race([waiting, pause(2_000, [])]);
      await broker.close();
      expect(delivery?.lease.taskId).toBe(task.id);
    },
    spring() {
      patch(
        Waiter.prototype,
        'wake',
        (original) =>
          function wake(this: Waiter) {
            // It sleeps on as long as nothing was for it.
            if (this.got.length > 0) original.call(this);
          },
      );
    },
  },
];

async function makeDelayQueue(queue: string, target: string): Promise<void> {
  const connection = await connect(serverUrl);
  const channel = await connection.createChannel();
  const dead = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': target };
  await channel.assertQueue(queue, { arguments: { ...dead, 'x-expires': 60_000 } });
  await connection.close();
}

async function behindProxy(check: Trap['check']): Promise<void> {
  const { hostname, port } = new URL(serverUrl);
  const proxy = await startProxy({ host: hostname, port: Number(port === '' ? 5672 : port) });
  try {
    await check(proxy, proxy.url(serverUrl));
  } finally {
    await proxy.close();
  }
}

describe('traps of AMQP', () => {
  beforeAll(async () => {
    const connection = await connect(serverUrl);
    const channel = await connection.createChannel();
    prototype = Object.getPrototypeOf(channel) as Channel;
    await connection.close();
  });

  afterEach(() => {
    for (const restore of undo.splice(0).reverse()) restore();
  });

  for (const { name, check, spring } of traps) {
    it(`avoided: ${name}`, () => behindProxy(check));

    it(`an adapter that falls for it is noticed: ${name}`, async () => {
      spring(prototype);
      const verdict = await behindProxy(check).then(
        () => 'passed',
        () => 'noticed',
      );
      expect(verdict).toBe('noticed');
    });
  }
});
