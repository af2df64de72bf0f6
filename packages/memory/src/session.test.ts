import { describe, expect, it } from 'vitest';
import {
  claim,
  claimOne,
  enqueue,
  find,
  frozenClock,
  idsOf,
  newTask,
  openBroker,
  openTwins,
  openWorker,
  settle,
} from '../test/support.ts';
import { createMemoryStore, memoryBroker } from './index.ts';
import { turns } from './testing/turns.ts';
import { VirtualClock } from './testing/virtual-clock.ts';

/** Follows a promise without waiting for it. */
function watch<T>(promise: Promise<T>): { done: boolean; value: T | undefined; error: unknown } {
  const state: { done: boolean; value: T | undefined; error: unknown } = {
    done: false,
    value: undefined,
    error: undefined,
  };
  promise.then(
    (value) => Object.assign(state, { done: true, value }),
    (error: unknown) => Object.assign(state, { done: true, error }),
  );
  return state;
}

describe('a long poll', () => {
  it('ends with nothing exactly when its time is over', async () => {
    const { broker, clock } = await openBroker();
    const poll = watch(claim(await openWorker(broker), { waitMs: 5_000 }));
    await clock.advance(4_999);
    expect(poll.done).toBe(false);
    await clock.advance(1);
    expect(poll.value).toEqual([]);
    await broker.close();
  });

  it('wakes for an enqueue without time passing, from another client too', async () => {
    const { first, second } = await openTwins();
    const poll = watch(claim(await openWorker(first), { waitMs: 5_000, limit: 10 }));
    await turns();
    const tasks = [newTask(), newTask()];
    await second.enqueue(tasks);
    await turns();
    expect(idsOf(poll.value ?? [])).toEqual(tasks.map((task) => task.id));
    await first.close();
    await second.close();
  });

  it('wakes exactly when a task becomes due, also one that came or moved while it slept', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const far = await enqueue(broker, { delayMs: 50_000 });
    const poll = watch(claim(worker, { waitMs: 60_000 }));
    await clock.advance(100);
    const near = await enqueue(broker, { delayMs: 1_000 });
    await clock.advance(999);
    expect(poll.done).toBe(false);
    await clock.advance(1);
    expect(idsOf(poll.value ?? [])).toEqual([near.id]);

    const next = watch(claim(worker, { waitMs: 60_000 }));
    await turns();
    await broker.tasks.reschedule([far.id], { delayMs: 10 });
    await clock.advance(9);
    expect(next.done).toBe(false);
    await clock.advance(1);
    expect(idsOf(next.value ?? [])).toEqual([far.id]);
    await broker.close();
  });

  it.each(['resume of the queue', 'resume of the task', 'rerun', 'release'] as const)(
    'wakes for a %s',
    async (event) => {
      const { broker } = await openBroker();
      const [worker, other] = [await openWorker(broker), await openWorker(broker)];
      const { id } = await enqueue(broker);
      const { lease } = await claimOne(other);
      if (event === 'rerun') await settle(other, { type: 'complete', lease });
      if (event === 'resume of the task') await settle(other, { type: 'pause', lease });
      if (event === 'resume of the queue') {
        await broker.queues.pause('main');
        await settle(other, { type: 'release', lease });
      }
      const poll = watch(claim(worker, { waitMs: 60_000 }));
      await turns();
      expect(poll.done).toBe(false);
      if (event === 'rerun') await broker.tasks.rerun([id]);
      if (event === 'resume of the task') await broker.tasks.resume([id]);
      if (event === 'resume of the queue') await broker.queues.resume('main');
      if (event === 'release') await settle(other, { type: 'release', lease });
      await turns();
      expect(idsOf(poll.value ?? [])).toEqual([id]);
      await broker.close();
    },
  );

  it('does not lose a task that arrives between looking and sleeping', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    for (let round = 0; round < 500; round++) {
      const poll = claim(worker, { waitMs: 60_000 });
      for (let hop = 0; hop < round % 7; hop++) await Promise.resolve();
      const task = await enqueue(broker);
      expect(idsOf(await poll)).toEqual([task.id]);
    }
    await broker.close();
  });

  it('ends by its signal, and does nothing when that has aborted before', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const stop = new AbortController();
    const poll = claim(worker, { waitMs: 60_000, signal: stop.signal });
    const timers = clock.pendingTimers;
    stop.abort();
    expect(await poll).toEqual([]);
    await turns();
    expect(clock.pendingTimers).toBeLessThanOrEqual(timers);
    const task = await enqueue(broker);
    expect(await claim(worker, { signal: stop.signal })).toEqual([]);
    expect(idsOf(await claim(worker))).toEqual([task.id]);
    await broker.close();
  });

  it('gives each of many sleepers its own task', async () => {
    const { broker } = await openBroker();
    const workers = await Promise.all(Array.from({ length: 20 }, () => openWorker(broker)));
    const polls = workers.map((worker) => claim(worker, { waitMs: 60_000 }));
    await turns();
    const tasks = Array.from({ length: 20 }, () => newTask());
    await broker.enqueue(tasks);
    const ids = (await Promise.all(polls)).flatMap(idsOf);
    expect(ids.sort()).toEqual(tasks.map((task) => task.id).sort());
    await broker.close();
  });

  it('refuses wrong requests', async () => {
    const { broker, capabilities } = await openBroker();
    const worker = await openWorker(broker);
    for (const wrong of [
      { limit: 0 },
      { limit: capabilities.batch.maxClaim + 1 },
      { waitMs: -1 },
      { queues: [] },
      { names: [] },
      { queues: [''] },
    ]) {
      await expect(claim(worker, wrong)).rejects.toMatchObject({ code: 'VALIDATION' });
    }
    await broker.close();
  });
});

