import { describe, expect, it } from 'vitest';
import { boom, claim, claimOne, enqueue, newTask, openBroker, openTwins, openWorker, settle } from '../test/support.ts';

describe('stats', () => {
  it('count tasks by state, and tell how long the oldest due one has waited', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    await broker.enqueue([newTask(), newTask(), newTask({ delayMs: 60_000 }), newTask({ queue: 'other' })]);
    const paused = await enqueue(broker);
    await broker.tasks.pause([paused.id]);
    await clock.advance(10);
    const [first, second] = await claim(worker, { limit: 2 });
    await settle(worker, { type: 'retry', lease: first!.lease, delayMs: 60_000, failure: boom });
    await enqueue(broker);
    await clock.advance(5);
    await broker.queues.pause('other');
    expect(await broker.queues.stats()).toEqual([
      {
        queue: 'main',
        paused: false,
        pending: 1,
        scheduled: 1,
        retrying: 1,
        running: 1,
        pausedTasks: 1,
        oldestPendingMs: 5,
      },
      {
        queue: 'other',
        paused: true,
        pending: 1,
        scheduled: 0,
        retrying: 0,
        running: 0,
        pausedTasks: 0,
        oldestPendingMs: 15,
      },
    ]);
    await settle(worker, { type: 'complete', lease: second!.lease });
    const nothing = { pending: 0, scheduled: 0, retrying: 0, running: 0, pausedTasks: 0 };
    expect(await broker.queues.stats(['unknown'])).toEqual([{ queue: 'unknown', paused: false, ...nothing }]);
    expect((await broker.queues.stats(['main']))[0]?.running).toBe(0);
    await broker.close();
  });
});

describe('pause', () => {
  it('keeps tasks from starting, for every client, while running ones finish', async () => {
    const { first, second } = await openTwins();
    const worker = await openWorker(second);
    await enqueue(first);
    const { lease } = await claimOne(worker);
    await first.queues.pause('main');
    const waiting = await enqueue(first);
    const elsewhere = await enqueue(first, { queue: 'other' });
    expect((await claim(worker, { queues: ['main', 'other'], limit: 9 })).map((d) => d.lease.taskId)).toEqual([
      elsewhere.id,
    ]);
    expect(await settle(worker, { type: 'complete', lease })).toBe('applied');
    await second.queues.resume('main');
    expect((await claimOne(worker)).lease.taskId).toBe(waiting.id);
    await expect(first.queues.pause('')).rejects.toMatchObject({ code: 'VALIDATION', option: 'queue' });
    await first.close();
    await second.close();
  });

  it('lets a paused queue sleep until it is resumed, also when tasks fall due', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    await broker.queues.pause('main');
    const { id } = await enqueue(broker, { delayMs: 1_000 });
    const poll = claim(worker, { waitMs: 60_000 });
    await clock.advance(30_000);
    await broker.queues.resume('main');
    expect((await poll).map((delivery) => delivery.lease.taskId)).toEqual([id]);
    await broker.close();
  });
});

describe('purge', () => {
  it('removes the waiting tasks of one queue; running and ended ones stay', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const [running, ended] = [await enqueue(broker), await enqueue(broker)];
    await claimOne(worker);
    await broker.tasks.cancel([ended.id]);
    const paused = await enqueue(broker);
    await broker.tasks.pause([paused.id]);
    await broker.enqueue([newTask(), newTask({ delayMs: 1_000 }), newTask({ queue: 'other' })]);
    const gone = broker.tasks.wait([paused.id], { waitMs: 60_000 });
    expect(await broker.queues.purge('main')).toBe(3);
    expect(await gone).toEqual([undefined]);
    const left = (await broker.tasks.list({ queues: ['main'] }, { limit: 9 })).tasks.map((task) => task.id);
    expect(left).toEqual([ended.id, running.id]);
    expect(await broker.tasks.count({ queues: ['other'] })).toBe(1);
    expect(await claim(worker)).toEqual([]);
    await broker.close();
  });
});
