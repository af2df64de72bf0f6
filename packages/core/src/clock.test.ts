import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from './clock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('systemClock', () => {
  it('fires after the time asked for, and not when cleared', () => {
    const fired = vi.fn();
    systemClock.setTimer(fired, 100);
    systemClock.clearTimer(systemClock.setTimer(fired, 50));
    vi.advanceTimersByTime(99);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fired).toHaveBeenCalledOnce();
  });

  it('waits longer than a timer of Node can, and can be cleared on the way (DLY-04)', () => {
    const fired = vi.fn();
    const thirtyDays = 30 * 86_400_000;
    systemClock.setTimer(fired, thirtyDays);
    const cleared = systemClock.setTimer(fired, thirtyDays);
    vi.advanceTimersByTime(2 ** 31);
    systemClock.clearTimer(cleared);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(thirtyDays - 2 ** 31 - 1);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fired).toHaveBeenCalledOnce();
  });

  it('treats a negative wait as none', () => {
    const fired = vi.fn();
    systemClock.setTimer(fired, -5);
    vi.advanceTimersByTime(1);
    expect(fired).toHaveBeenCalledOnce();
  });

  it('keeps the process alive only when asked to', () => {
    const timerOf = (handle: object): NodeJS.Timeout => (handle as { timer: NodeJS.Timeout }).timer;
    expect(timerOf(systemClock.setTimer(() => {}, 5)).hasRef()).toBe(false);
    expect(timerOf(systemClock.setTimer(() => {}, 5, { keepAlive: true })).hasRef()).toBe(true);
  });

  it('has a monotonic clock beside the wall clock', () => {
    vi.useRealTimers();
    const first = systemClock.monotonic();
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(first);
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1_000);
  });
});
