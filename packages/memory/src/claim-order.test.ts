import { describe, expect, it } from 'vitest';
import {
  boom,
  claim,
  claimOne,
  enqueue,
  idsOf,
  newTask,
  openBroker,
  openWorker,
  settle,
  type Worker,
} from '../test/support.ts';

async function drain(worker: Worker, queues: readonly string[] = ['main']): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const [delivery] = await claim(worker, { queues });
    if (delivery === undefined) return ids;
    ids.push(delivery.lease.taskId);
  }
}

describe('the order of claims', () => {
  it('is priority first, then due time, then creation', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    await broker.enqueue([
      newTask({ id: 'late', delayMs: 20 }),
      newTask({ id: 'early', delayMs: 10 }),
      newTask({ id: 'low', priority: 0 }),
      newTask({ id: 'first' }),
      newTask({ id: 'high', priority: 9, delayMs: 20 }),
      newTask({ id: 'second' }),
    ]);
    await clock.advance(20);
    expect(await drain(worker)).toEqual(['high', 'first', 'second', 'early', 'late', 'low']);
    await broker.close();
  });

  it('is FIFO within a millisecond and across batches', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const tasks = Array.from({ length: 1_000 }, () => newTask());
    for (let start = 0; start < 1_000; start += 7) await broker.enqueue(tasks.slice(start, start + 7));
    const ids: string[] = [];
    while (ids.length < 1_000) ids.push(...idsOf(await claim(worker, { limit: 33 })));
    expect(ids).toEqual(tasks.map((task) => task.id));
    await broker.close();
  });

  it('gives a released task its old place and its priority', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const first = await enqueue(broker);
    const delivery = await claimOne(worker);
    await clock.advance(5);
    const second = await enqueue(broker);
    await settle(worker, { type: 'release', lease: delivery.lease });
    expect(await drain(worker)).toEqual([first.id, second.id]);
    await broker.close();
  });

  it('lets tasks behind a failing one go first while it backs off, and keeps its priority', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const failing = await enqueue(broker, { priority: 9 });
    const { lease } = await claimOne(worker);
    const behind = [await enqueue(broker), await enqueue(broker)];
    await settle(worker, { type: 'retry', lease, delayMs: 10, failure: boom });
    expect(idsOf(await claim(worker))).toEqual([behind[0]?.id]);
    await clock.advance(10);
    expect(await drain(worker)).toEqual([failing.id, behind[1]?.id]);
    await broker.close();
  });

  it('follows changes of priority and due time', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const [a, b, c] = [await enqueue(broker), await enqueue(broker), await enqueue(broker, { delayMs: 60_000 })];
    await broker.tasks.update([b.id], { priority: 5 });
    await broker.tasks.reschedule([a.id], { delayMs: 1_000 });
    await broker.tasks.reschedule([c.id], { at: clock.now() });
    expect(await drain(worker)).toEqual([b.id, c.id]);
    await clock.advance(1_000);
    expect(await drain(worker)).toEqual([a.id]);
    await broker.close();
  });

  it('asks by queue and name, and leaves the rest alone', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const [here, elsewhere, other] = [
      await enqueue(broker),
      await enqueue(broker, { queue: 'other' }),
      await enqueue(broker, { name: 'unknown', priority: 9 }),
    ];
    expect(await drain(worker)).toEqual([here.id]);
    expect(idsOf(await claim(worker, { names: ['unknown', 'work'], queues: ['other', 'main'], limit: 9 }))).toEqual([
      other.id,
      elsewhere.id,
    ]);
    await broker.close();
  });
});

describe('several queues', () => {
  it('take turns at equal priority, so that a long one does not starve a short one', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    await broker.enqueue(Array.from({ length: 50 }, (_, index) => newTask({ id: `long-${index}`, queue: 'long' })));
    await broker.enqueue([newTask({ id: 'quiet-0', queue: 'quiet' }), newTask({ id: 'quiet-1', queue: 'quiet' })]);
    const ids = idsOf(await claim(worker, { queues: ['long', 'quiet'], limit: 5 }));
    expect(ids).toEqual(['long-0', 'quiet-0', 'long-1', 'quiet-1', 'long-2']);
    await broker.close();
  });

  it('do not let a queue that refills itself go first for ever', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    await broker.enqueue([newTask({ id: 'patient', queue: 'b' })]);
    const taken: string[] = [];
    for (let round = 0; round < 3; round++) {
      await enqueue(broker, { queue: 'a' });
      taken.push(...(await claim(worker, { queues: ['a', 'b'] })).map((delivery) => delivery.queue));
    }
    expect(taken).toContain('b');
    await broker.close();
  });

  it('keep priority strict between them', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    await broker.enqueue([
      newTask({ id: 'a4', queue: 'a' }),
      newTask({ id: 'b9', queue: 'b', priority: 9 }),
      newTask({ id: 'b9-too', queue: 'b', priority: 9 }),
      newTask({ id: 'a0', queue: 'a', priority: 0 }),
    ]);
    expect(await drain(worker, ['a', 'b'])).toEqual(['b9', 'b9-too', 'a4', 'a0']);
    await broker.close();
  });
});

