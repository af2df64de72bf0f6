import { describe, expect, it } from 'vitest';
import {
  boom,
  claim,
  claimOne,
  enqueue,
  find,
  idsOf,
  newTask,
  openBroker,
  openWorker,
  settle,
} from '../test/support.ts';

describe('what is stored', () => {
  it('is every field, as it was given', async () => {
    const { broker, clock } = await openBroker();
    const given = newTask({
      input: '{"a":"\\u0000"}',
      headers: { trace: 'ü', ['__proto__']: 'kept' },
      priority: 9,
      delayMs: 5_000,
      expiresInMs: 60_000,
      maxAttempts: Number.POSITIVE_INFINITY,
      timeoutMs: 10,
      key: 'k',
      group: 'g',
      owner: 'o',
      version: 7,
    });
    await broker.enqueue([given]);
    const { delayMs, expiresInMs, ...kept } = given;
    const now = clock.now();
    expect(await find(broker, given.id)).toEqual({
      ...kept,
      state: 'scheduled',
      attempt: 0,
      fence: 0,
      runAt: now + 5_000,
      expiresAt: now + 60_000,
      createdAt: now,
      errors: [],
      log: [],
    });
    await clock.advance(5_000);
    const { lease, runAt, createdAt, ...delivered } = await claimOne(await openWorker(broker));
    const { id, ...rest } = kept;
    expect(delivered).toEqual(rest);
    expect([lease.taskId, runAt, createdAt]).toEqual([id, now + 5_000, now]);
    await broker.close();
  });

  it('is not what the caller changes afterwards', async () => {
    const { broker } = await openBroker();
    const headers: Record<string, string> = { a: '1' };
    const task = await enqueue(broker, { headers });
    headers.a = '2';
    const record = (await find(broker, task.id)) as { headers: Record<string, string> };
    expect(record.headers).toEqual({ a: '1' });
    record.headers.a = '3';
    const delivery = (await claimOne(await openWorker(broker))) as unknown as { headers: Record<string, string> };
    expect(delivery.headers).toEqual({ a: '1' });
    delivery.headers.a = '4';
    expect((await find(broker, task.id)).headers).toEqual({ a: '1' });
    await broker.close();
  });

  it('is refused item by item, and the rest is stored', async () => {
    const { broker } = await openBroker({ maxPayloadBytes: 3 });
    const outcomes = await broker.enqueue([
      newTask({ id: 'exact', input: '123' }),
      newTask({ id: 'large', input: '1234' }),
      newTask({ id: 'priority', priority: 10 }),
      newTask({ id: '' }),
      newTask({ id: 'also', input: '1' }),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'accepted',
      'rejected',
      'rejected',
      'rejected',
      'accepted',
    ]);
    expect(outcomes[1]).toMatchObject({ error: { code: 'VALIDATION', reason: 'payload-too-large' } });
    expect(await broker.tasks.count({})).toBe(2);
    await broker.close();
  });

  it('is nothing when the call is aborted or too large', async () => {
    const { broker, capabilities } = await openBroker();
    const signal = AbortSignal.abort();
    await expect(broker.enqueue([newTask()], { signal })).rejects.toMatchObject({ code: 'ABORTED' });
    const tooMany = Array.from({ length: capabilities.batch.maxEnqueue + 1 }, () => newTask());
    await expect(broker.enqueue(tooMany)).rejects.toMatchObject({ code: 'VALIDATION' });
    expect(await broker.tasks.count({})).toBe(0);
    expect(await broker.enqueue([])).toEqual([]);
    await broker.close();
  });
});

describe('ids', () => {
  it('are stored once, in whatever state the task is', async () => {
    const { broker, clock } = await openBroker({ retention: { succeeded: '1h', failed: '1h' } });
    const worker = await openWorker(broker);
    const task = await enqueue(broker, { input: '1' });
    const again = async (): Promise<unknown> => (await broker.enqueue([{ ...task, input: '2' }]))[0];
    const duplicate = { status: 'duplicate', existingId: task.id };
    expect(await again()).toEqual(duplicate);
    const delivery = await claimOne(worker);
    expect(await again()).toEqual(duplicate);
    await settle(worker, { type: 'complete', lease: delivery.lease });
    expect(await again()).toEqual(duplicate);
    expect((await find(broker, task.id)).input).toBe('1');
    await clock.advance('1h');
    await broker.maintain({ maxTasks: 10 });
    expect(await again()).toEqual({ status: 'accepted' });
    await broker.close();
  });

  it('are compared within one batch too', async () => {
    const { broker } = await openBroker();
    const task = newTask();
    expect(await broker.enqueue([task, task])).toEqual([
      { status: 'accepted' },
      { status: 'duplicate', existingId: task.id },
    ]);
    await broker.close();
  });
});

