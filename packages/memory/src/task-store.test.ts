import type { TaskFilter } from '@millrace/core';
import { describe, expect, it } from 'vitest';
import { claim, claimOne, enqueue, find, newTask, openBroker, openWorker, settle } from '../test/support.ts';
import { turns } from './testing/turns.ts';

describe('get', () => {
  it('answers in the order asked, with nothing for what is not there', async () => {
    const { broker } = await openBroker();
    const [a, b] = [await enqueue(broker), await enqueue(broker)];
    const found = await broker.tasks.get([b.id, 'nobody', a.id, b.id]);
    expect(found.map((task) => task?.id)).toEqual([b.id, undefined, a.id, b.id]);
    await broker.close();
  });
});

describe('list and count', () => {
  it('page newest first, each task once, while others come and go', async () => {
    const { broker } = await openBroker();
    const steady = Array.from({ length: 250 }, () => newTask({ group: 'steady' }));
    for (const task of steady) await broker.enqueue([task, newTask({ id: `${task.id}-passing` })]);
    const seen: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await broker.tasks.list({}, { limit: 60, ...(cursor !== undefined && { cursor }) });
      seen.push(...page.tasks.filter((task) => task.group === 'steady').map((task) => task.id));
      cursor = page.cursor;
      pages += 1;
      await broker.enqueue([newTask(), newTask()]);
      await broker.tasks.remove(steady.slice(pages * 20, pages * 20 + 20).map((task) => `${task.id}-passing`));
    } while (cursor !== undefined);
    expect(seen).toEqual(steady.map((task) => task.id).reverse());
    expect(await broker.tasks.count({ group: 'steady' })).toBe(250);
    await broker.close();
  });

  it('have no cursor on a last page that is full', async () => {
    const { broker } = await openBroker();
    await broker.enqueue([newTask(), newTask()]);
    expect(await broker.tasks.list({}, { limit: 2 })).not.toHaveProperty('cursor');
    expect(await broker.tasks.list({ states: ['failed'] }, { limit: 2 })).toEqual({ tasks: [] });
    await broker.close();
  });

  it('match every field that is given', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    await broker.enqueue([
      newTask({ id: 'plain' }),
      newTask({ id: 'later', delayMs: 1_000 }),
      newTask({ id: 'owned', owner: 'o', group: 'g', key: 'k' }),
      newTask({ id: 'elsewhere', queue: 'other', name: 'mail', owner: 'o' }),
    ]);
    await claimOne(worker);
    const cases: [TaskFilter, string[]][] = [
      [{}, ['elsewhere', 'owned', 'later', 'plain']],
      [{ states: ['running'] }, ['plain']],
      [{ states: ['scheduled', 'pending'], queues: ['main'] }, ['owned', 'later']],
      [{ names: ['mail', 'none'] }, ['elsewhere']],
      [{ owner: 'o' }, ['elsewhere', 'owned']],
      [{ owner: 'o', group: 'g', key: 'k' }, ['owned']],
      [{ ids: ['plain', 'later', 'nobody', 'plain'], states: ['running'] }, ['plain']],
      [{ ids: ['plain', 'elsewhere'] }, ['elsewhere', 'plain']],
      [{ ids: [] }, []],
      [{ queues: [] }, []],
    ];
    for (const [filter, expected] of cases) {
      const { tasks } = await broker.tasks.list(filter, { limit: 100 });
      expect(tasks.map((task) => task.id)).toEqual(expected);
      expect(await broker.tasks.count(filter)).toBe(expected.length);
    }
    const page = await broker.tasks.list({ ids: ['plain', 'elsewhere'] }, { limit: 1 });
    const rest = await broker.tasks.list({ ids: ['plain', 'elsewhere'] }, { limit: 1, cursor: page.cursor ?? '' });
    expect(rest.tasks.map((task) => task.id)).toEqual(['plain']);
    await broker.close();
  });

  it('refuse what they do not understand', async () => {
    const { broker } = await openBroker();
    const { tasks } = broker;
    for (const limit of [0, 1_001, 1.5]) {
      await expect(tasks.list({}, { limit })).rejects.toMatchObject({ code: 'VALIDATION', option: 'limit' });
    }
    await expect(tasks.list({}, { limit: 1, cursor: "1' or 1" })).rejects.toMatchObject({ option: 'cursor' });
    await expect(tasks.list({ queue: 'main' } as TaskFilter, { limit: 1 })).rejects.toMatchObject({ option: 'queue' });
    await broker.close();
  });

  it('stay right when most tasks were removed', async () => {
    const { broker } = await openBroker();
    const all = Array.from({ length: 1_000 }, () => newTask());
    await broker.enqueue(all);
    await broker.tasks.remove(all.filter((_task, index) => index % 10 !== 0).map((task) => task.id));
    const { tasks } = await broker.tasks.list({}, { limit: 1_000 });
    expect(tasks.map((task) => task.id)).toEqual(
      all
        .filter((_task, index) => index % 10 === 0)
        .map((task) => task.id)
        .reverse(),
    );
    await broker.close();
  });
});

