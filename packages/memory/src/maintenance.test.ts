import { describe, expect, it } from 'vitest';
import {
  boom,
  claim,
  claimOne,
  enqueue,
  find,
  frozenClock,
  idsOf,
  newTask,
  openBroker,
  openWorker,
  settle,
  type Worker,
} from '../test/support.ts';
import { createMemoryStore, type MemoryBroker, memoryBroker } from './index.ts';
import { VirtualClock } from './testing/virtual-clock.ts';

const budget = { maxTasks: 1_000 };

/** A live client, and one that is frozen from the start: its heartbeats never go out. */
async function openMortal(): Promise<{ broker: MemoryBroker; mortal: Worker; clock: VirtualClock }> {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  const broker = memoryBroker({ store });
  const frozen = memoryBroker({ store, clock: frozenClock(clock) });
  await broker.open();
  await frozen.open();
  return { broker, mortal: await openWorker(frozen, { instance: 'mortal', ttlMs: 1_000 }), clock };
}

describe('tasks of a silent session', () => {
  it('come back when its time to live is over, not before, and only its own', async () => {
    const { broker, mortal, clock } = await openMortal();
    const living = await openWorker(broker, { ttlMs: 1_000 });
    const [lost, kept] = [await enqueue(broker), await enqueue(broker)];
    const { lease } = await claimOne(mortal);
    await claimOne(living);
    await clock.advance(999);
    expect((await broker.maintain(budget)).reclaimed).toBe(0);
    await clock.advance(1);
    expect(await broker.maintain(budget)).toEqual({ reclaimed: 1, expired: 0, pruned: 0, more: false });
    expect((await find(broker, kept.id)).state).toBe('running');
    expect(await find(broker, lost.id)).toMatchObject({ state: 'retrying', attempt: 1, runAt: clock.now() });
    expect((await find(broker, lost.id)).errors).toMatchObject([
      { kind: 'lost', attempt: 1, worker: 'mortal', at: clock.now() },
    ]);
    expect((await claimOne(living)).lease).toMatchObject({ taskId: lost.id, attempt: 2, fence: 2 });
    expect(await settle(mortal, { type: 'complete', lease })).toBe('stale');
    await broker.close();
  });

  it('end as lost on the last attempt, once they had begun', async () => {
    const { broker, mortal, clock } = await openMortal();
    const { id } = await enqueue(broker, { maxAttempts: 1 });
    const { lease } = await claimOne(mortal);
    expect(await mortal.session.report([{ lease, begun: true }])).toEqual(['applied']);
    await clock.advance(1_000);
    await broker.maintain(budget);
    expect(await find(broker, id)).toMatchObject({ state: 'failed', failure: 'lost', attempt: 1 });
    await broker.close();
  });

  it('wait again, uncharged, when their last attempt never began (LSE-16)', async () => {
    const { broker, mortal, clock } = await openMortal();
    const { id } = await enqueue(broker, { maxAttempts: 1 });
    await claimOne(mortal);
    await clock.advance(1_000);
    expect((await broker.maintain(budget)).reclaimed).toBe(1);
    expect(await find(broker, id)).toMatchObject({ state: 'pending', attempt: 0, fence: 1, errors: [] });
    await broker.close();
  });

  it('must have begun in this very run to be counted', async () => {
    const { broker, mortal, clock } = await openMortal();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker, { maxAttempts: 2 });
    const first = await claimOne(worker);
    await worker.session.report([{ lease: first.lease, begun: true }]);
    await settle(worker, { type: 'retry', lease: first.lease, delayMs: 0, failure: boom });
    await claimOne(mortal);
    await clock.advance(1_000);
    await broker.maintain(budget);
    expect(await find(broker, id)).toMatchObject({ state: 'pending', attempt: 1 });
    await broker.close();
  });

  it('do what was asked of them meanwhile', async () => {
    const { broker, mortal, clock } = await openMortal();
    const tasks = [await enqueue(broker), await enqueue(broker), await enqueue(broker)];
    await claim(mortal, { limit: 3 });
    await broker.tasks.cancel([tasks[0]!.id]);
    await broker.tasks.pause([tasks[1]!.id]);
    await broker.tasks.remove([tasks[2]!.id]);
    await clock.advance(1_000);
    await broker.maintain(budget);
    const states = (await broker.tasks.get(tasks.map((task) => task.id))).map((task) => task?.state);
    expect(states).toEqual(['cancelled', 'paused', undefined]);
    await broker.close();
  });

  it('come back exactly once, however many there are and whoever sweeps', async () => {
    const { broker, mortal, clock } = await openMortal();
    const tasks = Array.from({ length: 1_000 }, () => newTask());
    await broker.enqueue(tasks);
    await claim(mortal, { limit: 1_000 });
    await clock.advance(1_000);
    const reports = await Promise.all(Array.from({ length: 4 }, () => broker.maintain({ maxTasks: 300 })));
    expect(reports.map(({ reclaimed, more }) => [reclaimed, more])).toEqual([
      [300, true],
      [300, true],
      [300, true],
      [100, false],
    ]);
    const worker = await openWorker(broker);
    expect(new Set(idsOf(await claim(worker, { limit: 1_000 }))).size).toBe(1_000);
    expect(await claim(worker)).toEqual([]);
    await broker.close();
  });

  it('that always kill their worker end after their last attempt', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    const broker = memoryBroker({ store });
    await broker.open();
    const { id } = await enqueue(broker, { maxAttempts: 3 });
    for (let run = 1; run <= 3; run++) {
      const frozen = memoryBroker({ store, clock: frozenClock(clock) });
      await frozen.open();
      const worker = await openWorker(frozen, { ttlMs: 1_000 });
      const { lease } = await claimOne(worker);
      expect(lease.attempt).toBe(run);
      await worker.session.report([{ lease, begun: true }]);
      await clock.advance(1_000);
      await broker.maintain(budget);
    }
    const { state, errors } = await find(broker, id);
    expect([state, errors.map((error) => error.attempt)]).toEqual(['failed', [1, 2, 3]]);
    await broker.close();
  });
});

