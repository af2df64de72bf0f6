import { createClient, defineTask } from '@millrace/core';
import { connect } from 'amqplib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type AmqpBroker, amqpBroker } from '../src/index.ts';
import { queueNameOf } from '../src/names.ts';
import { serverUrl } from './harness.ts';
import { noServer, programs, startPrivateServer } from './private-server.ts';
import { brokerOf, claimOne, freshNamespace, newTask, openSession } from './support.ts';

const opened: AmqpBroker[] = [];

async function open(options: Parameters<typeof brokerOf>[1] = {}, url: string = serverUrl): Promise<AmqpBroker> {
  const broker = brokerOf(url, options);
  opened.push(broker);
  await broker.open();
  return broker;
}

/** Runs `work` with a channel that no broker knows of. */
async function withChannel<T>(work: (channel: Awaited<ReturnType<typeof rawChannel>>) => Promise<T>): Promise<T> {
  const channel = await rawChannel();
  try {
    return await work(channel);
  } finally {
    await channel.close().catch(() => {});
    await channel.connection_.close();
  }
}

async function rawChannel() {
  const connection = await connect(serverUrl, { noDelay: true });
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  return Object.assign(channel, { connection_: connection });
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((broker) => broker.close()));
});

describe('an exchange and queues of one’s own', () => {
  it('take tasks by routing key, under names chosen for them', async () => {
    const namespace = freshNamespace();
    const exchange = {
      name: `${namespace}.work`,
      type: 'direct',
      routingKey: (queue: string) => `key.${queue}`,
    } as const;
    const queue = `${namespace}-legacy`;
    const broker = await open({
      namespace,
      exchange,
      queues: [{ name: 'line', queue, bindingKeys: ['key.line', 'mail'], arguments: { 'x-max-length': 100 } }],
    });
    const task = newTask();
    await broker.enqueue([task]);
    await withChannel(async (channel) => {
      expect((await channel.checkQueue(queue)).messageCount).toBe(1);
      channel.publish(exchange.name, 'mail', Buffer.from('{}'), {
        messageId: 'foreign',
        type: 'work',
        mandatory: true,
      });
      await channel.waitForConfirms();
    });
    const session = await openSession(broker);
    const ids = [(await claimOne(session)).lease.taskId, (await claimOne(session)).lease.taskId];
    expect(ids).toEqual([task.id, 'foreign']);
  });

  it('that route nowhere are an error, not a success', async () => {
    const namespace = freshNamespace();
    const broker = await open({
      namespace,
      exchange: { name: `${namespace}.work`, routingKey: () => 'elsewhere' },
      queues: [{ name: 'line', bindingKeys: ['here'] }],
    });
    await expect(broker.enqueue([newTask()])).rejects.toMatchObject({ code: 'CONFIGURATION', reason: 'unroutable' });
  });

  it('that are there with other arguments are refused, saying what to do', async () => {
    const namespace = freshNamespace();
    await withChannel((channel) => channel.assertQueue(`${namespace}.q.line`, { durable: true }));
    const broker = brokerOf(serverUrl, { namespace, queues: [{ name: 'line' }] });
    await expect(broker.open()).rejects.toMatchObject({ code: 'CONFIGURATION', reason: 'topology-mismatch' });
    await broker.close();
  });
});

