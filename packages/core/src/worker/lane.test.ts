import { describe, expect, it } from 'vitest';
import { ManualClock, turns, until } from '../../test/manual-clock.ts';
import { delivery, ScriptedSession } from '../../test/scripted-broker.ts';
import type { Delivery, Session } from '../broker/session.ts';
import { defineTask } from '../define-task.ts';
import { LeaseLostError, UnavailableError } from '../errors.ts';
import { handle } from './handle.ts';
import { Lane, type LaneSupport } from './lane.ts';

interface Options {
  readonly concurrency?: number;
  /** Slots of the worker as a whole. */
  readonly slots?: number;
  /** Slots that other lanes have taken. */
  readonly otherRuns?: number;
  readonly prefetch?: number | 'auto';
  readonly maxClaim?: number;
  readonly marksLastAttempts?: boolean;
  readonly names?: readonly string[];
}

/** A lane with a scripted session; runs end when the test says so. */
class TestedLane {
  readonly clock = new ManualClock();
  readonly work: Delivery[] = [];
  readonly started: Delivery[] = [];
  readonly released: Delivery[] = [];
  readonly warnings: string[] = [];
  readonly stop = new AbortController();
  session = new ScriptedSession(undefined, this.work);
  otherRuns: number;
  congested = false;
  departure: Promise<void> | undefined;
  looking = false;
  readonly looks: boolean[] = [];
  running = 0;
  most = 0;
  onStart: (() => void) | undefined;
  readonly lane: Lane;
  readonly loop: Promise<void>;

  constructor(options: Options = {}) {
    const { concurrency = 2, slots = 100, names = ['work'] } = options;
    this.otherRuns = options.otherRuns ?? 0;
    const silent = (): void => {};
    const support: LaneSupport = {
      clock: this.clock,
      logger: {
        debug: silent,
        info: silent,
        error: silent,
        warn: (_fields: unknown, message?: string) => void this.warnings.push(message ?? ''),
      },
      session: async () => this.session,
      stop: this.stop.signal,
      freeSlots: () => slots - this.running - this.otherRuns,
      isLooking: () => this.looking,
      looked: (_lane, found) => void this.looks.push(found),
      departure: () => this.departure,
      isCongested: () => this.congested,
      start: (one) => {
        this.started.push(one);
        this.running++;
        this.most = Math.max(this.most, this.running);
        this.onStart?.();
      },
      release: (one: Delivery, _session: Session) => this.released.push(one),
      marksLastAttempts: options.marksLastAttempts ?? true,
      maxClaim: options.maxClaim ?? 100,
      prefetch: options.prefetch ?? 'auto',
    };
    const handlers = names.map((name) => handle(defineTask({ name }), silent));
    this.lane = new Lane(handlers, concurrency, ['default'], support);
    this.loop = this.lane.run();
  }

  push(count: number): void {
    this.work.push(...Array.from({ length: count }, () => delivery()));
    this.session.wake();
  }

  /** Ends runs, each after so many milliseconds. */
  finish(count: number, durationMs = 10_000): void {
    for (let index = 0; index < count; index++) {
      this.running--;
      this.lane.finished(durationMs);
      this.lane.pump();
    }
  }

  get limits(): number[] {
    return this.session.claims.map(({ limit }) => limit);
  }
}

describe('a last attempt, where the broker is not told that it begins (LSE-16)', () => {
  const last = (): Delivery => delivery({ attempt: 3, maxAttempts: 3 });

  it('goes back when no slot is free for it, and nothing is claimed ahead for a second', async () => {
    const tested = new TestedLane({ concurrency: 1, prefetch: 3, marksLastAttempts: false });
    tested.work.push(delivery(), last(), delivery(), last());
    tested.session.wake();
    await until(() => tested.released.length === 2);
    expect(tested.released.map(({ lease }) => lease.attempt)).toEqual([3, 3]);
    expect([tested.started.length, tested.lane.held]).toEqual([1, 1]);
    tested.finish(1);
    await turns();
    expect([tested.started.length, tested.lane.held]).toEqual([2, 0]);
    tested.finish(1);
    await turns();
    expect(tested.limits).toEqual([4, 1]);
    await tested.clock.advance(1_000);
    tested.push(1);
    await until(() => tested.limits.length === 3);
    expect(tested.limits.at(-1)).toBe(3);
  });

  it('waits for its slot where the broker is told', async () => {
    const tested = new TestedLane({ concurrency: 1, prefetch: 3, marksLastAttempts: true });
    tested.work.push(delivery(), last(), last());
    tested.session.wake();
    await until(() => tested.lane.held === 2);
    expect(tested.released).toEqual([]);
  });
});