describe('expiry', () => {
  it('keeps a task from being claimed at once, and maintenance ends it', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker, { expiresInMs: 1_000 });
    const absolute = await enqueue(broker, { expiresAt: clock.now() + 1_001 });
    await clock.advance(1_000);
    expect(idsOf(await claim(worker, { limit: 10 }))).toEqual([absolute.id]);
    expect((await find(broker, id)).state).toBe('pending');
    expect(await broker.maintain(budget)).toMatchObject({ expired: 1 });
    expect(await find(broker, id)).toMatchObject({
      state: 'failed',
      failure: 'expired',
      attempt: 0,
      finishedAt: clock.now(),
      errors: [{ kind: 'expired', attempt: 0 }],
    });
    await broker.close();
  });

  it('does not touch a running task, but does a retrying, a scheduled and a paused one', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const task = (): Promise<{ id: string }> => enqueue(broker, { expiresInMs: 1_000 });
    const [running, retrying, paused] = [await task(), await task(), await task()];
    const scheduled = await enqueue(broker, { expiresInMs: 1_000, delayMs: 5_000 });
    const [, second] = await claim(worker, { limit: 2 });
    await settle(worker, { type: 'retry', lease: second!.lease, delayMs: 9_000, failure: boom });
    await broker.tasks.pause([paused.id]);
    await clock.advance(1_000);
    expect((await broker.maintain({ maxTasks: 2 })).more).toBe(true);
    expect((await broker.maintain(budget)).expired).toBe(1);
    const ids = [running.id, retrying.id, paused.id, scheduled.id];
    expect((await broker.tasks.get(ids)).map((each) => each?.state)).toEqual(['running', 'failed', 'failed', 'failed']);
    await broker.close();
  });

  it('is forgotten by a rerun once it has passed', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker, { expiresInMs: 1_000 });
    await clock.advance(1_000);
    await broker.maintain(budget);
    await broker.tasks.rerun([id]);
    expect(idsOf(await claim(worker))).toEqual([id]);
    await broker.close();
  });
});

describe('retention', () => {
  it('removes ended tasks by age, each kind by its own, and nothing else', async () => {
    const { broker, clock } = await openBroker({ retention: { succeeded: '1h', failed: '2h' } });
    const worker = await openWorker(broker);
    const [done, dead, cancelled, waiting] = [
      await enqueue(broker),
      await enqueue(broker),
      await enqueue(broker),
      await enqueue(broker, { delayMs: 86_400_000 }),
    ];
    const [first, second] = await claim(worker, { limit: 2 });
    await settle(worker, { type: 'complete', lease: first!.lease });
    await settle(worker, { type: 'fail', lease: second!.lease, failure: boom });
    await broker.tasks.cancel([cancelled.id]);
    const there = async (): Promise<boolean[]> =>
      (await broker.tasks.get([done.id, dead.id, cancelled.id, waiting.id])).map((task) => task !== undefined);
    await clock.advance(3_599_999);
    expect((await broker.maintain(budget)).pruned).toBe(0);
    await clock.advance(1);
    expect((await broker.maintain({ maxTasks: 1 })).more).toBe(true);
    expect(await broker.maintain(budget)).toMatchObject({ pruned: 1, more: false });
    expect(await there()).toEqual([false, true, false, true]);
    await clock.advance('1h');
    await broker.maintain(budget);
    expect(await there()).toEqual([false, false, false, true]);
    await broker.close();
  });

  it('can be switched off, in whole or in part', async () => {
    for (const retention of [false, { succeeded: false }] as const) {
      const { broker, clock } = await openBroker({ retention });
      const { id } = await enqueue(broker);
      await broker.tasks.cancel([id]);
      await clock.advance('1000d');
      expect((await broker.maintain(budget)).pruned).toBe(0);
      await broker.close();
    }
  });

  it('spares a task that was run again', async () => {
    const { broker, clock } = await openBroker({ retention: { succeeded: '1h' } });
    const { id } = await enqueue(broker);
    await broker.tasks.cancel([id]);
    await clock.advance('59m');
    await broker.tasks.rerun([id]);
    await clock.advance('2h');
    expect((await broker.maintain(budget)).pruned).toBe(0);
    expect((await find(broker, id)).state).toBe('pending');
    await broker.close();
  });

  it('refuses an impossible budget and an aborted call', async () => {
    const { broker } = await openBroker();
    await expect(broker.maintain({ maxTasks: 0 })).rejects.toMatchObject({ code: 'VALIDATION' });
    const signal = AbortSignal.abort();
    await expect(broker.maintain({ maxTasks: 1, signal })).rejects.toMatchObject({ code: 'ABORTED' });
    await broker.close();
  });
});
