import { randomBytes } from 'node:crypto';
import { amqpBroker } from '@millrace/amqp';
import { createClient, createWorker, defineTask, fixed, handle, silentLogger, typed } from '@millrace/core';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { consume, type RawRun } from '../src/consume.ts';
import { produce } from '../src/produce.ts';

const url = process.env.MILLRACE_TEST_AMQP_URL ?? '';
const namespace = `wire${randomBytes(4).toString('hex')}`;
const broker = amqpBroker({ url, namespace, queues: [{ name: 'letters' }, { name: 'parcels' }] });
const send = defineTask({ name: 'send', queue: 'letters', input: typed<{ to: string }>() });
const carry = defineTask({
  name: 'carry',
  queue: 'parcels',
  input: typed<{ kg: number }>(),
  retry: fixed({ attempts: 2, delay: 0 }),
});

describe('the wire format', () => {
  afterAll(() => broker.close());

  it('a raw producer’s task runs in a worker, with its input and headers, and not before its delay', async () => {
    await broker.open();
    const seen: unknown[] = [];
    const run = handle(send, (input, { id, attempt, headers }) => {
      seen.push({ id, attempt, input, headers: { ...headers }, at: performance.now() });
    });
    const worker = createWorker({ broker, handlers: [run], logger: silentLogger, closeBroker: false });
    await worker.start();
    const now = await produce(url, namespace, {
      name: 'send',
      queue: 'letters',
      input: { to: 'you' },
      headers: { tenant: 'blue' },
    });
    await vi.waitFor(() => expect(seen).toHaveLength(1), 5_000);
    expect(seen[0]).toMatchObject({ id: now, attempt: 1, input: { to: 'you' }, headers: { tenant: 'blue' } });
    const began = performance.now();
    await produce(url, namespace, { name: 'send', queue: 'letters', input: { to: 'me' }, delayMs: 400 });
    await vi.waitFor(() => expect(seen).toHaveLength(2), 5_000);
    expect((seen[1] as { readonly at: number }).at - began).toBeGreaterThanOrEqual(400);
    await worker.stop();
  });

  it('a client’s tasks run in a raw consumer; one that fails is tried again and then dead', async () => {
    const client = createClient({ broker, closeBroker: false });
    const runs: RawRun[] = [];
    const consumer = await consume(url, namespace, 'parcels', async (run) => {
      runs.push(run);
      if ((run.input as { readonly kg: number }).kg > 30) throw new Error('too heavy');
    });
    const light = await client.enqueue(carry, { kg: 3 });
    const heavy = await client.enqueue(carry, { kg: 40 });
    await vi.waitFor(() => expect(runs).toHaveLength(3), 5_000);
    await consumer.stop();
    expect(runs.map(({ id, attempt }) => [id, attempt])).toEqual([
      [light.id, 1],
      [heavy.id, 1],
      [heavy.id, 2],
    ]);
    const { tasks } = await broker.dead.list({ queue: 'parcels' });
    expect(tasks).toMatchObject([{ failure: 'error', task: { id: heavy.id, attempt: 2 } }]);
    expect(tasks[0]?.errors.map(({ message }) => message)).toEqual(['too heavy', 'too heavy']);
    await client.close();
  });

  it('a task that no queue takes is an error for a raw producer', async () => {
    await expect(produce(url, namespace, { name: 'send', queue: 'nowhere', input: 1 })).rejects.toThrow('no queue');
  });
});