describe('claims', () => {
  it('ask for the lane’s names and queues, with a long wait and the stop signal', async () => {
    const tested = new TestedLane({ names: ['a', 'b'], concurrency: 3 });
    await turns();
    expect(tested.session.claims).toEqual([
      { queues: ['default'], names: ['a', 'b'], limit: 3, waitMs: 20_000, signal: tested.stop.signal },
    ]);
  });

  it('never start more than the concurrency, and reach it (CON-01)', async () => {
    const tested = new TestedLane({ concurrency: 3 });
    tested.push(20);
    await turns();
    expect([tested.started.length, tested.lane.held]).toEqual([3, 0]);
    for (let ended = 0; ended < 20; ended += 2) {
      tested.finish(Math.min(2, tested.running));
      await turns(10);
    }
    await until(() => tested.started.length === 20);
    expect(tested.most).toBe(3);
  });

  it('are not made without room', async () => {
    const tested = new TestedLane({ concurrency: 2 });
    tested.push(2);
    await until(() => tested.running === 2);
    await turns();
    expect(tested.limits).toEqual([2]);
    tested.finish(1);
    await turns();
    expect(tested.limits).toEqual([2, 1]);
  });

  it('ask for no more than the worker as a whole can start', async () => {
    const tested = new TestedLane({ concurrency: 10, slots: 10, otherRuns: 7 });
    tested.push(1);
    await until(() => tested.running === 1);
    await turns();
    expect(tested.limits).toEqual([3, 2]);
  });

  it('ask for no more than the broker gives at once', async () => {
    const tested = new TestedLane({ concurrency: 50, maxClaim: 20 });
    tested.push(50);
    await until(() => tested.running === 50);
    expect(tested.limits.slice(0, 3)).toEqual([20, 20, 10]);
  });

  it('pause while settles pile up, and go on when woken', async () => {
    const tested = new TestedLane();
    tested.push(2);
    await until(() => tested.running === 2);
    tested.congested = true;
    tested.finish(2);
    tested.lane.wake();
    await turns();
    expect(tested.limits).toEqual([2]);
    tested.congested = false;
    tested.lane.wake();
    await turns();
    expect(tested.limits).toEqual([2, 2]);
  });

  it('claim once what ended is on its way, for all the room that makes', async () => {
    const tested = new TestedLane({ concurrency: 3 });
    tested.push(3);
    await until(() => tested.running === 3);
    let depart = (): void => {};
    tested.departure = new Promise((resolve) => {
      depart = resolve;
    });
    tested.finish(1);
    await turns();
    tested.finish(1);
    await turns();
    expect(tested.limits).toEqual([3]);
    tested.departure = undefined;
    depart();
    await turns();
    expect(tested.limits).toEqual([3, 2]);
  });

  it('go on while a slow task keeps one slot (CON-05)', async () => {
    const tested = new TestedLane({ concurrency: 2 });
    tested.push(10);
    await until(() => tested.running === 2);
    for (let ended = 0; ended < 8; ended++) {
      tested.finish(1);
      await turns(10);
    }
    expect(tested.started).toHaveLength(10);
  });
});

