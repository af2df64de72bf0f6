import type { Broker, NewTask, TaskContext } from '@millrace/core';
import { describe, expect, it } from 'vitest';
import { loadMemoryHarness } from '../../test/memory-harness.ts';
import { buildFailure, buildTask, usual } from '../context/builders.ts';
import type { HistoryEvent } from './event.ts';
import { memoryJournal } from './journal.ts';
import { recordBroker } from './recorded-broker.ts';
import { Recorder } from './recorder.ts';

async function recorded(): Promise<{
  readonly broker: Broker<unknown>;
  readonly recorder: Recorder;
  readonly events: readonly HistoryEvent[];
}> {
  const memory = await loadMemoryHarness();
  const namespace = `recorder_${Math.random().toString(36).slice(2)}`;
  const clock = memory.clock?.(namespace);
  if (clock === undefined) throw new Error('the memory harness has a clock');
  const journal = memoryJournal();
  let t = 0;
  const recorder = new Recorder({ journals: [journal], now: () => ++t, epoch: () => clock.now(), pid: 7 });
  const broker = recordBroker(memory.connect({ url: '', namespace, clock }), recorder, 'client');
  await broker.open();
  return { broker, recorder, events: journal.events };
}

const silent: Recorder = new Recorder({ journals: [] });

/** What a line says, short enough to compare. */
function short(event: HistoryEvent): string {
  const { phase, op, task, fence, outcome, args } = event;
  return [phase, op, task, fence, outcome, args?.existingId, args?.state, args?.delayMs]
    .filter((part) => part !== undefined)
    .join(' ');
}

const task = (id: string, changes: Partial<NewTask> = {}): NewTask => buildTask({ id, ...changes });
const request = { queues: [usual.queue], names: [usual.name], limit: 2, waitMs: 0 };

