import { describe, expect, it } from 'vitest';
import { ManualClock, turns } from '../../test/manual-clock.ts';
import { Wakeups } from './wakeups.ts';

describe('Wakeups', () => {
  it('wakes who waits for the queue, and everybody when no queue is named', async () => {
    const wakeups = new Wakeups(new ManualClock());
    const woken: string[] = [];
    const [a, b] = [wakeups.listen(['a', 'c']), wakeups.listen(['b'])];
    void a.sleep(1_000).then(() => woken.push('a'));
    void b.sleep(1_000).then(() => woken.push('b'));
    wakeups.wake('c');
    await turns();
    expect(woken).toEqual(['a']);
    wakeups.wake('unknown');
    wakeups.wake();
    await turns();
    expect(woken).toEqual(['a', 'b']);
  });

  it('keeps a wake-up between listening and sleeping (T8)', async () => {
    const clock = new ManualClock();
    const wakeups = new Wakeups(clock);
    const listener = wakeups.listen(['a']);
    wakeups.wake('a');
    await listener.sleep(1_000);
    expect(clock.pending).toBe(0);
  });

  it('spends a wake-up on one sleep', async () => {
    const clock = new ManualClock();
    const wakeups = new Wakeups(clock);
    const listener = wakeups.listen(['a']);
    wakeups.wake('a');
    wakeups.wake('a');
    await listener.sleep(1_000);
    let woken = false;
    void listener.sleep(1_000).then(() => (woken = true));
    await clock.advance(999);
    expect(woken).toBe(false);
    await clock.advance(1);
    expect(woken).toBe(true);
  });

  it('ends a sleep when the time is over or the signal aborts, and leaves nothing behind', async () => {
    const clock = new ManualClock();
    const wakeups = new Wakeups(clock);
    const listener = wakeups.listen(['a']);
    const controller = new AbortController();
    const slept = listener.sleep(1_000, controller.signal);
    controller.abort();
    await slept;
    await listener.sleep(1_000, controller.signal);
    expect(clock.pending).toBe(0);
    expect(wakeups.hasWaiters).toBe(true);
    listener.close();
    listener.close();
    expect(wakeups.hasWaiters).toBe(false);
    wakeups.wake('a');
  });
});