describe('look-ahead', () => {
  it('is nothing for slow handlers, and before anything is known', async () => {
    const tested = new TestedLane({ concurrency: 4 });
    tested.push(100);
    await until(() => tested.running === 4);
    expect([tested.limits, tested.lane.held]).toEqual([[4], 0]);
    tested.finish(4, 1_000);
    await until(() => tested.running === 4);
    expect(Math.max(...tested.limits)).toBe(4);
  });

  it('is what the slots work off in 50 ms for quick ones, and is refilled at half', async () => {
    const tested = new TestedLane({ concurrency: 2 });
    tested.push(1_000);
    await until(() => tested.running === 2);
    tested.finish(1, 10);
    await until(() => tested.running === 2 && tested.lane.held > 0);
    await turns();
    // Two slots, 10 ms each: ten tasks in 50 ms.
    expect(tested.lane.held).toBe(10);
    const before = tested.limits.length;
    for (let ended = 0; ended < 4; ended++) {
      tested.finish(1, 10);
      await turns();
    }
    expect([tested.lane.held, tested.limits.length]).toEqual([6, before]);
    tested.finish(1, 10);
    await turns();
    expect([tested.lane.held, tested.limits.slice(before)]).toEqual([10, [5]]);
  });

  it('is bounded for handlers that take no time', async () => {
    const tested = new TestedLane({ concurrency: 2, maxClaim: 10_000 });
    tested.push(2_000);
    await until(() => tested.running === 2);
    tested.finish(2, 0);
    await until(() => tested.running === 2 && tested.lane.held > 0);
    await turns();
    expect(tested.lane.held).toBeLessThanOrEqual(2_000);
  });

  it('is handed back when handlers have become slow, and not claimed again before one has ended', async () => {
    const tested = new TestedLane({ concurrency: 2 });
    tested.push(1_000);
    await until(() => tested.running === 2);
    tested.finish(2, 10);
    await until(() => tested.running === 2 && tested.lane.held > 0);
    await tested.clock.advance(999);
    expect([tested.released.length, tested.lane.held]).toEqual([0, 10]);
    await tested.clock.advance(1);
    expect([tested.released.length, tested.lane.held]).toEqual([10, 0]);
    const claims = tested.limits.length;
    await tested.clock.advance(60_000);
    expect(tested.limits).toHaveLength(claims);
    tested.finish(1, 60_000);
    await until(() => tested.running === 2);
    expect(tested.limits.slice(claims)).toEqual([1]);
    expect(tested.clock.pending).toBe(0);
  });

  it('stays as long as it is worked off', async () => {
    const tested = new TestedLane({ concurrency: 1 });
    tested.push(1_000);
    await until(() => tested.running === 1);
    for (let ended = 0; ended < 300; ended++) {
      await tested.clock.advance(10);
      tested.finish(1, 10);
      await until(() => tested.running === 1);
    }
    expect(tested.released).toEqual([]);
  });

  it('is a number when asked for, 0 included', async () => {
    const some = new TestedLane({ concurrency: 2, prefetch: 4 });
    some.push(100);
    await until(() => some.running === 2 && some.lane.held === 4);
    expect(some.limits).toEqual([6]);
    const none = new TestedLane({ concurrency: 2, prefetch: 0 });
    none.push(100);
    await until(() => none.running === 2);
    none.finish(1, 0);
    await until(() => none.running === 2);
    expect([none.lane.held, Math.max(...none.limits)]).toEqual([0, 2]);
  });

  it('hands back what other lanes left no slot for, but for one', async () => {
    const tested = new TestedLane({ concurrency: 5, slots: 5 });
    await turns();
    expect(tested.limits).toEqual([5]);
    tested.otherRuns = 4;
    tested.push(5);
    await until(() => tested.released.length > 0);
    expect([tested.started.length, tested.released.length, tested.lane.held]).toEqual([1, 3, 1]);
    expect(tested.limits).toEqual([5]);
    // The one that stays for the next slot goes back when that does not come.
    await tested.clock.advance(1_000);
    expect([tested.started.length, tested.released.length, tested.lane.held]).toEqual([1, 4, 0]);
  });
});

describe('starting', () => {
  it('hands back a task of a name it has no handler for', async () => {
    const tested = new TestedLane();
    const foreign = delivery({ name: 'foreign' });
    tested.session.onClaim = async () => {
      tested.session.onClaim = undefined;
      return [foreign, delivery()];
    };
    await until(() => tested.started.length === 1);
    expect(tested.released).toEqual([foreign]);
  });

  it('lets I/O through between handlers that keep the event loop busy', async () => {
    const tested = new TestedLane({ concurrency: 20 });
    let turn = 0;
    const turnsSeen: number[] = [];
    let counting = true;
    const count = (): void => {
      turn++;
      if (counting) setImmediate(count);
    };
    setImmediate(count);
    tested.onStart = () => {
      const end = performance.now() + 11;
      while (performance.now() < end);
      turnsSeen.push(turn);
    };
    tested.push(20);
    await until(() => tested.started.length === 20);
    counting = false;
    expect(new Set(turnsSeen).size).toBe(20);
  });

  it('takes a task out of the line on request', async () => {
    const tested = new TestedLane({ concurrency: 1, prefetch: 2 });
    tested.push(3);
    await until(() => tested.lane.held === 2);
    const [, second] = [...tested.started, ...tested.started];
    expect(tested.lane.withdraw(second!.lease.taskId, second!.lease.fence)).toBeUndefined();
    const waiting = Number(tested.started[0]!.lease.fence) + 1;
    const taskId = tested.started[0]!.lease.taskId.replace(/\d+$/, String(waiting));
    expect(tested.lane.withdraw(taskId, waiting - 1_000)).toBeUndefined();
    const held = tested.lane.withdraw(taskId, waiting);
    expect(held).toMatchObject({ delivery: { lease: { taskId } }, session: tested.session });
    expect(tested.lane.held).toBe(1);
  });
});

