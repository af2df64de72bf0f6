import { describe, expect, it } from 'vitest';
import { VirtualClock } from './virtual-clock.ts';

describe('VirtualClock', () => {
  it('stands still until it is moved', async () => {
    const clock = new VirtualClock(1_000);
    let fired = false;
    clock.setTimer(() => {
      fired = true;
    }, 0);
    await new Promise((resolve) => setImmediate(resolve));
    expect([clock.now(), clock.monotonic(), fired]).toEqual([1_000, 0, false]);
    await clock.advance(0);
    expect([clock.now(), fired]).toEqual([1_000, true]);
  });

  it('begins at the same instant in every run', () => {
    expect(new VirtualClock().now()).toBe(new VirtualClock().now());
    expect(new VirtualClock(new Date(5)).now()).toBe(5);
  });

  it('fires timers in order, each at its own instant', async () => {
    const clock = new VirtualClock(0);
    const log: string[] = [];
    clock.setTimer(() => log.push(`c${clock.now()}`), 300);
    clock.setTimer(() => log.push(`a${clock.now()}`), 100);
    clock.setTimer(() => log.push(`b${clock.now()}`), 100);
    await clock.advance('299ms');
    expect(log).toEqual(['a100', 'b100']);
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(1);
    expect(log).toEqual(['a100', 'b100', 'c300']);
    expect([clock.now(), clock.monotonic()]).toEqual([300, 300]);
  });

  it('lets promise chains settle between timers, so that a chain of waits keeps its times', async () => {
    const clock = new VirtualClock(0);
    const log: number[] = [];
    const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.setTimer(resolve, ms));
    const done = (async () => {
      for (let round = 0; round < 5; round++) {
        await wait(10);
        await new Promise((resolve) => setImmediate(resolve));
        log.push(clock.now());
      }
    })();
    await clock.advance('1s');
    await done;
    expect(log).toEqual([10, 20, 30, 40, 50]);
  });

  it('does not fire cleared timers, not even one cleared by an earlier callback', async () => {
    const clock = new VirtualClock(0);
    const log: string[] = [];
    const second = clock.setTimer(() => log.push('second'), 10);
    clock.setTimer(() => clock.clearTimer(second), 5);
    const third = clock.setTimer(() => log.push('third'), 20);
    clock.clearTimer(third);
    clock.clearTimer(third);
    await clock.advance('1m');
    expect(log).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('rounds fractions up and treats what is not positive as now', async () => {
    const clock = new VirtualClock(0);
    const log: number[] = [];
    clock.setTimer(() => log.push(clock.now()), 0.4);
    clock.setTimer(() => log.push(clock.now()), -5);
    await clock.advance(2);
    expect(log).toEqual([0, 1]);
  });

  it('holds times longer than a timer of Node can wait', async () => {
    const clock = new VirtualClock(0);
    let firedAt = 0;
    clock.setTimer(() => {
      firedAt = clock.now();
    }, 2 ** 32);
    await clock.advance('365d');
    expect(firedAt).toBe(2 ** 32);
  });

  it('queues calls that are made at the same time', async () => {
    const clock = new VirtualClock(0);
    await Promise.all([clock.advance(10), clock.advance(20), clock.advanceTo(100)]);
    expect(clock.now()).toBe(100);
  });

  it('refuses to go back, and wrong values', async () => {
    const clock = new VirtualClock(100);
    await expect(clock.advanceTo(99)).rejects.toMatchObject({ code: 'VALIDATION', option: 'instant' });
    await expect(clock.advance(-1)).rejects.toThrow(/duration/);
    await expect(clock.advanceTo(Number.NaN)).rejects.toThrow(/instant/);
    expect(() => new VirtualClock(new Date('?'))).toThrow(/start/);
    await clock.advanceTo(new Date(100));
    expect(clock.now()).toBe(100);
  });

  it('rejects with what a callback throws, and goes on from there', async () => {
    const clock = new VirtualClock(0);
    let fired = false;
    clock.setTimer(() => {
      throw new Error('from a timer');
    }, 5);
    clock.setTimer(() => {
      fired = true;
    }, 10);
    await expect(clock.advance(20)).rejects.toThrow('from a timer');
    expect(clock.now()).toBe(5);
    await clock.advance(20);
    expect([clock.now(), fired]).toEqual([25, true]);
  });

  it('notices a timer that sets itself again without time passing', async () => {
    const clock = new VirtualClock(0);
    let left = 100_010;
    const again = (): void => {
      if (left-- > 0) clock.setTimer(again, 0);
    };
    again();
    await expect(clock.advance(1)).rejects.toThrow(/without letting time pass/);
  });
});
