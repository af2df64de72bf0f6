import { describe, expect, it } from 'vitest';
import { ManualClock, turns, until } from '../../test/manual-clock.ts';
import { ScriptedBroker } from '../../test/scripted-broker.ts';
import type { EnqueueOutcome } from '../broker/broker.ts';
import { BackpressureError, IndeterminateError, UnavailableError, ValidationError } from '../errors.ts';
import type { NewTask } from '../task.ts';
import { type BatchLimits, EnqueueBatcher } from './enqueue-batcher.ts';

function task(id: string, fresh = true): NewTask {
  const base = { id, name: 'work', queue: 'q', headers: {}, priority: 4, delayMs: 0, maxAttempts: 1, version: 1 };
  return fresh ? { ...base, fresh: true } : base;
}

function tasks(count: number): NewTask[] {
  return Array.from({ length: count }, (_, index) => task(`t${index}`));
}

const accepted: EnqueueOutcome = { status: 'accepted' };
const timeoutMs = 10_000;

function setUp(limits?: () => BatchLimits) {
  const broker = new ScriptedBroker();
  const clock = new ManualClock();
  return { broker, clock, batcher: new EnqueueBatcher(broker, timeoutMs, clock, limits) };
}

/** A broker whose answers are given one by one. */
function answeredByHand(broker: ScriptedBroker): (() => void)[] {
  const answers: (() => void)[] = [];
  broker.onEnqueue = (batch) =>
    new Promise((resolve) => {
      answers.push(() => resolve(batch.map(() => accepted)));
    });
  return answers;
}

function failTimes(broker: ScriptedBroker, times: number, error: () => Error, then = accepted): void {
  let left = times;
  broker.onEnqueue = async (batch) => {
    if (left-- > 0) throw error();
    return batch.map(() => then);
  };
}

const unavailable = (): Error => new UnavailableError('down');
const indeterminate = (): Error => new IndeterminateError('cut');

describe('batches', () => {
  it('sends a lone task before the next turn of the event loop', async () => {
    const { broker, batcher } = setUp();
    const outcome = batcher.add(task('a'));
    await Promise.resolve();
    await Promise.resolve();
    expect(broker.batches).toHaveLength(1);
    expect(await outcome).toEqual(accepted);
  });

  it('sends the tasks of one tick as one batch, in order', async () => {
    const { broker, batcher } = setUp();
    const outcomes = await Promise.all(tasks(31).map((one) => batcher.add(one)));
    expect(outcomes).toHaveLength(31);
    expect(broker.batches).toHaveLength(1);
    expect(broker.enqueued.map(({ id }) => id)).toEqual(tasks(31).map(({ id }) => id));
  });

  it('halves what many callers bring, so that the server works on one half while the other is written', async () => {
    const { broker, batcher } = setUp();
    const answers = answeredByHand(broker);
    const all = tasks(100).map((one) => batcher.add(one));
    await until(() => broker.batches.length === 2);
    expect(broker.batches.map((batch) => batch.length)).toEqual([50, 50]);
    for (const answer of answers) answer();
    expect(await Promise.all(all)).toHaveLength(100);
    expect(broker.enqueued.map(({ id }) => id)).toEqual(tasks(100).map(({ id }) => id));
  });

  it('has as many batches under way as the broker says is worth it', async () => {
    const { broker, batcher } = setUp(() => ({ maxEnqueue: 1_000, inFlight: 4 }));
    const answers = answeredByHand(broker);
    const first = tasks(100).map((one) => batcher.add(one));
    await turns();
    expect(broker.batches.map((batch) => batch.length)).toEqual([25, 25, 25, 25]);
    const later = batcher.add(task('later'));
    await turns();
    expect(broker.batches).toHaveLength(4);
    for (const answer of answers.splice(0)) answer();
    await Promise.all(first);
    await turns();
    for (const answer of answers) answer();
    expect(await later).toEqual(accepted);
  });

  it('never halves what one call enqueues, nor what waits beside it', async () => {
    const { broker, batcher } = setUp();
    const answers = answeredByHand(broker);
    const all = Promise.all([batcher.addInOrder(tasks(100)), batcher.add(task('beside'))]);
    await until(() => broker.batches.length > 0);
    await turns(5);
    expect(broker.batches.map((batch) => batch.length)).toEqual([101]);
    for (const answer of answers) answer();
    await all;
  });

  it('gathers while two batches are in flight, and never sends a third', async () => {
    const { broker, batcher } = setUp();
    const answers = answeredByHand(broker);
    const all: Promise<EnqueueOutcome>[] = [];
    for (const one of tasks(10)) {
      all.push(batcher.add(one));
      await turns(2);
      expect(broker.batches.length).toBeLessThanOrEqual(2);
    }
    expect(broker.batches.map((batch) => batch.length)).toEqual([1, 1]);
    answers[0]?.();
    await until(() => broker.batches.length === 3);
    expect(broker.batches.at(-1)).toHaveLength(8);
    answers[1]?.();
    answers[2]?.();
    await Promise.all(all);
    expect(broker.enqueued.map(({ id }) => id)).toEqual(tasks(10).map(({ id }) => id));
  });

  it('splits what is too much for one batch, in order', async () => {
    const { broker, batcher } = setUp();
    await Promise.all(tasks(2_500).map((one) => batcher.add(one)));
    expect(broker.batches.map((batch) => batch.length)).toEqual([1_000, 1_000, 250, 250]);
    expect(broker.enqueued.map(({ id }) => id)).toEqual(tasks(2_500).map(({ id }) => id));
  });

  it('keeps to what the broker takes at once', async () => {
    const { broker, batcher } = setUp(() => ({ maxEnqueue: 3 }));
    await Promise.all(tasks(8).map((one) => batcher.add(one)));
    expect(broker.batches.map((batch) => batch.length)).toEqual([3, 3, 2]);
  });

  it('gives each caller its own outcome', async () => {
    const { broker, batcher } = setUp();
    const error = new ValidationError('bad');
    broker.onEnqueue = async (batch) =>
      batch.map(({ id }): EnqueueOutcome => {
        if (id === 't1') return { status: 'rejected', error };
        return id === 't2' ? { status: 'duplicate', existingId: 'other' } : accepted;
      });
    expect(await Promise.all(tasks(4).map((one) => batcher.add(one)))).toEqual([
      accepted,
      { status: 'rejected', error },
      { status: 'duplicate', existingId: 'other' },
      accepted,
    ]);
  });
});

