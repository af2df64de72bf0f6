import { describe, expect, it } from 'vitest';
import { newTask } from '../test/support.ts';
import { createMemoryStore, memoryBroker, memoryGuard } from './index.ts';
import { VirtualClock } from './testing/virtual-clock.ts';

async function openGuard() {
  const clock = new VirtualClock();
  const guard = memoryGuard({ clock });
  await guard.broker.open();
  return { guard, clock, broker: guard.broker };
}

describe('memoryGuard', () => {
  it('holds what it is told to, and passes the rest of its options to the store', async () => {
    const store = createMemoryStore();
    const guard = memoryGuard({ store, tasks: ['import'] });
    expect([guard.kind, guard.mode, guard.holds('import'), guard.holds('mail')]).toEqual([
      'memory',
      'needed',
      true,
      false,
    ]);
    expect(guard.broker.store).toBe(store);
    expect(memoryGuard({ mode: 'always' }).holds('anything')).toBe(true);
    expect((await guard.broker.open()).claimById).toBe(true);
    await guard.broker.close();
  });

  it.each([
    [{ mode: 'sometimes' }, 'mode'],
    [{ tasks: 'import' }, 'tasks'],
    [{ tasks: [''] }, 'tasks'],
    [{ tasks: ['a'], mode: 'always' }, 'tasks'],
    [{ colour: 'red' }, 'colour'],
    [null, 'options'],
  ])('refuses %j', (options, option) => {
    expect(() => memoryGuard(options as never)).toThrow(expect.objectContaining({ code: 'VALIDATION', option }));
  });

  it('tells which tasks wait although they are due, the longest first, so many of each queue', async () => {
    const { guard, clock, broker } = await openGuard();
    const [late, later, latest] = [newTask({ delayMs: 30 }), newTask({ delayMs: 20 }), newTask({ delayMs: 10 })];
    const elsewhere = newTask({ queue: 'elsewhere', name: 'other', priority: 7, delayMs: 40 });
    await broker.enqueue([late, elsewhere, later, latest]);
    await clock.advance(1_040);
    const overdue = await guard.overdue({ dueForMs: 1_000, limit: 2 });
    expect(overdue.map(({ id }) => id)).toEqual([latest.id, later.id, elsewhere.id]);
    expect(overdue.at(-1)).toEqual({ id: elsewhere.id, name: 'other', queue: 'elsewhere', priority: 7 });
    await broker.close();
  });

  it('leaves out what is not due for long, runs, rests, has ended or cannot start', async () => {
    const { guard, clock, broker } = await openGuard();
    const session = await broker.openSession({ instance: 'w', host: 'h', ttlMs: 60_000, onSignal: () => {} });
    const [running, retrying] = [newTask({ priority: 9 }), newTask({ priority: 8 })];
    const [paused, cancelled] = [newTask(), newTask()];
    const expiring = newTask({ expiresInMs: 50 });
    const closed = newTask({ queue: 'closed' });
    await broker.enqueue([running, retrying, paused, cancelled, expiring, closed]);
    const deliveries = await session.claim({ queues: ['main'], names: ['work'], limit: 2, waitMs: 0 });
    const lease = deliveries[1]?.lease;
    if (lease === undefined) throw new Error('nothing was claimed');
    const failure = { kind: 'error', name: 'Error', message: 'boom' } as const;
    await session.settle([{ type: 'retry', lease, delayMs: 100, failure }]);
    await broker.tasks.pause([paused.id]);
    await broker.tasks.cancel([cancelled.id]);
    await broker.queues.pause('closed');
    await clock.advance(1_099);
    expect(await guard.overdue({ dueForMs: 1_000, limit: 10 })).toEqual([]);
    await broker.transaction(async (transaction) => {
      await broker.enqueue([newTask()], { transaction });
      await clock.advance(1);
      expect(await guard.overdue({ dueForMs: 0, limit: 10 })).toMatchObject([{ id: retrying.id }]);
    });
    await broker.queues.resume('closed');
    expect((await guard.overdue({ dueForMs: 1_000, limit: 10 })).map(({ id }) => id)).toEqual([closed.id, retrying.id]);
    await broker.close();
  });

  it('refuses senseless requests, and any before it is open and after it was closed', async () => {
    const { guard, broker } = await openGuard();
    await expect(guard.overdue({ dueForMs: -1, limit: 1 })).rejects.toMatchObject({ option: 'dueForMs' });
    await expect(guard.overdue({ dueForMs: 0, limit: 0 })).rejects.toMatchObject({ option: 'limit' });
    await broker.close();
    await expect(guard.overdue({ dueForMs: 0, limit: 1 })).rejects.toMatchObject({ code: 'CLOSED' });
    const unopened = memoryGuard();
    await expect(unopened.overdue({ dueForMs: 0, limit: 1 })).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('shares its tasks with brokers of the same store', async () => {
    const store = createMemoryStore();
    const [guard, client] = [memoryGuard({ store }), memoryBroker({ store })];
    await guard.broker.open();
    await client.open();
    const task = newTask();
    await client.enqueue([task]);
    expect((await guard.overdue({ dueForMs: 0, limit: 1 })).map(({ id }) => id)).toEqual([task.id]);
    await guard.broker.close();
    await client.close();
  });
});