describe('opening', () => {
  it('with a wrong password or vhost is a ConfigurationError without the password', async () => {
    const url = new URL(serverUrl);
    url.username = 'nobody';
    url.password = 'secret-word';
    const wrongUser = amqpBroker({ url: url.href });
    await expect(wrongUser.open()).rejects.toMatchObject({ code: 'CONFIGURATION', reason: 'authentication' });
    await expect(wrongUser.open()).rejects.not.toThrow('secret-word');
    await wrongUser.close();
    const nowhere = new URL(serverUrl);
    nowhere.pathname = '/nowhere';
    const wrongVhost = amqpBroker({ url: nowhere.href });
    await expect(wrongVhost.open()).rejects.toMatchObject({ code: 'CONFIGURATION', reason: 'missing-vhost' });
    await wrongVhost.close();
  });

  it('tries as often as the reconnect policy says, at its interval', async () => {
    const began = performance.now();
    const broker = brokerOf('amqp://127.0.0.1:1', { reconnect: { attempts: 3, interval: 100 } });
    await expect(broker.open()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(performance.now() - began).toBeGreaterThanOrEqual(200);
    expect(performance.now() - began).toBeLessThan(2_000);
    await broker.close();
  });

  it('refuses to connect in clear when it was told how to encrypt', () => {
    const options = { url: 'amqp://localhost', tls: { ca: 'a certificate' } };
    expect(() => amqpBroker(options)).toThrow(expect.objectContaining({ code: 'VALIDATION', option: 'tls' }));
    expect(() => amqpBroker({ ...options, url: 'amqps://localhost' })).not.toThrow();
  });

  it('refuses options nobody knows, by name', () => {
    expect(() => amqpBroker({ url: serverUrl, prefetch: 3 } as never)).toThrow(/no option 'prefetch'/);
    expect(() => amqpBroker({ url: 'http://localhost' })).toThrow(/amqp:/);
    expect(() => amqpBroker({ url: serverUrl, namespace: 'a b' })).toThrow(/namespace/);
    expect(() => amqpBroker({ url: serverUrl, queues: [{ name: 'a', bindingKeys: ['b'] }] })).toThrow(/exchange/);
  });
});

describe('what cannot run', () => {
  it('is made again: a queue that was deleted under a waiting claim and a producer', async () => {
    const namespace = freshNamespace();
    const broker = await open({ namespace });
    const session = await openSession(broker);
    await broker.enqueue([newTask()]);
    const { lease } = await claimOne(session);
    await session.settle([{ type: 'complete', lease }]);
    const waiting = session.claim({ queues: ['line'], names: ['work'], limit: 1, waitMs: 10_000 });
    await vi.waitFor(() =>
      withChannel(async (channel) => expect((await channel.checkQueue(`${namespace}.q.line`)).consumerCount).toBe(1)),
    );
    await withChannel((channel) => channel.deleteQueue(`${namespace}.q.line`));
    const task = newTask();
    await broker.enqueue([task]);
    expect((await waiting).map((each) => each.lease.taskId)).toEqual([task.id]);
  });

  it('is kept: garbage goes to the dead with the reason, and what is behind it runs', async () => {
    const namespace = freshNamespace();
    const broker = await open({ namespace, queues: [{ name: 'line' }] });
    await withChannel(async (channel) => {
      channel.publish('', `${namespace}.q.line`, Buffer.from('?'), { headers: { 'x-millrace': '{' } });
      await channel.waitForConfirms();
    });
    const task = newTask();
    await broker.enqueue([task]);
    expect((await claimOne(await openSession(broker))).lease.taskId).toBe(task.id);
    await vi.waitFor(async () => expect((await broker.dead.list()).total).toBe(1));
    const { tasks } = await broker.dead.list();
    expect(tasks).toMatchObject(
      [{ queue: 'line', failure: 'invalid', problem: /message_id/ }].map(({ problem: _, ...rest }) => rest),
    );
    expect(tasks[0]?.problem).toMatch(/message_id/);
  });

  it('is passed on, not looped: a name nobody here runs waits for a worker that does', async () => {
    const broker = await open();
    const task = newTask({ name: 'other' });
    await broker.enqueue([task]);
    const session = await openSession(broker);
    expect(await session.claim({ queues: ['line'], names: ['work'], limit: 1, waitMs: 400 })).toEqual([]);
    const [delivery] = await session.claim({ queues: ['line'], names: ['other'], limit: 1, waitMs: 5_000 });
    expect(delivery?.lease).toMatchObject({ taskId: task.id, attempt: 1 });
  });
});

describe('dead tasks', () => {
  it('are listed with their errors, run again one by one, and removed', async () => {
    const broker = await open();
    const session = await openSession(broker);
    const tasks = [newTask({ input: '{"n":1}' }), newTask(), newTask()];
    await broker.enqueue(tasks);
    for (let index = 0; index < tasks.length; index++) {
      const { lease } = await claimOne(session);
      const failure = { kind: 'error', name: 'Error', message: `broken ${index}` } as const;
      expect(await session.settle([{ type: 'fail', lease, failure }])).toEqual(['applied']);
    }
    const page = await broker.dead.list();
    expect(page.total).toBe(3);
    expect(page.tasks.map((dead) => [dead.task?.id, dead.failure, dead.errors.at(-1)?.message])).toEqual(
      tasks.map((task, index) => [task.id, 'error', `broken ${index}`]),
    );
    const [first] = tasks;
    expect(await broker.dead.rerun({ ids: [first?.id ?? ''] })).toBe(1);
    const again = await claimOne(session);
    expect(again).toMatchObject({ input: '{"n":1}', lease: { taskId: first?.id, attempt: 1, fence: 2 } });
    expect(await broker.dead.purge({ queue: 'line' })).toBe(2);
    expect((await broker.dead.list()).total).toBe(0);
  });
});

describe('a task with nothing unusual about it', () => {
  it('needs no header, and is found among the dead when somebody else refuses it', async () => {
    const namespace = freshNamespace();
    const broker = await open({ namespace });
    const client = createClient({ broker, closeBroker: false });
    const { id } = await client.enqueue(defineTask({ name: 'work', queue: 'line é' }), undefined);
    await withChannel(async (channel) => {
      const refused = await channel.get(queueNameOf(namespace, 'line é'));
      if (refused === false) throw new Error('there is no message');
      // RabbitMQ 4 sends no table where there is no header.
      expect(refused.properties.headers ?? {}).not.toHaveProperty('x-millrace');
      channel.nack(refused, false, false);
    });
    await vi.waitFor(async () => expect((await broker.dead.list()).total).toBe(1), { timeout: 10_000 });
    const [dead] = (await broker.dead.list()).tasks;
    expect(dead).toMatchObject({ queue: 'line é', failure: 'lost', task: { id, name: 'work', queue: 'line é' } });
    await client.close();
  });
});

describe('a server short of memory', () => {
  it.skipIf(programs === undefined)(
    `is back-pressure, and close ends all the same${programs === undefined ? ` [${noServer}]` : ''}`,
    async () => {
      const { url, close } = await startPrivateServer('-rabbit vm_memory_high_watermark {absolute,1000000}');
      try {
        const broker = await open({ operationTimeout: '1s' }, url);
        // The server says so with the first publish, and answers no further one.
        await vi.waitFor(
          async () => {
            await expect(broker.enqueue([newTask()])).rejects.toMatchObject({
              code: 'BACKPRESSURE',
              reason: 'blocked',
            });
          },
          { timeout: 10_000 },
        );
        expect((await broker.health()).state).toBe('degraded');
        const began = performance.now();
        await broker.close();
        expect(performance.now() - began).toBeLessThan(5_000);
      } finally {
        await close();
      }
    },
  );
});