describe('update and reschedule', () => {
  it('change what is given and leave the rest', async () => {
    const { broker, clock } = await openBroker();
    const { id } = await enqueue(broker, { input: '1', group: 'g' });
    const before = await find(broker, id);
    await broker.tasks.update([id], { input: '2', owner: 'o' });
    expect(await find(broker, id)).toEqual({ ...before, input: '2', owner: 'o' });
    await broker.tasks.reschedule([id], { at: clock.now() + 9 });
    expect(await find(broker, id)).toMatchObject({ state: 'scheduled', runAt: clock.now() + 9 });
    expect(await broker.tasks.update([id, 'nobody'], {})).toEqual(['applied', 'not-found']);
    await broker.close();
  });

  it('refuse wrong values before any effect', async () => {
    const { broker } = await openBroker({ maxPayloadBytes: 4 });
    const { id } = await enqueue(broker);
    const { tasks } = broker;
    const wrong: [object, string][] = [
      [{ priority: 10 }, 'priority'],
      [{ input: '12345' }, 'input'],
      [{ group: '' }, 'group'],
      [{ owner: '\0' }, 'owner'],
      [{ name: 'x' }, 'name'],
    ];
    for (const [changes, option] of wrong) {
      await expect(tasks.update([id], changes)).rejects.toMatchObject({ code: 'VALIDATION', option });
    }
    await expect(tasks.reschedule([id], { delayMs: -1 })).rejects.toMatchObject({ option: 'delay' });
    await expect(tasks.reschedule([id], { at: Number.NaN })).rejects.toMatchObject({ option: 'at' });
    await broker.close();
  });
});

describe('rerun', () => {
  it('starts over: no output, no failure, no checkpoint, due now', async () => {
    const { broker, clock } = await openBroker();
    const worker = await openWorker(broker);
    const { id } = await enqueue(broker);
    const { lease } = await claimOne(worker);
    await worker.session.report([{ lease, checkpoint: '1', progress: '2' }]);
    await settle(worker, { type: 'complete', lease, output: '3' });
    await clock.advance(10);
    expect(await broker.tasks.rerun([id, 'nobody'])).toEqual(['applied', 'not-found']);
    const record = await find(broker, id);
    expect(record).toMatchObject({ state: 'pending', attempt: 0, fence: 1, runAt: clock.now() });
    for (const field of ['output', 'checkpoint', 'progress', 'failure', 'startedAt', 'finishedAt']) {
      expect(record).not.toHaveProperty(field);
    }
    await broker.close();
  });

  it('takes its unique key again, and is refused while another task has it', async () => {
    const { broker } = await openBroker();
    const first = await enqueue(broker, { key: 'k' });
    await broker.tasks.cancel([first.id]);
    const second = await enqueue(broker, { key: 'k' });
    expect(await broker.tasks.rerun([first.id])).toEqual(['refused']);
    await broker.tasks.cancel([second.id]);
    expect(await broker.tasks.rerun([first.id])).toEqual(['applied']);
    expect((await broker.enqueue([newTask({ key: 'k' })]))[0]).toMatchObject({ existingId: first.id });
    await broker.close();
  });
});

describe('wait', () => {
  it('resolves when all have ended, with the state they ended in', async () => {
    const { broker } = await openBroker();
    const worker = await openWorker(broker);
    const [a, b, c] = [await enqueue(broker), await enqueue(broker), await enqueue(broker)];
    const wait = broker.tasks.wait([c.id, a.id, b.id, 'nobody', a.id], { waitMs: 60_000 });
    let done = false;
    void wait.then(() => {
      done = true;
    });
    const [first] = await claim(worker);
    await settle(worker, { type: 'complete', lease: first!.lease, output: '1' });
    await broker.tasks.remove([b.id]);
    await turns();
    expect(done).toBe(false);
    await broker.tasks.cancel([c.id]);
    // Run again right away: whoever waited is told of the ending all the same.
    await broker.tasks.rerun([c.id, a.id]);
    const records = await wait;
    expect(records.map((task) => task?.state)).toEqual(['cancelled', 'succeeded', undefined, undefined, 'succeeded']);
    expect(records[1]?.output).toBe('1');
    await broker.close();
  });

  it('resolves at once for what has ended, and with the state as it is when time is up', async () => {
    const { broker, clock } = await openBroker();
    const [ended, waiting] = [await enqueue(broker), await enqueue(broker)];
    await broker.tasks.cancel([ended.id]);
    expect((await broker.tasks.wait([ended.id], { waitMs: 60_000 }))[0]?.state).toBe('cancelled');
    expect((await broker.tasks.wait([waiting.id], { waitMs: 0 }))[0]?.state).toBe('pending');
    const wait = broker.tasks.wait([waiting.id], { waitMs: 1_000 });
    await clock.advance(1_000);
    expect((await wait)[0]?.state).toBe('pending');
    await broker.close();
  });

  it('ends by its signal and leaves no timer behind', async () => {
    const { broker, clock } = await openBroker();
    const { id } = await enqueue(broker);
    const timers = clock.pendingTimers;
    const stop = new AbortController();
    const wait = broker.tasks.wait([id], { waitMs: 60_000, signal: stop.signal });
    await turns();
    stop.abort();
    expect((await wait)[0]?.state).toBe('pending');
    expect(clock.pendingTimers).toBe(timers);
    const late = broker.tasks.wait([id], { waitMs: 60_000, signal: stop.signal });
    await expect(late).rejects.toMatchObject({ code: 'ABORTED' });
    await broker.close();
  });
});

describe('events', () => {
  it('are not claimed, and refused', async () => {
    const { broker, capabilities } = await openBroker();
    expect(capabilities.tasks.events).toBe(false);
    expect(() => broker.tasks.events({}, {})).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
    await broker.close();
  });
});