describe('sending again', () => {
  it.each([
    ['UNAVAILABLE', unavailable],
    ['INDETERMINATE', indeterminate],
  ])('goes on after %s, with growing pauses', async (_code, error) => {
    const { broker, clock, batcher } = setUp();
    failTimes(broker, 3, error);
    const outcomes = Promise.all(tasks(2).map((one) => batcher.add(one)));
    await clock.advance(50 + 100 + 200);
    expect(await outcomes).toEqual([accepted, accepted]);
    expect(broker.batches.map((batch) => batch.map(({ id }) => id))).toEqual(Array(4).fill(['t0', 't1']));
  });

  it('withdraws the promise of freshness once an answer was missing, and keeps it otherwise (DUP-09)', async () => {
    const { broker, clock, batcher } = setUp();
    const errors = [unavailable(), indeterminate(), unavailable()];
    broker.onEnqueue = async (batch) => {
      const error = errors.shift();
      if (error !== undefined) throw error;
      return batch.map(() => accepted);
    };
    const outcome = batcher.add(task('a'));
    await clock.advance(1_000);
    await outcome;
    expect(broker.enqueued.map((one) => 'fresh' in one)).toEqual([true, true, false, false]);
  });

  it('takes its own first send for what it is, not for a duplicate', async () => {
    const { broker, clock, batcher } = setUp();
    failTimes(broker, 1, indeterminate, { status: 'duplicate', existingId: 'a' });
    const outcome = batcher.add(task('a'));
    await clock.advance(100);
    expect(await outcome).toEqual(accepted);
  });

  it('takes a replacement of its own first send for what it is', async () => {
    const { broker, clock, batcher } = setUp();
    failTimes(broker, 1, indeterminate, { status: 'replaced', existingId: 'a' });
    const outcome = batcher.add(task('a'));
    await clock.advance(100);
    expect(await outcome).toEqual(accepted);
  });

  it.each<[string, boolean, () => Error, string]>([
    ['the id is the caller’s', false, indeterminate, 'a'],
    ['nothing can have been stored before', true, unavailable, 'a'],
    ['another task has the key', true, indeterminate, 'other'],
  ])('reports a duplicate when %s', async (_name, fresh, error, existingId) => {
    const { broker, clock, batcher } = setUp();
    const duplicate: EnqueueOutcome = { status: 'duplicate', existingId };
    failTimes(broker, 1, error, duplicate);
    const outcome = batcher.add(task('a', fresh));
    await clock.advance(100);
    expect(await outcome).toEqual(duplicate);
  });

  it('sends again what a part of the backend could not take, and keeps nobody else waiting for it', async () => {
    const { broker, clock, batcher } = setUp();
    const away: EnqueueOutcome = { status: 'rejected', error: new UnavailableError('that node is away') };
    let left = 2;
    broker.onEnqueue = async (batch) => batch.map(({ id }) => (id === 'b' && left-- > 0 ? away : accepted));
    const [a, b] = [batcher.add(task('a')), batcher.add(task('b'))];
    expect(await a).toEqual(accepted);
    await clock.advance(1_000);
    expect(await b).toEqual(accepted);
    expect(broker.batches.map((batch) => batch.map(({ id }) => id))).toEqual([['a', 'b'], ['b'], ['b']]);
  });

  it('ends with that refusal at the deadline, and at once with any other', async () => {
    const { broker, clock, batcher } = setUp();
    const away: EnqueueOutcome = { status: 'rejected', error: new UnavailableError('that node is away') };
    const full: EnqueueOutcome = { status: 'rejected', error: new BackpressureError('full') };
    broker.onEnqueue = async (batch) => batch.map(({ id }) => (id === 'b' ? away : full));
    const [a, b] = [batcher.add(task('a')), batcher.add(task('b'))];
    expect(await a).toBe(full);
    await clock.advance(timeoutMs);
    expect(await b).toBe(away);
    expect(clock.pending).toBe(0);
  });

  it('ends with the broker’s error when the next pause would pass the deadline', async () => {
    const { broker, clock, batcher } = setUp();
    failTimes(broker, Number.POSITIVE_INFINITY, indeterminate);
    const refused = expect(batcher.add(task('a'))).rejects.toMatchObject({ code: 'INDETERMINATE' });
    await clock.advance(timeoutMs);
    await refused;
    const sends = broker.batches.length;
    await clock.advance(10 * timeoutMs);
    expect(broker.batches).toHaveLength(sends);
    expect(clock.pending).toBe(0);
  });

  it('gives up each task at its own deadline', async () => {
    const { broker, clock, batcher } = setUp();
    failTimes(broker, Number.POSITIVE_INFINITY, unavailable);
    const ended: string[] = [];
    const note = (name: string) => () => void ended.push(`${name} ${Math.ceil(clock.monotonic() / 1_000)}`);
    void batcher.add(task('a')).catch(note('a'));
    await clock.advance(6_000);
    void batcher.add(task('b')).catch(note('b'));
    await clock.advance(20_000);
    expect(ended.map((one) => one[0])).toEqual(['a', 'b']);
    expect(Number(ended[0]?.slice(2))).toBeLessThanOrEqual(10);
    expect(Number(ended[1]?.slice(2))).toBeLessThanOrEqual(16);
  });

  it.each([
    ['a full backend', (): Error => new BackpressureError('full')],
    ['a mistake', (): Error => new ValidationError('bad')],
    ['a defect', (): Error => new TypeError('defect')],
  ])('does not repeat %s', async (_name, error) => {
    const { broker, batcher } = setUp();
    failTimes(broker, 1, error);
    const results = await Promise.allSettled(tasks(2).map((one) => batcher.add(one)));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(broker.batches).toHaveLength(1);
    expect(await batcher.add(task('next'))).toEqual(accepted);
  });

  it('survives a broker that answers too little, or throws before it promises', async () => {
    const { broker, batcher } = setUp();
    broker.onEnqueue = async () => [accepted];
    const results = await Promise.allSettled(tasks(2).map((one) => batcher.add(one)));
    expect(results).toEqual([
      { status: 'fulfilled', value: accepted },
      { status: 'rejected', reason: expect.objectContaining({ message: expect.stringContaining('fewer outcomes') }) },
    ]);
    broker.enqueue = () => {
      throw new TypeError('at once');
    };
    await expect(batcher.add(task('b'))).rejects.toThrow('at once');
    await batcher.drain();
  });

  it('lets others pass while one batch waits to be sent again', async () => {
    const { broker, clock, batcher } = setUp();
    broker.onEnqueue = async (batch) => {
      if (batch.some(({ id }) => id === 'slow')) throw unavailable();
      return batch.map(() => accepted);
    };
    const slow = expect(batcher.add(task('slow'))).rejects.toThrow('down');
    await turns();
    expect(await batcher.add(task('quick'))).toEqual(accepted);
    await clock.advance(timeoutMs);
    await slow;
  });
});

describe('drain', () => {
  it('resolves at once when nothing is under way', async () => {
    await setUp().batcher.drain();
  });

  it('waits for what is in flight and what waits behind it, and for failures', async () => {
    const { broker, batcher } = setUp();
    const answers = answeredByHand(broker);
    const order: string[] = [];
    const all = tasks(3).map((one) => batcher.add(one).then(() => order.push(one.id)));
    await turns();
    const drained = batcher.drain().then(() => order.push('drained'));
    all.push(batcher.add(task('late')).then(() => order.push('late')));
    while (answers.length > 0 || order.length < 5) {
      answers.shift()?.();
      await turns(1);
    }
    await drained;
    expect(order).toEqual(['t0', 't1', 't2', 'late', 'drained']);

    failTimes(broker, 1, () => new ValidationError('bad'));
    void batcher.add(task('bad')).catch(() => order.push('bad'));
    await batcher.drain();
    expect(order.at(-1)).toBe('bad');
  });
});
