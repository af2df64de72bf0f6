import { describe, expect, it } from 'vitest';
import { claim, claimOne, enqueue, find, idsOf, newTask, openBroker, openTwins, openWorker } from '../test/support.ts';
import type { MemoryTransaction } from './index.ts';
import { turns } from './testing/turns.ts';

/** A promise and its end. */
function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('a transaction', () => {
  it('shows its tasks when it commits, and wakes a worker that sleeps', async () => {
    const { first, second } = await openTwins();
    const poll = claim(await openWorker(second), { waitMs: 60_000 });
    const task = newTask();
    const result = await first.transaction(async (transaction) => {
      expect(await first.enqueue([task], { transaction })).toEqual([{ status: 'accepted' }]);
      await turns();
      expect(await second.tasks.get([task.id])).toEqual([undefined]);
      expect(await second.tasks.count({})).toBe(0);
      expect((await second.tasks.list({}, { limit: 10 })).tasks).toEqual([]);
      expect((await second.tasks.list({ ids: [task.id] }, { limit: 10 })).tasks).toEqual([]);
      expect(await second.tasks.cancel([task.id])).toEqual(['not-found']);
      expect(await second.queues.purge('main')).toBe(0);
      expect((await second.queues.stats(['main']))[0]?.pending).toBe(0);
      return 'done';
    });
    expect(result).toBe('done');
    expect(idsOf(await poll)).toEqual([task.id]);
    await first.close();
    await second.close();
  });

  it('leaves nothing behind when it throws', async () => {
    const { broker } = await openBroker();
    const waiting = await enqueue(broker, { key: 'replaced', input: '1' });
    const task = newTask({ key: 'k', expiresInMs: 10 });
    const failing = broker.transaction(async (transaction) => {
      await broker.enqueue([task, newTask({ key: 'replaced', input: '2', onConflict: 'replace' })], { transaction });
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await broker.tasks.count({})).toBe(1);
    expect((await find(broker, waiting.id)).input).toBe('1');
    expect(await broker.enqueue([task])).toEqual([{ status: 'accepted' }]);
    expect(idsOf(await claim(await openWorker(broker), { limit: 5 }))).toEqual([waiting.id, task.id]);
    await broker.close();
  });

  it('sees its own tasks as taken', async () => {
    const { broker } = await openBroker();
    const task = newTask({ key: 'k', input: '1' });
    await broker.transaction(async (transaction) => {
      await broker.enqueue([task], { transaction });
      const duplicate = { status: 'duplicate', existingId: task.id };
      expect(await broker.enqueue([task, newTask({ key: 'k' })], { transaction })).toEqual([duplicate, duplicate]);
      const next = newTask({ key: 'k', input: '2', onConflict: 'replace' });
      expect(await broker.enqueue([next], { transaction })).toEqual([{ status: 'replaced', existingId: task.id }]);
    });
    expect((await find(broker, task.id)).input).toBe('2');
    expect(await broker.tasks.count({})).toBe(1);
    await broker.close();
  });

  it('makes others who want the same id or key wait for its end', async () => {
    const { first, second } = await openTwins();
    for (const commits of [true, false]) {
      const task = newTask({ key: `k-${commits}` });
      const { opened, open } = gate();
      const owner = first
        .transaction(async (transaction) => {
          await first.enqueue([task], { transaction });
          await opened;
          if (!commits) throw new Error('rolled back');
        })
        .catch(() => {});
      const rivals = [second.enqueue([task]), second.enqueue([newTask({ key: task.key ?? '' })])];
      let answered = 0;
      for (const rival of rivals) void rival.then(() => answered++);
      await turns();
      expect(answered).toBe(0);
      open();
      await owner;
      const [byId, byKey] = (await Promise.all(rivals)).map(([outcome]) => outcome?.status);
      expect([byId, byKey]).toEqual(commits ? ['duplicate', 'duplicate'] : ['accepted', 'duplicate']);
    }
    await first.close();
    await second.close();
  });

  it('does not make others wait for ever, nor tasks that have nothing to do with it', async () => {
    const { first, second, clock } = await openTwins();
    const { opened, open } = gate();
    const task = newTask();
    const owner = first.transaction(async (transaction) => {
      await first.enqueue([task], { transaction });
      await opened;
    });
    const free = newTask();
    const rival = second.enqueue([task, free]);
    await clock.advance('5s');
    expect(await rival).toEqual([
      { status: 'rejected', error: expect.objectContaining({ code: 'UNAVAILABLE', reason: 'transaction-conflict' }) },
      { status: 'accepted' },
    ]);
    const stop = new AbortController();
    const aborted = second.enqueue([task], { signal: stop.signal });
    await turns();
    stop.abort();
    expect(await aborted).toMatchObject([{ status: 'rejected', error: { code: 'ABORTED' } }]);
    open();
    await owner;
    expect(clock.pendingTimers).toBe(0);
    await first.close();
    await second.close();
  });

  it('keeps a task it replaces from being claimed, and stores a new one if that has ended meanwhile', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const [kept, ended] = [await enqueue(broker, { key: 'a' }), await enqueue(broker, { key: 'b' })];
    const [newA, newB] = ['a', 'b'].map((key) => newTask({ key, input: '2', onConflict: 'replace' }));
    await broker.transaction(async (transaction) => {
      expect(await broker.enqueue([newA!, newB!], { transaction })).toEqual([
        { status: 'replaced', existingId: kept.id },
        { status: 'replaced', existingId: ended.id },
      ]);
      expect(await claim(worker)).toEqual([]);
      expect(await broker.tasks.cancel([ended.id])).toEqual(['applied']);
    });
    const deliveries = await claim(worker, { limit: 5 });
    expect(deliveries.map(({ lease, input }) => [lease.taskId, input])).toEqual([
      [kept.id, '2'],
      [newB!.id, '2'],
    ]);
    await broker.close();
  });

  it('takes nothing once it has ended, and nothing of another store', async () => {
    const { broker } = await openBroker();
    const other = await openBroker();
    let kept: MemoryTransaction | undefined;
    await broker.transaction(async (transaction) => {
      kept = transaction;
      await expect(other.broker.enqueue([newTask()], { transaction })).rejects.toMatchObject({ option: 'transaction' });
    });
    expect(kept?.open).toBe(false);
    const late = broker.enqueue([newTask()], { transaction: kept! });
    await expect(late).rejects.toMatchObject({ code: 'VALIDATION', option: 'transaction' });
    const foreign = broker.enqueue([newTask()], { transaction: {} as MemoryTransaction });
    await expect(foreign).rejects.toMatchObject({ code: 'VALIDATION', option: 'transaction' });
    expect(await broker.tasks.count({})).toBe(0);
    await broker.close();
    await other.broker.close();
  });

  it('rolls back when its broker was closed meanwhile', async () => {
    const { first, second } = await openTwins();
    const closed = first.transaction(async (transaction) => {
      await first.enqueue([newTask()], { transaction });
      await first.close();
    });
    await expect(closed).rejects.toMatchObject({ code: 'CLOSED' });
    expect(await second.tasks.count({})).toBe(0);
    await second.close();
  });

  it('counts due times from the enqueue, and keeps the order of creation', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const inside = newTask({ delayMs: 1_000 });
    await broker.transaction(async (transaction) => {
      await broker.enqueue([inside], { transaction });
      await clock.advance(1_000);
      await enqueue(broker);
    });
    expect((await claimOne(worker)).lease.taskId).toBe(inside.id);
    await broker.close();
  });
});
