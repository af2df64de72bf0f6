import { type Lease, type SettleOp, taskListLimits } from '@millrace/core';
import { describe, expect, it } from 'vitest';
import { boom, claim, claimOne, enqueue, find, openBroker, openWorker, settle } from '../test/support.ts';

function everyOperation(lease: Lease): SettleOp[] {
  return [
    { type: 'complete', lease, output: '1' },
    { type: 'retry', lease, delayMs: 0, failure: boom },
    { type: 'fail', lease, failure: boom },
    { type: 'release', lease },
    { type: 'snooze', lease, delayMs: 0 },
    { type: 'pause', lease },
    { type: 'cancel', lease },
  ];
}

describe('the fence', () => {
  it('grows with every claim, and a settle or report with an older one changes nothing', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker, { maxAttempts: 100 });
    const old: Lease[] = [];
    for (let run = 1; run <= 5; run++) {
      const { lease } = await claimOne(worker);
      expect(lease.fence).toBe(run);
      const before = await find(broker, id);
      for (const stale of old) {
        const outcomes = await worker.session.settle(everyOperation(stale));
        expect(new Set(outcomes)).toEqual(new Set(['stale']));
        expect(await worker.session.report([{ lease: stale, progress: '1', checkpoint: '2' }])).toEqual(['stale']);
      }
      expect(await find(broker, id)).toEqual(before);
      await settle(worker, { type: 'snooze', lease, delayMs: 0 });
      old.push(lease);
    }
    await broker.close();
  });

  it('is kept over a rerun, while attempts start again', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker);
    const first = await claimOne(worker);
    await settle(worker, { type: 'fail', lease: first.lease, failure: boom });
    expect(await broker.tasks.rerun([id])).toEqual(['applied']);
    const second = await claimOne(worker);
    expect(second.lease).toMatchObject({ attempt: 1, fence: 2 });
    expect((await find(broker, id)).errors).toHaveLength(1);
    await broker.close();
  });

  it('refuses leases that were made up, of other tasks or of other sessions', async () => {
    const { broker } = await openBroker();
    const [mine, other] = [await openWorker(broker), await openWorker(broker)];
    const [a, b] = [await enqueue(broker), await enqueue(broker)];
    const { lease } = await claimOne(mine);
    await claimOne(other);
    for (const wrong of [
      { ...lease, taskId: b.id },
      { ...lease, taskId: 'nobody' },
      { ...lease, fence: 2 },
      { ...lease, attempt: 2 },
      { ...lease, sessionId: other.session.id },
    ]) {
      expect(await settle(mine, { type: 'complete', lease: wrong })).toBe('stale');
    }
    expect(await settle(other, { type: 'complete', lease })).toBe('stale');
    expect((await find(broker, a.id)).state).toBe('running');
    expect(
      await mine.session.settle([
        { type: 'complete', lease },
        { type: 'complete', lease },
      ]),
    ).toEqual(['applied', 'stale']);
    await broker.close();
  });
});

describe('attempts', () => {
  it('count failed runs, and are given back by release, snooze and pause', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker);
    const attempts: number[] = [];
    for (const type of ['release', 'snooze', 'pause', 'retry', 'release', 'complete'] as const) {
      const { lease } = await claimOne(worker);
      attempts.push(lease.attempt);
      const operation = everyOperation(lease).find((each) => each.type === type) as SettleOp;
      expect(await settle(worker, operation)).toBe('applied');
      if (type === 'pause') await broker.tasks.resume([id]);
    }
    expect(attempts).toEqual([1, 1, 1, 1, 2, 2]);
    expect(await find(broker, id)).toMatchObject({ attempt: 2, fence: 6, state: 'succeeded', output: '1' });
    await broker.close();
  });

  it('keep a bounded history of errors, the latest last', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker, { maxAttempts: Number.POSITIVE_INFINITY });
    const runs = taskListLimits.errors + 5;
    for (let run = 1; run <= runs; run++) {
      const { lease } = await claimOne(worker);
      await clock.advance(1);
      const failure = { ...boom, message: `run ${run}`, stack: 'at', worker: 'w1' };
      await settle(worker, { type: 'retry', lease, delayMs: 0, failure });
    }
    const { errors, state, attempt } = await find(broker, id);
    expect([errors.length, state, attempt]).toEqual([taskListLimits.errors, 'retrying', runs]);
    expect(errors.at(-1)).toEqual({
      ...boom,
      message: `run ${runs}`,
      stack: 'at',
      worker: 'w1',
      attempt: runs,
      at: clock.now(),
    });
    expect(errors[0]?.attempt).toBe(6);
    await broker.close();
  });
});

