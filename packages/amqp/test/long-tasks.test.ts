import { afterAll, describe, expect, it } from 'vitest';
import { noServer, programs, startPrivateServer } from './private-server.ts';
import { brokerOf, claimOne, freshNamespace, newTask, openSession } from './support.ts';

const canRun = programs !== undefined;
const consumerTimeoutMs = 3_000;

describe('tasks that run longer than the server lets a delivery be out', async () => {
  if (!canRun) {
    it.skip(`the server's limit is lowered [${noServer}]`, () => {});
    return;
  }
  // Looked at every second instead of every minute; before 3.12 no queue can have a limit of its own.
  const { url, server, close } = await startPrivateServer(
    `-rabbit consumer_timeout ${consumerTimeoutMs} -rabbit channel_tick_interval 500`,
  );
  afterAll(close);

  it('run once: the lease is renewed, and the settle is applied', async () => {
    const broker = brokerOf(url, { consumerTimeout: consumerTimeoutMs });
    await broker.open();
    const session = await openSession(broker);
    await broker.enqueue([newTask()]);
    const delivery = await claimOne(session);
    await new Promise((resolve) => setTimeout(resolve, 3 * consumerTimeoutMs));
    expect(session.lost.aborted).toBe(false);
    const other = await openSession(broker);
    expect(await other.claim({ queues: ['line'], names: ['work'], limit: 1, waitMs: 0 })).toEqual([]);
    expect(await session.settle([{ type: 'complete', lease: delivery.lease }])).toEqual(['applied']);
    await session.end();
    expect(await other.claim({ queues: ['line'], names: ['work'], limit: 1, waitMs: 1_500 })).toEqual([]);
    await broker.close();
  });

  it('come back, charged, when their worker dies after renewals', async () => {
    const options = { namespace: freshNamespace(), consumerTimeout: consumerTimeoutMs };
    const [broker, dying] = [brokerOf(url, options), brokerOf(url, options)];
    await Promise.all([broker.open(), dying.open()]);
    const session = await openSession(dying, { ttlMs: 3_000 });
    await broker.enqueue([newTask()]);
    const { lease } = await claimOne(session);
    await new Promise((resolve) => setTimeout(resolve, 2 * consumerTimeoutMs));
    expect(session.lost.aborted).toBe(false);
    await server.freeze();
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    // The holder gave up while the server stood still; its connection is gone when the server moves again.
    expect(session.lost.aborted).toBe(true);
    await server.thaw();
    const again = await claimOne(await openSession(broker));
    expect(again.lease).toMatchObject({ taskId: lease.taskId, attempt: 2 });
    expect(again.lease.fence).toBeGreaterThan(lease.fence);
    await broker.close();
    await dying.close();
  });
});
