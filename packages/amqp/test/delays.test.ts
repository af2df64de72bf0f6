import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverUrl } from './harness.ts';
import { noServer, type PrivateServer, programs, startPrivateServer } from './private-server.ts';
import { brokerOf, freshNamespace, newTask, openSession } from './support.ts';

const count = 10_000;

/** Enqueues tasks with delays spread over some seconds; when each was due at the earliest, by id. */
async function enqueueSpread(
  broker: ReturnType<typeof brokerOf>,
  leastMs: number,
  mostMs: number,
): Promise<{ readonly dueAt: Map<string, number> }> {
  const dueAt = new Map<string, number>();
  for (let start = 0; start < count; start += 1_000) {
    const tasks = Array.from({ length: 1_000 }, () =>
      newTask({ delayMs: leastMs + Math.floor(Math.random() * (mostMs - leastMs)) }),
    );
    const now = performance.now();
    for (const task of tasks) dueAt.set(task.id, now + task.delayMs);
    await broker.enqueue(tasks);
  }
  return { dueAt };
}

/** Claims and completes until every task came, or `limitMs` is over. When each came first, by id. */
async function collect(
  broker: ReturnType<typeof brokerOf>,
  wanted: ReadonlyMap<string, number>,
  limitMs: number,
): Promise<Map<string, number>> {
  const cameAt = new Map<string, number>();
  const end = performance.now() + limitMs;
  let session = await openSession(broker);
  while (cameAt.size < wanted.size && performance.now() < end) {
    try {
      const deliveries = await session.claim({ queues: ['line'], names: ['work'], limit: 500, waitMs: 500 });
      const now = performance.now();
      for (const { lease } of deliveries) if (!cameAt.has(lease.taskId)) cameAt.set(lease.taskId, now);
      await session.settle(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (session.lost.aborted) session = await openSession(broker).catch(() => session);
    }
  }
  return cameAt;
}

describe('10,000 delayed tasks', () => {
  it('come when they are due, none early', async () => {
    const broker = brokerOf(serverUrl);
    await broker.open();
    const { dueAt } = await enqueueSpread(broker, 1_000, 9_000);
    const cameAt = await collect(broker, dueAt, 60_000);
    expect(cameAt.size).toBe(count);
    const lateness = [...cameAt].map(([id, at]) => at - (dueAt.get(id) ?? 0)).sort((a, b) => a - b);
    expect(lateness[0]).toBeGreaterThanOrEqual(0);
    await broker.close();
  });
});

describe.skipIf(programs === undefined)(`10,000 delayed tasks${programs === undefined ? ` [${noServer}]` : ''}`, () => {
  let own: PrivateServer;
  beforeAll(async () => {
    own = await startPrivateServer();
  });
  afterAll(() => own.close());

  for (const [event, how, moment, leastMs, mostMs] of [
    ['crash', 'kill', 'wait', 6_500, 9_500],
    ['crash', 'kill', 'fall due', 1_000, 9_000],
    ['restart', 'graceful', 'fall due', 1_000, 9_000],
  ] as const) {
    it(`survive a ${event} of the server while they ${moment}`, async () => {
      const broker = brokerOf(own.url, { namespace: freshNamespace(), queues: [{ name: 'line' }] });
      await broker.open();
      // A new quorum queue needs a moment before it survives a crash.
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      const { dueAt } = await enqueueSpread(broker, leastMs, mostMs);
      const collecting = collect(broker, dueAt, 90_000);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      await own.server.stop(how);
      await own.server.start();
      const cameAt = await collecting;
      expect(cameAt.size).toBe(count);
      const early = [...cameAt].filter(([id, at]) => at < (dueAt.get(id) ?? 0));
      expect(early).toEqual([]);
      await broker.close();
    });
  }
});
