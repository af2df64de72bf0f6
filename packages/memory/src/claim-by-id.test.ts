import type { ClaimVerdict } from '@millrace/core';
import { describe, expect, it } from 'vitest';
import {
  boom,
  claim,
  claimOne,
  enqueue,
  find,
  frozenClock,
  newTask,
  openBroker,
  openWorker,
  settle,
  type Worker,
} from '../test/support.ts';
import { memoryBroker } from './index.ts';

async function claimTasks(worker: Worker, ...ids: string[]): Promise<ClaimVerdict[]> {
  const { claimTasks: byId } = worker.session;
  if (byId === undefined) throw new Error('the session cannot claim by id');
  return byId(ids);
}

async function verdictOf(worker: Worker, id: string): Promise<ClaimVerdict> {
  const [verdict] = await claimTasks(worker, id);
  return verdict as ClaimVerdict;
}

describe('a claim by id', () => {
  it('is a claim like the other one, of these tasks alone, in the order asked for', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const [low, other, high] = [
      await enqueue(broker, { priority: 0, input: '"low"' }),
      await enqueue(broker, { name: 'unheard-of', queue: 'elsewhere' }),
      await enqueue(broker, { priority: 9 }),
    ];
    const verdicts = await claimTasks(worker, other.id, low.id);
    expect(verdicts).toMatchObject([
      { status: 'claimed', delivery: { name: 'unheard-of', queue: 'elsewhere', lease: { taskId: other.id } } },
      { status: 'claimed', delivery: { input: '"low"', lease: { taskId: low.id, attempt: 1, fence: 1 } } },
    ]);
    expect(await find(broker, low.id)).toMatchObject({ state: 'running', attempt: 1, worker: 'w1@host' });
    const [, claimed] = verdicts;
    if (claimed?.status !== 'claimed') throw new Error('not claimed');
    expect(await settle(worker, { type: 'complete', lease: claimed.delivery.lease })).toBe('applied');
    expect((await claimOne(worker)).lease.taskId).toBe(high.id);
    await broker.close();
  });

  it('says why a task cannot run: early, held, paused, ended or gone', async () => {
    const { broker, clock } = await openBroker();
    const [worker, other] = [await openWorker(broker), await openWorker(broker)];
    const early = await enqueue(broker, { delayMs: 500 });
    const held = await enqueue(broker);
    await claimTasks(other, held.id);
    const paused = await enqueue(broker);
    await broker.tasks.pause([paused.id]);
    const cancelled = await enqueue(broker);
    await broker.tasks.cancel([cancelled.id]);
    const expired = await enqueue(broker, { expiresInMs: 10 });
    const waiting = await enqueue(broker, { queue: 'closed' });
    await broker.queues.pause('closed');
    await clock.advance(100);
    const ids = [early, held, paused, cancelled, expired, waiting].map(({ id }) => id);
    expect(await claimTasks(worker, ...ids, 'nobody')).toEqual([
      { status: 'early', dueInMs: 400 },
      { status: 'held' },
      { status: 'paused' },
      { status: 'ended' },
      { status: 'ended' },
      { status: 'queue-paused' },
      { status: 'gone' },
    ]);
    // Looking has changed nothing.
    expect((await find(broker, waiting.id)).attempt).toBe(0);
    await clock.advance(400);
    expect((await verdictOf(worker, early.id)).status).toBe('claimed');
    await broker.queues.resume('closed');
    expect((await verdictOf(worker, waiting.id)).status).toBe('claimed');
    await broker.close();
  });

  it('counts the attempt and the fence over retries, and is held while it runs', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker);
    for (let run = 1; run <= 3; run++) {
      const verdict = await verdictOf(worker, id);
      expect(verdict).toMatchObject({ status: 'claimed', delivery: { lease: { attempt: run, fence: run } } });
      expect(await verdictOf(worker, id)).toEqual({ status: 'held' });
      if (verdict.status !== 'claimed') break;
      const { lease } = verdict.delivery;
      expect(await settle(worker, { type: 'retry', lease, delayMs: 0, failure: boom })).toBe('applied');
    }
    await broker.close();
  });

  it('sees nothing of an open transaction, and leaves what it is about to replace', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const replaced = await enqueue(broker, { key: 'k' });
    const inside = newTask();
    await broker.transaction(async (transaction) => {
      await broker.enqueue([inside, newTask({ key: 'k', onConflict: 'replace', input: '2' })], { transaction });
      expect(await claimTasks(worker, inside.id, replaced.id)).toEqual([{ status: 'gone' }, { status: 'held' }]);
    });
    expect(await claimTasks(worker, inside.id, replaced.id)).toMatchObject([
      { status: 'claimed' },
      { status: 'claimed', delivery: { input: '2' } },
    ]);
    await broker.close();
  });

  it('and a claim that waits never get the same task', async () => {
    const { broker } = await openBroker();
    const [worker, other] = [await openWorker(broker), await openWorker(broker)];
    const poll = claim(other, { waitMs: 1_000 });
    const task = await enqueue(broker);
    const [verdict, polled] = await Promise.all([verdictOf(worker, task.id), poll]);
    expect([verdict.status, polled.length]).toEqual(['held', 1]);
    await broker.close();
  });

  it('is refused after the end, after a loss, and for ids that make no sense', async () => {
    const { broker, clock } = await openBroker();
    const frozen = memoryBroker({ store: broker.store, clock: frozenClock(clock) });
    await frozen.open();
    const [ended, silent] = [await openWorker(broker), await openWorker(frozen, { ttlMs: 1_000 })];
    for (const ids of [[], ['a', 'a'], Array.from({ length: 1_001 }, (_, index) => `n${index}`)]) {
      await expect(claimTasks(ended, ...ids)).rejects.toMatchObject({ code: 'VALIDATION' });
    }
    await ended.session.end();
    await expect(claimTasks(ended, 'a')).rejects.toMatchObject({ code: 'CLOSED' });
    await clock.advance(1_000);
    await expect(claimTasks(silent, 'a')).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await frozen.close();
    await expect(claimTasks(silent, 'a')).rejects.toMatchObject({ code: 'CLOSED' });
    await broker.close();
  });
});