describe('a retry', () => {
  it('is due after its delay, not before', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker);
    const { lease } = await claimOne(worker);
    await clock.advance(10);
    await settle(worker, { type: 'retry', lease, delayMs: 500, failure: boom });
    expect(await find(broker, id)).toMatchObject({ state: 'retrying', runAt: clock.now() + 500 });
    await clock.advance(499);
    expect(await claim(worker)).toEqual([]);
    await clock.advance(1);
    expect((await claimOne(worker)).lease.attempt).toBe(2);
    await broker.close();
  });

  it('with an impossible delay is refused before any effect', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker);
    const { lease } = await claimOne(worker);
    for (const delayMs of [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY]) {
      const retry = worker.session.settle([{ type: 'retry', lease, delayMs, failure: boom }]);
      await expect(retry).rejects.toMatchObject({ code: 'VALIDATION', option: 'delayMs' });
    }
    await expect(worker.session.settle([{ type: 'forget' as 'release', lease }])).rejects.toThrow(/complete, retry/);
    expect((await find(broker, id)).state).toBe('running');
    await broker.close();
  });
});

describe('a run that ends', () => {
  it('has times in order', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker, { delayMs: 5 });
    const createdAt = clock.now();
    await clock.advance(7);
    const { lease } = await claimOne(worker);
    await clock.advance(3);
    await settle(worker, { type: 'complete', lease });
    const { runAt, startedAt, finishedAt, worker: runner } = await find(broker, id);
    expect([runAt, startedAt, finishedAt]).toEqual([createdAt + 5, createdAt + 7, createdAt + 10]);
    expect(runner).toBe('w1@host');
    await broker.close();
  });

  it('keeps its kind of failure', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    for (const kind of ['error', 'timeout', 'invalid', 'unregistered'] as const) {
      const { id } = await enqueue(broker);
      const { lease } = await claimOne(worker);
      await settle(worker, { type: 'fail', lease, failure: { ...boom, kind } });
      expect(await find(broker, id)).toMatchObject({ state: 'failed', failure: kind });
    }
    await broker.close();
  });
});

describe('reports', () => {
  it('are kept while the task runs and after', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker);
    const { lease } = await claimOne(worker);
    const line = { level: 'info', message: 'hello', at: 1 } as const;
    expect(
      await worker.session.report([
        { lease, progress: '0.5', log: [line] },
        { lease, checkpoint: '7' },
      ]),
    ).toEqual(['applied', 'applied']);
    expect(await find(broker, id)).toMatchObject({ progress: '0.5', checkpoint: '7', log: [line] });
    await settle(worker, { type: 'retry', lease, delayMs: 0, failure: boom });
    expect((await claimOne(worker)).checkpoint).toBe('7');
    await broker.close();
  });

  it('keep the latest lines only', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker);
    const { lease } = await claimOne(worker);
    for (let batch = 0; batch < 3; batch++) {
      const log = Array.from({ length: 50 }, (_, index) => ({
        level: 'debug' as const,
        message: `${batch * 50 + index}`,
        at: 1,
      }));
      await worker.session.report([{ lease, log }]);
    }
    const { log } = await find(broker, id);
    expect([log.length, log[0]?.message, log.at(-1)?.message]).toEqual([taskListLimits.log, '50', '149']);
    await broker.close();
  });
});