describe('a lost session', () => {
  it('drops what it held, and the next claim uses another one', async () => {
    const tested = new TestedLane({ concurrency: 1, prefetch: 3 });
    tested.push(4);
    await until(() => tested.lane.held === 3);
    const lost = tested.session;
    tested.session = new ScriptedSession(undefined, tested.work);
    lost.lose();
    tested.lane.drop(lost);
    expect([tested.lane.held, tested.released]).toEqual([0, []]);
    tested.finish(1);
    await turns();
    expect(tested.limits).toEqual([4]);
  });

  it('is noticed at once by a claim that waits, without a warning', async () => {
    const tested = new TestedLane();
    await turns();
    const lost = tested.session;
    tested.session = new ScriptedSession(undefined, tested.work);
    lost.lose();
    await turns();
    expect([tested.session.claims.length, tested.warnings]).toEqual([1, []]);
  });

  it('gives nothing that arrives after the loss a run', async () => {
    const tested = new TestedLane();
    const lost = tested.session;
    lost.onClaim = async () => {
      tested.session = new ScriptedSession(undefined, tested.work);
      lost.lose();
      tested.lane.drop(lost);
      return [delivery()];
    };
    await turns();
    expect([tested.started, tested.lane.held, tested.released]).toEqual([[], 0, []]);
  });

  it('does not spin when the broker calls a session lost that still believes in itself', async () => {
    const tested = new TestedLane();
    tested.session.onClaim = async () => Promise.reject(new LeaseLostError('says the broker'));
    await turns(50);
    expect(tested.session.claims.length).toBeLessThan(4);
    tested.session.onClaim = undefined;
    tested.push(1);
    await tested.clock.advance(1_000);
    expect(tested.started).toHaveLength(1);
  });
});

describe('a broker that fails', () => {
  it('is asked again with growing pauses, and claims go on when it recovers', async () => {
    const tested = new TestedLane();
    tested.session.onClaim = async () => Promise.reject(new UnavailableError('down'));
    await tested.clock.advance(60_000);
    const tries = tested.session.claims.length;
    expect(tries).toBeGreaterThan(10);
    expect(tries).toBeLessThan(40);
    expect(tested.warnings).toHaveLength(tries);
    tested.session.onClaim = undefined;
    tested.push(1);
    await tested.clock.advance(5_000);
    expect(tested.started).toHaveLength(1);
  });

  it('starts pauses over after it recovered', async () => {
    const tested = new TestedLane();
    let failing = true;
    tested.session.onClaim = async () => {
      if (failing) throw new UnavailableError('down');
      return [];
    };
    await tested.clock.advance(20_000);
    failing = false;
    tested.session.onClaim = undefined;
    await tested.clock.advance(5_000);
    const before = tested.session.claims.length;
    tested.session.onClaim = async () => Promise.reject(new UnavailableError('again'));
    tested.push(1);
    await tested.clock.advance(100);
    expect(tested.session.claims.length).toBeGreaterThan(before);
  });
});

describe('stopping', () => {
  it('ends the loop in every phase: waiting for work, for room, for a pause', async () => {
    const waiting = new TestedLane();
    const full = new TestedLane({ concurrency: 1 });
    full.push(1);
    const failing = new TestedLane();
    failing.session.onClaim = async () => Promise.reject(new UnavailableError('down'));
    await turns();
    for (const tested of [waiting, full, failing]) {
      tested.stop.abort();
      await tested.loop;
      expect(tested.clock.pending).toBe(0);
    }
  });

  it('hands back what was claimed ahead', async () => {
    const tested = new TestedLane({ concurrency: 1, prefetch: 3 });
    tested.push(4);
    await until(() => tested.lane.held === 3);
    tested.stop.abort();
    tested.lane.releaseAll();
    expect([tested.released.length, tested.lane.held]).toEqual([3, 0]);
    await tested.loop;
  });

  it('starts nothing that a claim under way still brings, but hands it back', async () => {
    const tested = new TestedLane({ concurrency: 2 });
    let answer = (_deliveries: Delivery[]): void => {};
    tested.session.onClaim = () => new Promise((resolve) => (answer = resolve));
    await turns();
    tested.stop.abort();
    tested.lane.releaseAll();
    expect(tested.released).toEqual([]);
    const late = [delivery(), delivery()];
    answer(late);
    await tested.loop;
    expect([tested.started, tested.released, tested.lane.held]).toEqual([[], late, 0]);
  });

  it('starts nothing from the line any more when a run ends', async () => {
    const tested = new TestedLane({ concurrency: 1, prefetch: 3 });
    tested.push(4);
    await until(() => tested.lane.held === 3);
    tested.stop.abort();
    tested.finish(1);
    await turns();
    expect(tested.started).toHaveLength(1);
    tested.lane.releaseAll();
    expect(tested.released).toHaveLength(3);
  });
});