describe('time', () => {
  it('never comes early, not even when the clock is set back', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const task = await enqueue(broker, { delayMs: 1_000 });
    await clock.advance(999);
    expect(await claim(worker)).toEqual([]);
    await clock.advance(1);
    // Somebody looks while it is due, takes nothing, and then the wall clock jumps back.
    expect(await claim(worker, { names: ['other'] })).toEqual([]);
    const now = clock.now();
    clock.now = () => now - 1;
    expect(await claim(worker)).toEqual([]);
    clock.now = () => now;
    expect(idsOf(await claim(worker))).toEqual([task.id]);
    await broker.close();
  });

  it('takes delays beyond the reach of timers, and instants of the past as now', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker, { ttlMs: 86_400_000 });
    const far = await enqueue(broker, { delayMs: 2 ** 32 });
    const past = await enqueue(broker, { runAt: 0 });
    expect(await drain(worker)).toEqual([past.id]);
    await clock.advance(2 ** 32 - 1);
    expect(await claim(worker)).toEqual([]);
    await clock.advance(1);
    expect(await drain(worker)).toEqual([far.id]);
    await broker.close();
  });
});

describe('any history', () => {
  it.each([1, 2, 3, 4, 5])('leaves the line sorted (seed %i)', async (seed) => {
    const { broker, clock } = await openBroker({ retention: false });
    const worker = await openWorker(broker, { ttlMs: 86_400_000 });
    const created: string[] = [];
    let state = seed;
    const random = (below: number): number => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    const anyone = (): string[] => [created[random(created.length)] ?? 'nobody'];
    for (let step = 0; step < 1_500; step++) {
      switch (random(9)) {
        case 0:
        case 1:
        case 2:
          created.push((await enqueue(broker, { priority: random(10), delayMs: random(3) * 20 })).id);
          break;
        case 3:
          await broker.tasks.update(anyone(), { priority: random(10) });
          break;
        case 4:
          await broker.tasks.reschedule(anyone(), { delayMs: random(50) });
          break;
        case 5:
          await broker.tasks[random(2) === 0 ? 'pause' : 'resume'](anyone());
          break;
        case 6:
          await broker.tasks[random(2) === 0 ? 'cancel' : 'rerun'](anyone());
          break;
        case 7:
          await clock.advance(random(10));
          break;
        default: {
          const waiting = (await broker.tasks.list({ states: ['pending', 'retrying'] }, { limit: 1_000 })).tasks;
          const [next] = waiting
            .filter((task) => task.runAt <= clock.now())
            .sort(
              (a, b) => b.priority - a.priority || a.runAt - b.runAt || created.indexOf(a.id) - created.indexOf(b.id),
            );
          const [delivery] = await claim(worker);
          expect(delivery?.lease.taskId).toBe(next?.id);
          if (delivery === undefined) break;
          const { lease } = delivery;
          if (random(2) === 0) await settle(worker, { type: 'complete', lease });
          else await settle(worker, { type: 'retry', lease, delayMs: random(30), failure: boom });
        }
      }
    }
    await broker.close();
  });
});

describe('a long line', () => {
  it('of 100,000 tasks, waiting and delayed, is worked off one by one in order', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker, { ttlMs: 86_400_000 });
    const count = 100_000;
    for (let start = 0; start < count; start += 10_000) {
      await broker.enqueue(
        Array.from({ length: 10_000 }, (_, index) =>
          // Half of them are due later; none of the first half may be looked at twice.
          newTask({ id: `n${start + index}`, delayMs: (start + index) % 2 === 0 ? 0 : 1_000 }),
        ),
      );
    }
    expect(await broker.tasks.count({ states: ['pending', 'scheduled'] })).toBe(count);
    // Nobody runs these; they must not be stepped over at each claim.
    await broker.enqueue(Array.from({ length: 5_000 }, () => newTask({ name: 'unknown', priority: 9 })));
    let taken = 0;
    for (let index = 0; index < count; index += 2, taken++) {
      const delivery = await claimOne(worker);
      if (delivery.lease.taskId !== `n${index}`) throw new Error(`${delivery.lease.taskId} came instead of n${index}`);
      if (taken % 10 === 0) await settle(worker, { type: 'complete', lease: delivery.lease });
    }
    await clock.advance(1_000);
    let rest = 0;
    for (let batch = await claim(worker, { limit: 1_000 }); batch.length > 0; ) {
      rest += batch.length;
      batch = await claim(worker, { limit: 1_000 });
    }
    expect(taken + rest).toBe(count);
    await broker.close();
  }, 30_000);
});
