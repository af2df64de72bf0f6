import { describe, expect, it } from 'vitest';
import { ManualClock, turns } from '../../test/manual-clock.ts';
import { type Heartbeat, startHeartbeat } from './heartbeat.ts';

const ttlMs = 30_000;

type Answer = 'alive' | 'lost' | 'fail' | 'hang' | Promise<'alive' | 'lost'>;

function start(answer: (beat: number) => Answer) {
  const clock = new ManualClock();
  const beats: number[] = [];
  let lostAt: number | undefined;
  const heartbeat: Heartbeat = startHeartbeat({
    clock,
    adapter: 'test',
    ttlMs,
    beat: async (signal) => {
      beats.push(clock.monotonic());
      const said = answer(beats.length);
      if (said === 'fail') throw new Error('unreachable');
      if (said !== 'hang') return said;
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  heartbeat.lost.addEventListener('abort', () => {
    lostAt = clock.monotonic();
  });
  return { clock, heartbeat, beats, lostAt: () => lostAt };
}

describe('startHeartbeat', () => {
  it('beats every third of the time to live, and is never lost while it is answered', async () => {
    const { clock, beats, lostAt, heartbeat } = start(() => 'alive');
    await clock.advance(10 * ttlMs);
    expect(beats.slice(0, 4)).toEqual([10_000, 20_000, 30_000, 40_000]);
    expect(beats).toHaveLength(30);
    expect(lostAt()).toBeUndefined();
    heartbeat.stop();
    expect(clock.pending).toBe(0);
  });

  it('is lost at once when the broker says so', async () => {
    const { clock, lostAt, heartbeat } = start((beat) => (beat === 2 ? 'lost' : 'alive'));
    await clock.advance(ttlMs);
    expect(lostAt()).toBe(20_000);
    expect(heartbeat.lost.reason).toMatchObject({ code: 'LEASE_LOST', adapter: 'test' });
    expect(clock.pending).toBe(0);
  });

  it('stops trusting before the time to live is over, counted from before the last answered request (LSE-10)', async () => {
    const { clock, lostAt } = start((beat) => (beat === 1 ? 'alive' : 'fail'));
    await clock.advance(2 * ttlMs);
    expect(lostAt()).toBe(10_000 + 0.9 * ttlMs);
    expect(lostAt()).toBeLessThan(10_000 + ttlMs);
  });

  it('does so as well when a request is never answered', async () => {
    const { clock, lostAt } = start((beat) => (beat === 1 ? 'alive' : 'hang'));
    await clock.advance(2 * ttlMs);
    expect(lostAt()).toBe(10_000 + 0.9 * ttlMs);
    expect(clock.pending).toBe(0);
  });

  it('does so as well when no request was ever answered', async () => {
    const { clock, lostAt } = start(() => 'hang');
    await clock.advance(2 * ttlMs);
    expect(lostAt()).toBe(0.9 * ttlMs);
  });

  it('counts an answer from when its request was sent, not from when it came', async () => {
    let answer = (): void => {};
    const { clock, lostAt } = start((beat) =>
      beat === 1 ? new Promise((resolve) => (answer = () => resolve('alive'))) : 'fail',
    );
    await clock.advance(15_000);
    answer();
    await clock.advance(2 * ttlMs);
    expect(lostAt()).toBe(10_000 + 0.9 * ttlMs);
  });

  it('tries again sooner after a failure, and goes on when it gets through', async () => {
    const { clock, beats, lostAt } = start((beat) => (beat === 1 || beat === 2 ? 'fail' : 'alive'));
    await clock.advance(ttlMs);
    expect(beats.slice(0, 4)).toEqual([10_000, 12_000, 14_000, 24_000]);
    await clock.advance(10 * ttlMs);
    expect(lostAt()).toBeUndefined();
  });

  it('does not fall for an answer that comes after trust has ended', async () => {
    let answer = (): void => {};
    const { clock, heartbeat, lostAt } = start(() => new Promise((resolve) => (answer = () => resolve('alive'))));
    await clock.advance(2 * ttlMs);
    answer();
    await turns();
    expect(heartbeat.lost.aborted).toBe(true);
    expect(lostAt()).toBe(0.9 * ttlMs);
    await clock.advance(2 * ttlMs);
    expect(clock.pending).toBe(0);
  });

  it('beats at once when hurried, and again after a beat that was under way', async () => {
    const answers: (() => void)[] = [];
    const { clock, heartbeat, beats } = start(() => new Promise((resolve) => answers.push(() => resolve('alive'))));
    heartbeat.hurry();
    await clock.advance(0);
    expect(beats).toEqual([0]);
    heartbeat.hurry();
    await clock.advance(1_000);
    expect(beats).toEqual([0]);
    answers.shift()?.();
    await clock.advance(0);
    expect(beats).toEqual([0, 1_000]);
    answers.shift()?.();
    await clock.advance(9_999);
    expect(beats).toEqual([0, 1_000]);
    await clock.advance(1);
    expect(beats).toEqual([0, 1_000, 11_000]);
  });

  it('lets many claims listen for its loss, without a warning of Node', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    const { heartbeat } = start(() => 'alive');
    for (let index = 0; index < 30; index++) heartbeat.lost.addEventListener('abort', () => {});
    await turns();
    process.off('warning', note);
    heartbeat.stop();
    expect(warnings).toEqual([]);
  });

  it('can be told of the loss by others, once', async () => {
    const { clock, heartbeat } = start(() => 'alive');
    heartbeat.declareLost('a settle said so');
    heartbeat.declareLost('again');
    expect(heartbeat.lost.reason).toMatchObject({ message: 'the session was lost: a settle said so' });
    expect(clock.pending).toBe(0);
  });

  it('is silent once stopped, whatever comes in', async () => {
    let answer = (_said: 'lost'): void => {};
    const { clock, heartbeat, beats, lostAt } = start(() => new Promise((resolve) => (answer = resolve)));
    await clock.advance(10_000);
    heartbeat.stop();
    answer('lost');
    heartbeat.hurry();
    heartbeat.declareLost('late');
    await clock.advance(10 * ttlMs);
    expect([beats.length, lostAt(), clock.pending]).toEqual([1, undefined, 0]);
  });

  it('counts the answered beats of somebody else like its own', async () => {
    const clock = new ManualClock();
    let beatenAt: number | undefined;
    const heartbeat = startHeartbeat({
      clock,
      adapter: 'test',
      ttlMs,
      // Our own never get through.
      beat: async () => Promise.reject(new Error('blocked')),
      beatenAt: () => beatenAt,
    });
    await clock.advance(20_000);
    beatenAt = 12_000;
    await clock.advance(18_999);
    expect([clock.monotonic(), heartbeat.lost.aborted]).toEqual([38_999, false]);
    await clock.advance(1);
    expect(heartbeat.lost.aborted).toBe(true);
    beatenAt = 39_000;
    await clock.advance(ttlMs);
    expect([heartbeat.lost.aborted, clock.pending]).toEqual([true, 0]);
  });
});