describe('a session', () => {
  it('lives as long as its heartbeats go out, however long that is', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker, { ttlMs: 1_000 });
    await enqueue(broker);
    const { lease } = await claimOne(worker);
    await clock.advance('10m');
    expect(await broker.maintain({ maxTasks: 10 })).toMatchObject({ reclaimed: 0 });
    expect(worker.session.lost.aborted).toBe(false);
    expect(await settle(worker, { type: 'complete', lease })).toBe('applied');
    await broker.close();
  });

  it('has a time to live within the limits', async () => {
    const { broker } = await openBroker();
    for (const ttlMs of [99, 86_400_001, Number.NaN]) {
      await expect(openWorker(broker, { ttlMs })).rejects.toMatchObject({ code: 'VALIDATION', option: 'ttl' });
    }
    await broker.close();
  });

  it('that ends gives back what it holds, uncharged, and claims no more', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker);
    const { lease } = await claimOne(worker);
    const poll = claim(worker, { waitMs: 60_000 });
    await worker.session.end();
    await worker.session.end();
    expect(await poll).toEqual([]);
    expect(await find(broker, id)).toMatchObject({ state: 'pending', attempt: 0 });
    expect(await settle(worker, { type: 'complete', lease })).toBe('stale');
    await expect(claim(worker)).rejects.toMatchObject({ code: 'CLOSED' });
    await broker.close();
  });

  it('that ends carries out what was asked of its tasks', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const tasks = [await enqueue(broker), await enqueue(broker), await enqueue(broker)];
    await claim(worker, { limit: 3 });
    await broker.tasks.cancel([tasks[0]!.id]);
    await broker.tasks.pause([tasks[1]!.id]);
    await broker.tasks.remove([tasks[2]!.id]);
    await worker.session.end();
    const states = (await broker.tasks.get(tasks.map((task) => task.id))).map((task) => task?.state);
    expect(states).toEqual(['cancelled', 'paused', undefined]);
    await broker.close();
  });

  it('is lost to its holder before the store gives its tasks away, and is then good for nothing', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    const broker = memoryBroker({ store });
    await broker.open();
    const worker = await openWorker(broker, { ttlMs: 1_000 });
    const { id } = await enqueue(broker);
    const { lease } = await claimOne(worker);
    const poll = watch(claim(worker, { waitMs: 60_000, names: ['other'] }));
    // Heartbeats fail from now on: the store no longer knows the session.
    (store as unknown as { sessions: Map<string, unknown> }).sessions.delete(worker.session.id);
    await clock.advance(900);
    expect(worker.session.lost.aborted).toBe(true);
    expect(worker.session.lost.reason).toMatchObject({ code: 'LEASE_LOST' });
    expect(poll.error).toMatchObject({ code: 'LEASE_LOST' });
    await expect(claim(worker)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(await settle(worker, { type: 'complete', lease })).toBe('stale');
    expect(await worker.session.report([{ lease, progress: '1' }])).toEqual(['stale']);
    expect((await find(broker, id)).state).toBe('running');
    await broker.close();
  });

  it('that was silent for too long is refused at its next claim', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    const frozen = memoryBroker({ store, clock: frozenClock(clock) });
    await frozen.open();
    const worker = await openWorker(frozen, { ttlMs: 1_000 });
    await enqueue(frozen);
    await clock.advance(999);
    expect(worker.session.lost.aborted).toBe(false);
    await clock.advance(1);
    await expect(claim(worker)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(worker.session.lost.aborted).toBe(true);
    await frozen.close();
  });
});

describe('stop requests', () => {
  it('reach the holder without time passing, whoever asks', async () => {
    const { first, second } = await openTwins();
    const worker = await openWorker(first);
    const { id } = await enqueue(first);
    await claimOne(worker);
    expect(await second.tasks.cancel([id])).toEqual(['requested']);
    await turns();
    expect(worker.signals).toEqual([{ taskId: id, fence: 1, request: 'cancel' }]);
    await first.close();
    await second.close();
  });

  it('only get stronger: pause, cancel, remove', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker);
    const { lease } = await claimOne(worker);
    const requested: unknown[] = [];
    for (const operation of ['pause', 'cancel', 'pause', 'remove', 'cancel'] as const) {
      expect(await broker.tasks[operation]([id])).toEqual(['requested']);
      requested.push((await find(broker, id)).requested);
    }
    expect(requested).toEqual(['pause', 'cancel', 'cancel', 'remove', 'remove']);
    expect(await settle(worker, { type: 'cancel', lease })).toBe('applied');
    expect(await broker.tasks.get([id])).toEqual([undefined]);
    await broker.close();
  });

  it('do not take the process down when the holder throws', async () => {
    const { broker } = await openBroker();
    const session = await broker.openSession({
      instance: 'w',
      host: 'h',
      ttlMs: 1_000,
      onSignal: () => {
        throw new Error('deaf');
      },
    });
    const { id } = await enqueue(broker);
    await session.claim({ queues: ['main'], names: ['work'], limit: 1, waitMs: 0 });
    expect(await broker.tasks.cancel([id])).toEqual(['requested']);
    await turns();
    await broker.close();
  });
});