describe('unique keys', () => {
  it('are taken within their queue until the task has ended', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const first = await enqueue(broker, { key: 'k' });
    const rival = async (): Promise<unknown> => (await broker.enqueue([newTask({ key: 'k' })]))[0];
    const duplicate = { status: 'duplicate', existingId: first.id };
    expect(await rival()).toEqual(duplicate);
    await enqueue(broker, { key: 'k', queue: 'other' });
    const { lease } = await claimOne(worker);
    expect(await rival()).toEqual(duplicate);
    await settle(worker, { type: 'retry', lease, delayMs: 0, failure: boom });
    expect(await rival()).toEqual(duplicate);
    const retried = await claimOne(worker);
    await settle(worker, { type: 'complete', lease: retried.lease });
    expect(await rival()).toEqual({ status: 'accepted' });
    await broker.close();
  });

  it.each(['cancelled', 'failed', 'removed', 'purged', 'expired'] as const)('are free once it is %s', async (end) => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker, { key: 'k', expiresInMs: 1_000 });
    if (end === 'cancelled') await broker.tasks.cancel([id]);
    if (end === 'failed') await settle(worker, { type: 'fail', lease: (await claimOne(worker)).lease, failure: boom });
    if (end === 'removed') await broker.tasks.remove([id]);
    if (end === 'purged') await broker.queues.purge('main');
    if (end === 'expired') {
      await clock.advance(1_000);
      await broker.maintain({ maxTasks: 1 });
    }
    await enqueue(broker, { key: 'k' });
    await broker.close();
  });

  it('until started are free from the claim on, even when the task comes back', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const first = await enqueue(broker, { key: 'k', keyUntil: 'started' });
    expect((await broker.enqueue([newTask({ key: 'k', keyUntil: 'started' })]))[0]?.status).toBe('duplicate');
    const { lease } = await claimOne(worker);
    const second = await enqueue(broker, { key: 'k', keyUntil: 'started' });
    await settle(worker, { type: 'release', lease });
    expect(idsOf(await claim(worker, { limit: 5 }))).toEqual([first.id, second.id]);
    await broker.close();
  });

  it('let a waiting task be replaced, which keeps its id', async () => {
    const { broker, clock } = await openBroker();
    const first = await enqueue(broker, { key: 'k', input: '1', delayMs: 1_000, group: 'a' });
    const next = newTask({ key: 'k', input: '2', delayMs: 5_000, priority: 9, onConflict: 'replace' });
    expect(await broker.enqueue([next])).toEqual([{ status: 'replaced', existingId: first.id }]);
    const record = await find(broker, first.id);
    expect(record).toMatchObject({ input: '2', priority: 9, runAt: clock.now() + 5_000, state: 'scheduled' });
    expect(record).not.toHaveProperty('group');
    expect(await broker.tasks.get([next.id])).toEqual([undefined]);
    const worker = await openWorker(broker);
    await clock.advance(4_999);
    expect(await claim(worker)).toEqual([]);
    await clock.advance(1);
    const delivery = await claimOne(worker);
    expect(delivery.lease.taskId).toBe(first.id);
    const late = newTask({ key: 'k', onConflict: 'replace' });
    expect(await broker.enqueue([late])).toEqual([{ status: 'duplicate', existingId: first.id }]);
    await broker.close();
  });

  it('do not collide with others that look alike', async () => {
    const { broker } = await openBroker();
    const pairs = [
      ['a', 'b:c'],
      ['a:b', 'c'],
      ['A', 'b:c'],
      ['a', 'b:C'],
      ['a', ' b:c'],
      ['é', 'k'],
      ['e\u0301', 'k'],
    ] as const;
    for (const [queue, key] of pairs) await enqueue(broker, { queue, key });
    await broker.close();
  });
});
