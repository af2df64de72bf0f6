import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { JourneyClock } from './journey-clock.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('JourneyClock', () => {
  it('runs in real time', () => {
    const clock = new JourneyClock();
    const fired = vi.fn();
    clock.setTimer(fired, 100);
    vi.advanceTimersByTime(99);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fired).toHaveBeenCalledOnce();
  });

  it('fires what falls due on a leap, in order, and leaves less to wait for the rest', () => {
    const clock = new JourneyClock();
    const fired: string[] = [];
    clock.setTimer(() => fired.push('late'), 300);
    const cleared = clock.setTimer(() => fired.push('cleared'), 20);
    clock.setTimer(() => fired.push('second'), 50);
    clock.setTimer(() => {
      fired.push('first');
      clock.clearTimer(cleared);
    }, 10);
    const before = clock.monotonic();
    clock.leap(200);
    expect(fired).toEqual(['first', 'second']);
    expect(clock.monotonic() - before).toBe(200);
    vi.advanceTimersByTime(100);
    expect(fired).toEqual(['first', 'second', 'late']);
  });
});
