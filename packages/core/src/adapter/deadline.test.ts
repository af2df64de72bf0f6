import { stat } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ManualClock, turns } from '../../test/manual-clock.ts';
import { Deadlines, reconnectDelay, sleep, throwIfAborted, withDeadline } from './deadline.ts';

describe('sleep', () => {
  it('resolves with true when the time is over', async () => {
    const clock = new ManualClock();
    let slept: boolean | undefined;
    void sleep(100, undefined, clock).then((value) => (slept = value));
    await clock.advance(99);
    expect(slept).toBeUndefined();
    await clock.advance(1);
    expect(slept).toBe(true);
  });

  it('resolves with false when aborted, before or meanwhile, and leaves no timer', async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const slept = sleep(100, controller.signal, clock);
    controller.abort();
    expect(await slept).toBe(false);
    expect(await sleep(100, controller.signal, clock)).toBe(false);
    expect(clock.pending).toBe(0);
  });
});

describe('withDeadline', () => {
  const late = (): Error => new Error('late');

  it('settles like the work, and leaves no timer', async () => {
    const clock = new ManualClock();
    expect(await withDeadline(Promise.resolve(5), 100, late, clock)).toBe(5);
    await expect(withDeadline(Promise.reject(new Error('work')), 100, late, clock)).rejects.toThrow('work');
    expect(clock.pending).toBe(0);
  });

  it('rejects when the time is over; what the work does later is nobody’s problem', async () => {
    const clock = new ManualClock();
    let fail = (_error: Error): void => {};
    const work = new Promise<never>((_resolve, reject) => {
      fail = reject;
    });
    const limited = expect(withDeadline(work, 100, late, clock)).rejects.toThrow('late');
    await clock.advance(100);
    await limited;
    fail(new Error('too late to matter'));
    await turns();
  });
});

describe('an answer that came while the process was busy', () => {
  const late = (): Error => new Error('late');

  it.each([
    ['withDeadline', (work: Promise<string>) => withDeadline(work, 20, late)],
    ['Deadlines', (work: Promise<string>) => new Deadlines().within(work, 20, late)],
  ])('is read before %s gives up', async (_name, within) => {
    // From here on timers fire before anything is read.
    await turns(1);
    const limited = within(stat('.').then(() => 'read'));
    const until = performance.now() + 60;
    while (performance.now() < until);
    expect(await limited).toBe('read');
  });
});

describe('Deadlines', () => {
  const late = (): Error => new Error('late');
  const never = (): Promise<never> => new Promise(() => {});

  it('settles like the work', async () => {
    const deadlines = new Deadlines(new ManualClock());
    expect(await deadlines.within(Promise.resolve(5), 100, late)).toBe(5);
    await expect(deadlines.within(Promise.reject(new Error('work')), 100, late)).rejects.toThrow('work');
  });

  it('ends each call at its own deadline, in whatever order they began', async () => {
    const clock = new ManualClock();
    const deadlines = new Deadlines(clock);
    const ended: number[] = [];
    for (const ms of [300, 100, 200, 100]) void deadlines.within(never(), ms, late).catch(() => ended.push(ms));
    await clock.advance(99);
    expect(ended).toEqual([]);
    await clock.advance(1);
    expect(ended).toEqual([100, 100]);
    await clock.advance(100);
    expect(ended).toEqual([100, 100, 200]);
    await clock.advance(100);
    expect(ended).toEqual([100, 100, 200, 300]);
  });

  it('watches with one timer, which ends when nothing is under way', async () => {
    const clock = new ManualClock();
    const deadlines = new Deadlines(clock);
    for (let call = 0; call < 50; call++) await deadlines.within(Promise.resolve(), 100, late);
    expect(clock.pending).toBe(1);
    await clock.advance(100);
    expect(clock.pending).toBe(0);
    const limited = expect(deadlines.within(never(), 100, late)).rejects.toThrow('late');
    await clock.advance(100);
    await limited;
  });
});

describe('throwIfAborted (BAD-06)', () => {
  it('throws for a signal that is aborted already, with its reason as the cause', () => {
    const reason = new Error('user left');
    expect(() => throwIfAborted(AbortSignal.abort(reason), 'enqueue')).toThrow(
      expect.objectContaining({ code: 'ABORTED', why: 'caller', op: 'enqueue', cause: reason }),
    );
    expect(() => throwIfAborted(undefined, 'enqueue')).not.toThrow();
    expect(() => throwIfAborted(new AbortController().signal, 'enqueue')).not.toThrow();
  });
});

describe('reconnectDelay', () => {
  it('doubles from 50 ms to 5 s, half of it jitter', () => {
    expect([1, 2, 3, 7, 8, 9, 1_000_000].map((attempt) => reconnectDelay(attempt, 1))).toEqual([
      50, 100, 200, 3_200, 5_000, 5_000, 5_000,
    ]);
    expect([1, 8].map((attempt) => reconnectDelay(attempt, 0))).toEqual([25, 2_500]);
    expect(new Set(Array.from({ length: 20 }, () => reconnectDelay(5))).size).toBeGreaterThan(15);
  });
});