describe('recordBroker', () => {
  it('writes two lines for each task of a call, and one for each delivery of a claim', async () => {
    const { broker, events } = await recorded();
    await broker.enqueue([
      task('a'),
      task('b', { delayMs: 5_000 }),
      task('a', { priority: 9 }),
      task('c', { priority: 99 }),
    ]);
    const session = await broker.openSession({ instance: 'i', host: 'h', ttlMs: 10_000, onSignal: () => {} });
    const [delivery] = await session.claim(request);
    if (delivery === undefined) throw new Error('nothing was delivered');
    await session.claim(request);
    await session.report([{ lease: delivery.lease, begun: true }]);
    await session.settle([
      { type: 'retry', lease: delivery.lease, delayMs: 100, failure: buildFailure() },
      { type: 'complete', lease: delivery.lease },
    ]);
    await session.end();
    await broker.close();
    expect(events.map(short)).toEqual([
      'invoke open',
      'return open ok',
      'invoke enqueue a',
      'invoke enqueue b 5000',
      'invoke enqueue a',
      'invoke enqueue c',
      'return enqueue accepted',
      'return enqueue accepted',
      'return enqueue duplicate a',
      'return enqueue rejected',
      'invoke openSession',
      'return openSession ok',
      'invoke claim',
      'return claim a 1 delivered',
      'invoke claim',
      'return claim empty',
      'invoke report a 1',
      'return report applied',
      'invoke retry a 1 100',
      'invoke complete a 1',
      'return retry applied',
      'return complete stale',
      'invoke endSession',
      'return endSession ok',
      'invoke close',
      'return close ok',
    ]);
    expect(events.map((event) => event.seq)).toEqual(events.map((_event, index) => index + 1));
    expect(events.every((event) => event.pid === 7 && event.role === 'client' && event.v === 1)).toBe(true);
    const [enqueued, delivered] = [events[2], events.find((event) => event.outcome === 'delivered')];
    expect(delivered?.hash).toBe(enqueued?.hash);
    expect(delivered?.args?.maxAttempts).toBe(3);
  });

  it('writes down claims by id as what they are, and has them where the broker has', async () => {
    const { broker, events } = await recorded();
    await broker.enqueue([task('a'), task('b', { delayMs: 5_000 }), task('c')]);
    const session = await broker.openSession({ instance: 'i', host: 'h', ttlMs: 10_000, onSignal: () => {} });
    const verdicts = await session.claimTasks?.(['c', 'b', 'nobody', 'a']);
    expect(verdicts?.map(({ status }) => status)).toEqual(['claimed', 'early', 'gone', 'claimed']);
    await session.claimTasks?.(['b']);
    await expect(session.claimTasks?.([])).rejects.toMatchObject({ code: 'VALIDATION' });
    const lines = events.filter(({ op }) => op === 'claim');
    expect(lines.map(short)).toEqual([
      'invoke claim',
      'return claim c 1 delivered',
      'return claim a 1 delivered',
      'invoke claim',
      'return claim empty',
      'invoke claim',
      'return claim error:VALIDATION',
    ]);
    expect(lines[0]?.args).toEqual({ session: session.id, ids: ['c', 'b', 'nobody', 'a'] });
    expect(lines[1]).toMatchObject({ attempt: 1, queue: 'line', args: { session: session.id, byId: true, left: 1 } });
    expect(lines[2]?.args?.left).toBeUndefined();
    expect(lines[1]?.hash).toBe(events.find((event) => event.op === 'enqueue' && event.task === 'c')?.hash);
    const inner: Broker = { kind: 'plain', queues: broker.queues } as never;
    const plain = { ...session, claimTasks: undefined } as never;
    const without = recordBroker({ ...inner, openSession: async () => plain } as Broker, silent, 'client');
    const bare = await without.openSession({ instance: 'i', host: 'h', ttlMs: 10_000, onSignal: () => {} });
    expect('claimTasks' in bare && bare.claimTasks !== undefined).toBe(false);
  });

  it('passes beats for sessions of others on, where the broker has them', async () => {
    const { broker, recorder, events } = await recorded();
    expect(broker.beat).toBeUndefined();
    const before = events.length;
    const beaten: string[] = [];
    const beat = async (id: string): Promise<'alive' | 'lost'> => {
      beaten.push(id);
      return id === 'mine' ? 'alive' : 'lost';
    };
    const other = recordBroker({ kind: 'other', queues: broker.queues, beat } as Broker, recorder, 'client');
    expect([await other.beat?.('mine'), await other.beat?.('yours')]).toEqual(['alive', 'lost']);
    expect(beaten).toEqual(['mine', 'yours']);
    expect(events.length).toBe(before);
  });

  it('writes down control, reads, queues and maintenance', async () => {
    const { broker, events } = await recorded();
    await broker.enqueue([task('a', { key: 'k' }), task('b', { key: 'k', input: '2', onConflict: 'replace' })]);
    await broker.tasks?.reschedule(['a', 'nobody'], { delayMs: 50 });
    await broker.tasks?.update(['a'], { input: '3' });
    await broker.tasks?.get(['a', 'nobody']);
    await broker.queues.pause('line');
    await broker.queues.purge('line');
    await broker.maintain({ maxTasks: 10 });
    await broker.tasks?.count({});
    const lines = events.slice(2).map(short);
    expect(lines).toEqual([
      'invoke enqueue a',
      'invoke enqueue b',
      'return enqueue accepted',
      'return enqueue replaced a',
      'invoke reschedule a 50',
      'invoke reschedule nobody 50',
      'return reschedule applied',
      'return reschedule not-found',
      'invoke update a',
      'return update applied',
      'invoke get a',
      'invoke get nobody',
      'return get 0 ok scheduled',
      'return get ok gone',
      'invoke queuePause',
      'return queuePause ok',
      'invoke queuePurge',
      'return queuePurge ok',
      'invoke maintain',
      'return maintain ok',
      'invoke count',
      'return count ok',
    ]);
  });

  it('writes down how calls fail, and passes the error on', async () => {
    const { broker, events } = await recorded();
    await broker.close();
    await expect(broker.enqueue([task('a')])).rejects.toMatchObject({ code: 'CLOSED' });
    expect(events.at(-1)).toMatchObject({ op: 'enqueue', phase: 'return', outcome: 'error:CLOSED' });
  });

  it('writes down when handlers start and end', async () => {
    const { recorder, events } = await recorded();
    const context = { id: 'a', queue: 'line', fence: 3, attempt: 2 } as TaskContext;
    const around = recorder.handlers('w1');
    await expect(around(context, async () => 'done')).resolves.toBe('done');
    await expect(around(context, () => Promise.reject(new RangeError('no')))).rejects.toThrow('no');
    expect(events.slice(2).map(({ role, op, fence, outcome }) => [role, op, fence, outcome])).toEqual([
      ['w1', 'start', 3, undefined],
      ['w1', 'end', 3, 'ok'],
      ['w1', 'start', 3, undefined],
      ['w1', 'end', 3, 'error:RangeError'],
    ]);
  });
});
