import { describe, expect, it } from 'vitest';
import { ManualClock, turns } from '../../test/manual-clock.ts';
import { delivery, ScriptedSession } from '../../test/scripted-broker.ts';
import type { Lease, SettleOutcome } from '../broker/session.ts';
import type { TaskLogLine } from '../task.ts';
import { ReportBuffer } from './report-buffer.ts';

const line = (message: string): TaskLogLine => ({ level: 'info', message, at: 0 });

function setUp() {
  const clock = new ManualClock();
  const session = new ScriptedSession();
  const errors: unknown[] = [];
  const buffer = new ReportBuffer(clock, (error) => errors.push(error));
  return { clock, session, errors, buffer };
}

const leases = (count: number): Lease[] => Array.from({ length: count }, () => delivery().lease);
const has = (buffer: ReportBuffer, lease: Lease): boolean => buffer.has(lease.taskId, lease.fence);

describe('ReportBuffer', () => {
  it('gathers for 100 ms; the last progress of a task wins, log lines add up', async () => {
    const { clock, session, buffer } = setUp();
    const [one, two] = leases(2) as [Lease, Lease];
    buffer.add(session, { lease: one, progress: '1' });
    buffer.add(session, { lease: one, log: [line('a')] });
    await clock.advance(99);
    buffer.add(session, { lease: two, progress: '5' });
    buffer.add(session, { lease: one, progress: '2', log: [line('b')] });
    expect(session.reported).toEqual([]);
    await clock.advance(1);
    expect(session.reported).toEqual([
      { lease: one, progress: '2', log: [line('a'), line('b')] },
      { lease: two, progress: '5' },
    ]);
    expect(clock.pending).toBe(0);
  });

  it('keeps runs of the same task apart', async () => {
    const { session, buffer } = setUp();
    const [lease] = leases(1) as [Lease];
    const older = { ...lease, fence: lease.fence - 1_000 };
    buffer.add(session, { lease, progress: '1' });
    buffer.add(session, { lease: older, progress: '2' });
    await buffer.flush();
    expect(session.reported).toHaveLength(2);
  });

  it('sends at once what somebody waits for, together with the rest, and says what became of it', async () => {
    const { clock, session, buffer } = setUp();
    const [one, two, three] = leases(3) as [Lease, Lease, Lease];
    session.onReport = async (reports) =>
      reports.map(({ lease }): SettleOutcome => (lease === two ? 'stale' : 'applied'));
    buffer.add(session, { lease: one, progress: '1' });
    const outcomes = Promise.all([
      buffer.send(session, { lease: one, checkpoint: '"x"' }),
      buffer.send(session, { lease: two, begun: true }),
      buffer.send(session, { lease: three, begun: true }),
    ]);
    expect(await outcomes).toEqual(['applied', 'stale', 'applied']);
    expect(session.reported[0]).toEqual({ lease: one, progress: '1', checkpoint: '"x"' });
    expect(clock.pending).toBe(0);
  });

  it('does not know when the adapter fails, and goes on with the next batch', async () => {
    const { session, errors, buffer } = setUp();
    const [lease] = leases(1) as [Lease];
    const failure = new Error('adapter');
    session.onReport = async () => Promise.reject(failure);
    expect(await buffer.send(session, { lease, checkpoint: '1' })).toBe('unknown');
    expect(errors).toEqual([failure]);
    session.onReport = async () => undefined as never;
    expect(await buffer.send(session, { lease, checkpoint: '1' })).toBe('unknown');
    session.onReport = async () => [];
    expect(await buffer.send(session, { lease, checkpoint: '1' })).toBe('unknown');
    session.onReport = undefined;
    expect(await buffer.send(session, { lease, checkpoint: '1' })).toBe('applied');
  });

  it('knows what has to arrive before a run is settled: what waits and what is on its way', async () => {
    const { session, buffer } = setUp();
    const [lease] = leases(1) as [Lease];
    let pass = (): void => {};
    session.onReport = () => new Promise((resolve) => (pass = () => resolve(['applied'])));
    expect(has(buffer, lease)).toBe(false);
    buffer.add(session, { lease, progress: '1' });
    expect(has(buffer, lease)).toBe(true);
    let flushed = false;
    void buffer.flush().then(() => (flushed = true));
    await turns();
    expect([has(buffer, lease), flushed]).toEqual([true, false]);
    pass();
    await turns();
    expect([has(buffer, lease), flushed]).toEqual([false, true]);
  });

  it('resolves a flush only when everything added before is answered, in order', async () => {
    const { session, buffer } = setUp();
    const [lease] = leases(1) as [Lease];
    const pass: (() => void)[] = [];
    session.onReport = (reports) => new Promise((resolve) => pass.push(() => resolve(reports.map(() => 'applied'))));
    const first = buffer.send(session, { lease, progress: '1' });
    await turns();
    buffer.add(session, { lease, progress: '2' });
    let flushed = false;
    void buffer.flush().then(() => (flushed = true));
    await turns();
    expect(session.reported.map(({ progress }) => progress)).toEqual(['1']);
    pass.shift()?.();
    expect(await first).toBe('applied');
    await turns();
    expect([session.reported.map(({ progress }) => progress), flushed]).toEqual([['1', '2'], false]);
    pass.shift()?.();
    await turns();
    expect(flushed).toBe(true);
  });

  it('makes no line of batches while the broker is slow: one entry for each run', async () => {
    const { clock, session, buffer } = setUp();
    const [lease] = leases(1) as [Lease];
    const pass: (() => void)[] = [];
    session.onReport = (reports) => new Promise((resolve) => pass.push(() => resolve(reports.map(() => 'applied'))));
    for (let step = 0; step < 50; step++) {
      buffer.add(session, { lease, progress: String(step) });
      await clock.advance(100);
    }
    pass.shift()?.();
    await turns();
    pass.shift()?.();
    await buffer.flush();
    expect(session.reported.map(({ progress }) => progress)).toEqual(['0', '49']);
    expect(clock.pending).toBe(0);
  });

  it('keeps the last 100 log lines of a run that logs in a loop', async () => {
    const { session, buffer } = setUp();
    const [lease] = leases(1) as [Lease];
    for (let index = 0; index < 50_000; index++) buffer.add(session, { lease, log: [line(String(index))] });
    await buffer.flush();
    const { log } = session.reported[0]!;
    expect([log?.length, log?.[0]?.message, log?.at(-1)?.message]).toEqual([100, '49900', '49999']);
  });

  it('sends to each session what belongs to it', async () => {
    const { session, buffer } = setUp();
    const other = new ScriptedSession();
    const [one, two] = leases(2) as [Lease, Lease];
    buffer.add(session, { lease: one, progress: '1' });
    buffer.add(other, { lease: two, progress: '2' });
    other.onReport = async () => Promise.reject(new Error('lost'));
    await buffer.flush();
    expect([session.reported, other.reported]).toEqual([
      [{ lease: one, progress: '1' }],
      [{ lease: two, progress: '2' }],
    ]);
  });

  it('resolves a flush of nothing', async () => {
    await setUp().buffer.flush();
  });

  it('lets one report the adapter throws over not spoil the others', async () => {
    const { session, errors, buffer } = setUp();
    const all = leases(20);
    const error = new TypeError('poison');
    session.onReport = async (reports) => {
      if (reports.some(({ lease }) => lease === all[7])) throw error;
      return reports.map(() => 'applied');
    };
    const outcomes = await Promise.all(all.map((lease) => buffer.send(session, { lease, checkpoint: '1' })));
    expect(outcomes).toEqual(all.map((_, index) => (index === 7 ? 'unknown' : 'applied')));
    expect(errors).toEqual([error]);
  });

  it('sends large checkpoints in several calls', async () => {
    const { session, buffer } = setUp();
    const calls: number[] = [];
    session.onReport = async (reports) => {
      calls.push(reports.length);
      return reports.map(() => 'applied');
    };
    const checkpoint = 'x'.repeat(1_900_000);
    await Promise.all(leases(5).map((lease) => buffer.send(session, { lease, checkpoint })));
    await Promise.all(leases(2_500).map((lease) => buffer.send(session, { lease, checkpoint: '1' })));
    expect(calls).toEqual([2, 2, 1, 1_000, 1_000, 500]);
  });
});
