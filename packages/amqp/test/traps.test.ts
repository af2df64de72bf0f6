import { startProxy, type TcpProxy } from '@millrace/conformance';
import { type Channel, type ConfirmChannel, connect } from 'amqplib';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { serverUrl } from './harness.ts';
import { brokerOf, claimOne, freshNamespace, newTask, openSession } from './support.ts';

/** A way AMQP loses or delays tasks silently, what shows it, and an adapter that falls for it. */
interface Trap {
  readonly name: string;
  /** Rejects when a task was lost, came late, or was said to be safe and was not. */
  readonly check: (proxy: TcpProxy, url: string) => Promise<void>;
  /** Makes amqplib behave as if the adapter had not taken care. */
  readonly spring: (channel: Channel, confirming: ConfirmChannel) => void;
}

const undo: (() => void)[] = [];
let prototypes: { readonly channel: Channel; readonly confirming: ConfirmChannel };

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
    spring(_channel, confirming) {
      patch(
        confirming,
        'publish',
        (original) =>
          function publish(this: ConfirmChannel, exchange, key, content, options, done) {
            const written = original.call(this, exchange, key, content, options);
            done?.(null, {});
            return written;
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
    spring(_channel, confirming) {
      const made = new Set<string>();
      patch(
        confirming,
        'publish',
        (original) =>
          function publish(this: ConfirmChannel, exchange, key, content, options, done) {
            if (!exchange.startsWith('millrace.delay'))
              return original.call(this, exchange, key, content, options, done);
            // All delays in one queue, each message with an expiration of its own: only its head expires.
            const [digits, target = ''] = [key.split('.').slice(0, 6), key.split('.').slice(6).join('.')];
            const units = digits.reduce((sum, digit) => sum * 16 + Number(digit), 0);
            const queue = `${target}.delayed`;
            const ready = made.has(queue) ? Promise.resolve() : makeDelayQueue(queue, target);
            made.add(queue);
            void ready.then(() =>
              original.call(this, '', queue, content, { ...options, expiration: String(units * 100) }, done),
            );
            return true;
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
    spring(_channel, confirming) {
      patch(
        confirming,
        'publish',
        (original) =>
          function publish(this: ConfirmChannel, exchange, key, content, options, done) {
            const isRetry = String(options?.headers?.['x-millrace']).includes('"attempt"');
            if (!isRetry) return original.call(this, exchange, key, content, options, done);
            done?.(null, {});
            setTimeout(() => {
              try {
                original.call(this, exchange, key, content, options);
              } catch {
                // The connection is gone, and the retry with it.
              }
            }, 200);
            return true;
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
    const confirming = await connection.createConfirmChannel();
    prototypes = {
      channel: Object.getPrototypeOf(channel) as Channel,
      confirming: Object.getPrototypeOf(confirming) as ConfirmChannel,
    };
    await connection.close();
  });

  afterEach(() => {
    for (const restore of undo.splice(0).reverse()) restore();
  });

  for (const { name, check, spring } of traps) {
    it(`avoided: ${name}`, () => behindProxy(check));

    it(`an adapter that falls for it is noticed: ${name}`, async () => {
      spring(prototypes.channel, prototypes.confirming);
      const verdict = await behindProxy(check).then(
        () => 'passed',
        () => 'noticed',
      );
      expect(verdict).toBe('noticed');
    });
  }
});
