import { connect } from '@millrace/core';
import { describe, expect, it } from 'vitest';
import {
  claim,
  claimOne,
  enqueue,
  find,
  frozenClock,
  newTask,
  openBroker,
  openTwins,
  openWorker,
} from '../test/support.ts';
import { createMemoryStore, memoryAdapter, memoryBroker } from './index.ts';
import { VirtualClock } from './testing/virtual-clock.ts';

describe('opening and closing', () => {
  it('refuses every call before it is open and after it is closed', async () => {
    const broker = memoryBroker();
    const calls = (): Promise<unknown>[] => [
      broker.enqueue([newTask()]),
      broker.openSession({ instance: 'w', host: 'h', ttlMs: 1_000, onSignal: () => {} }),
      broker.maintain({ maxTasks: 1 }),
      broker.transaction(async () => {}),
      broker.queues.stats(),
      broker.queues.pause('q'),
      broker.queues.resume('q'),
      broker.queues.purge('q'),
      broker.tasks.get(['a']),
      broker.tasks.list({}, { limit: 1 }),
      broker.tasks.count({}),
      broker.tasks.cancel(['a']),
      broker.tasks.pause(['a']),
      broker.tasks.resume(['a']),
      broker.tasks.rerun(['a']),
      broker.tasks.reschedule(['a'], { delayMs: 0 }),
      broker.tasks.update(['a'], {}),
      broker.tasks.remove(['a']),
      broker.tasks.wait(['a'], { waitMs: 0 }),
      (async () => broker.tasks.events({}, {}))(),
    ];
    for (const call of calls()) await expect(call).rejects.toMatchObject({ code: 'CLOSED', reason: 'not-open' });
    expect(await broker.health()).toMatchObject({ state: 'down' });
    await broker.open();
    expect(await broker.health()).toEqual({ state: 'ready' });
    await Promise.all([broker.close(), broker.close()]);
    for (const call of calls()) await expect(call).rejects.toMatchObject({ code: 'CLOSED', reason: 'closed' });
    await expect(broker.open()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(await broker.health()).toMatchObject({ state: 'down' });
  });

  it('has frozen capabilities that JSON can hold, the same at every opening', async () => {
    const broker = memoryBroker({ retention: { failed: '1h' }, maxPayloadBytes: 10 });
    const capabilities = await broker.open();
    expect(await broker.open()).toBe(capabilities);
    expect(JSON.parse(JSON.stringify(capabilities))).toEqual(capabilities);
    expect(Object.isFrozen(capabilities.tasks.cancel)).toBe(true);
    expect(capabilities.retention).toEqual({ succeededMs: 604_800_000, failedMs: 3_600_000 });
    expect(capabilities.payload.maxBytes).toBe(10);
    await broker.close();
  });

  it('gives back what its sessions hold when it closes, and ends their waits', async () => {
    const { first, second } = await openTwins();
    const task = await enqueue(first);
    const worker = await openWorker(first);
    const { lease } = await claimOne(worker);
    const waiting = claim(worker, { waitMs: 60_000 });
    const result = first.tasks.wait([task.id], { waitMs: 60_000 });
    const refused = expect(result).rejects.toMatchObject({ code: 'CLOSED' });
    await first.close();
    expect(await waiting).toEqual([]);
    await refused;
    expect(await worker.session.settle([{ type: 'complete', lease }])).toEqual(['stale']);
    await worker.session.end();
    expect(await find(second, task.id)).toMatchObject({ state: 'pending', attempt: 0, fence: 1 });
  });
});

describe('options', () => {
  it('names what is wrong', () => {
    const store = createMemoryStore();
    const wrong: [object, string][] = [
      [{ retension: false }, 'retension'],
      [{ retention: { succeded: '1d' } }, 'succeded'],
      [{ retention: { failed: '1 day' } }, 'retention.failed'],
      [{ maxPayloadBytes: 0 }, 'maxPayloadBytes'],
      [{ name: '' }, 'name'],
      [{ name: 'a', store }, 'name'],
      [{ store: {} }, 'store'],
    ];
    for (const [options, option] of wrong) {
      expect(() => memoryBroker(options)).toThrow(expect.objectContaining({ code: 'VALIDATION', option }));
    }
    expect(() => createMemoryStore({ clok: 1 } as object)).toThrow(/clok/);
  });

  it('shares tasks by store and by name, and by nothing else', async () => {
    const store = createMemoryStore();
    const brokers = [
      memoryBroker({ store }),
      memoryBroker({ store }),
      memoryBroker({ name: 'shared' }),
      memoryAdapter.connect('memory:shared'),
      memoryAdapter.connect('memory:'),
      memoryBroker(),
    ] as const;
    for (const broker of brokers) await broker.open();
    await brokers[0].enqueue([newTask({ id: 'by-store' })]);
    await brokers[2].enqueue([newTask({ id: 'by-name' })]);
    const seen = await Promise.all(
      brokers.map(async (broker) => (await broker.tasks?.get(['by-store', 'by-name']))?.map((task) => task?.id)),
    );
    expect(seen).toEqual([
      ['by-store', undefined],
      ['by-store', undefined],
      [undefined, 'by-name'],
      [undefined, 'by-name'],
      [undefined, undefined],
      [undefined, undefined],
    ]);
    for (const broker of brokers) await broker.close();
  });

  it('is what connect makes of a memory URL', async () => {
    const broker = await connect('memory:connected', { adapters: [memoryAdapter] });
    expect([broker.kind, await broker.health()]).toEqual(['memory', { state: 'ready' }]);
    await broker.close();
  });

  it('refuses parameters in its URL', () => {
    expect(() => memoryAdapter.connect('memory:a?b=c')).toThrow(expect.objectContaining({ code: 'CONFIGURATION' }));
  });

  it("lets the store's clock decide, whatever the client's clock says", async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    const skewed = { ...frozenClock(clock), now: () => clock.now() + 3_600_000 };
    const broker = memoryBroker({ store, clock: skewed });
    await broker.open();
    const task = await enqueue(broker, { delayMs: 60_000 });
    expect((await find(broker, task.id)).runAt).toBe(clock.now() + 60_000);
    expect(await claim(await openWorker(broker))).toEqual([]);
    await broker.close();
  });
});

describe('the dump', () => {
  it('shows tasks and sessions as plain data', async () => {
    const { broker } = await openBroker();
    const task = await enqueue(broker);
    const worker = await openWorker(broker);
    await claimOne(worker);
    await broker.queues.pause('other');
    const dump = JSON.parse(JSON.stringify(broker.store.dump()));
    expect(dump).toMatchObject({
      tasks: [{ id: task.id, state: 'running' }],
      sessions: [{ id: worker.session.id, instance: 'w1', held: [task.id], silentInMs: 60_000 }],
      pausedQueues: ['other'],
    });
    await broker.close();
  });
});
