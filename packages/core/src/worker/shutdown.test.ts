import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock, turns, until } from '../../test/manual-clock.ts';
import { delivery, ScriptedBroker } from '../../test/scripted-broker.ts';
import type { Delivery } from '../broker/session.ts';
import { defineTask } from '../define-task.ts';
import { UnavailableError } from '../errors.ts';
import { silentLogger } from '../logger.ts';
import { createWorker, type Worker } from './create-worker.ts';
import { handle } from './handle.ts';
import type { TaskContext } from './task-context.ts';
import type { WorkerOptions } from './worker-options.ts';

const work = defineTask({ name: 'work' });
const nothing = { drained: 0, released: 0, unconfirmed: 0, abandoned: 0 };

interface Run {
  readonly context: TaskContext;
  readonly finish: () => void;
  readonly fail: (error: unknown) => void;
}

let broker: ScriptedBroker;
let clock: ManualClock;
let runs: Run[];
const rejections: unknown[] = [];
const noteRejection = (reason: unknown): void => void rejections.push(reason);

beforeEach(() => {
  broker = new ScriptedBroker();
  clock = new ManualClock();
  runs = [];
  process.on('unhandledRejection', noteRejection);
});

afterEach(async () => {
  await turns();
  process.off('unhandledRejection', noteRejection);
  expect(rejections.splice(0)).toEqual([]);
});

function create(options: Partial<WorkerOptions> = {}): Worker {
  const handler = handle(
    work,
    (_input, context) => new Promise<void>((finish, fail) => void runs.push({ context, finish, fail })),
  );
  return createWorker({
    broker,
    handlers: [handler],
    clock,
    logger: silentLogger,
    maintenance: false,
    drain: '20s',
    grace: '5s',
    ...options,
  });
}

/** A started worker with so many runs under way. */
async function running(count: number, options: Partial<WorkerOptions> = {}): Promise<Worker> {
  const worker = create({ concurrency: Math.max(1, count), ...options });
  await worker.start();
  broker.push(...Array.from({ length: count }, () => delivery()));
  await until(() => runs.length === count);
  return worker;
}

const settles = (): string[] => broker.session.settled.map(({ type }) => type);

describe('a graceful stop', () => {
  it('ends claims and lets handlers finish (SHD-01)', async () => {
    const worker = await running(2);
    const stopped = worker.stop();
    broker.push(delivery());
    await clock.advance(19_000);
    expect(runs.map(({ context }) => context.signal.aborted)).toEqual([false, false]);
    for (const { finish } of runs) finish();
    await clock.advance(10);
    expect(await stopped).toEqual({ drained: 2, released: 0, unconfirmed: 0, abandoned: 0 });
    expect([settles(), runs.length, broker.session.ended, broker.closed]).toEqual([['complete', 'complete'], 2, 1, 1]);
    expect(clock.pending).toBe(0);
  });

  it('takes a claim that waits for work back at once (SHD-06)', async () => {
    const worker = await running(0);
    await turns();
    expect(broker.session.claims).toHaveLength(1);
    expect(await worker.stop()).toEqual(nothing);
  });

  it('hands back what was claimed ahead', async () => {
    const worker = create({ concurrency: 1, prefetch: 3 });
    await worker.start();
    broker.push(...Array.from({ length: 4 }, () => delivery()));
    await until(() => runs.length === 1 && broker.work.length === 0);
    const stopped = worker.stop();
    await until(() => settles().length === 3);
    expect(settles()).toEqual(['release', 'release', 'release']);
    runs[0]?.finish();
    await clock.advance(10);
    expect(await stopped).toEqual({ drained: 1, released: 3, unconfirmed: 0, abandoned: 0 });
    expect(runs).toHaveLength(1);
  });

  it('aborts after the drain; what stops then is handed back, what finishes is done (SHD-02)', async () => {
    const worker = await running(3);
    const stopped = worker.stop();
    await clock.advance(20_000);
    expect(runs.map(({ context }) => context.signal.reason?.why)).toEqual(['shutdown', 'shutdown', 'shutdown']);
    runs[0]?.fail(runs[0].context.signal.reason);
    runs[1]?.finish();
    runs[2]?.fail(new Error('of its own'));
    await clock.advance(10);
    expect(await stopped).toEqual({ drained: 1, released: 2, unconfirmed: 0, abandoned: 0 });
    expect(settles()).toEqual(['release', 'complete', 'release']);
  });

  it('hands back without them what does not stop in time, and drops what they do later', async () => {
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (_fields: unknown, message?: string) => void warnings.push(message ?? '') };
    const worker = await running(2, { logger });
    const stopped = worker.stop();
    await clock.advance(25_000);
    expect(await stopped).toEqual({ drained: 0, released: 2, unconfirmed: 0, abandoned: 2 });
    expect(settles()).toEqual(['release', 'release']);
    runs[0]?.finish();
    runs[1]?.fail(new Error('late'));
    await turns();
    expect(settles()).toHaveLength(2);
    expect(warnings).toEqual([expect.stringContaining('finished after'), expect.stringContaining('failed after')]);
  });

  it('counts a run whose session is lost meanwhile neither as drained nor as released', async () => {
    const worker = await running(2);
    const stopped = worker.stop();
    await turns();
    runs[0]?.finish();
    await turns();
    broker.session.lose();
    await clock.advance(10);
    expect(await stopped).toEqual({ drained: 1, released: 0, unconfirmed: 0, abandoned: 0 });
  });

  it('starts nothing that a claim under way still brings, and hands it back', async () => {
    const worker = await running(0);
    let answer = (_deliveries: Delivery[]): void => {};
    broker.session.onClaim = () => new Promise((resolve) => (answer = resolve));
    // The claim that was made before waits for work; what it gets makes the lane claim again.
    broker.push(delivery());
    await until(() => runs.length === 1);
    runs[0]?.finish();
    await until(() => broker.session.claims.length > 1);
    const stopped = worker.stop();
    await turns();
    answer([delivery(), delivery()]);
    await clock.advance(10);
    expect(await stopped).toEqual({ drained: 0, released: 2, unconfirmed: 0, abandoned: 0 });
    expect([runs.length, settles()]).toEqual([1, ['complete', 'release', 'release']]);
  });

  it('waits for the settles, and for reports before them', async () => {
    const worker = await running(1);
    const order: string[] = [];
    broker.session.onReport = async (reports) => {
      order.push('report');
      await turns();
      return reports.map(() => 'applied');
    };
    broker.session.onSettle = async (operations) => {
      order.push('settle');
      await turns();
      order.push('settled');
      return operations.map(() => 'applied');
    };
    broker.session.onEnd = async () => void order.push('end');
    broker.onClose = async () => void order.push('close');
    runs[0]?.context.progress(1);
    const stopped = worker.stop();
    await turns();
    runs[0]?.finish();
    await clock.advance(10);
    await until(() => broker.closed === 1);
    await stopped;
    expect(order).toEqual(['report', 'settle', 'settled', 'end', 'close']);
  });
});

describe('a stop at any time (SHD-03)', () => {
  it('before the start', async () => {
    const worker = create();
    expect(await worker.stop()).toEqual(nothing);
    expect([broker.opened, broker.closed]).toEqual([0, 1]);
  });

  it('while the broker is opening', async () => {
    const worker = create();
    let opened = (): void => {};
    broker.onOpen = () => new Promise((resolve) => (opened = resolve));
    const started = worker.start();
    const stopped = worker.stop();
    await turns();
    expect(broker.closed).toBe(0);
    opened();
    await started;
    expect(await stopped).toEqual(nothing);
    expect([broker.sessions.length, broker.closed]).toEqual([0, 1]);
  });

  it('while the session is opening: it is ended', async () => {
    const worker = create();
    let opened = (): void => {};
    broker.onOpenSession = () => new Promise((resolve) => (opened = resolve));
    const started = worker.start();
    await turns();
    const stopped = worker.stop();
    opened();
    await started;
    expect(await stopped).toEqual(nothing);
    expect([broker.session.ended, broker.session.claims]).toEqual([1, []]);
  });

  it('while the session cannot be opened', async () => {
    const worker = create();
    broker.onOpenSession = async () => Promise.reject(new UnavailableError('down'));
    const refused = expect(worker.start()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await turns();
    expect(await worker.stop()).toEqual(nothing);
    await refused;
    expect(clock.pending).toBe(0);
  });

  it('while a lost session is being replaced', async () => {
    const worker = await running(0);
    broker.onOpenSession = async () => Promise.reject(new UnavailableError('down'));
    broker.session.lose();
    await turns();
    expect(await worker.stop()).toEqual(nothing);
    expect(clock.pending).toBe(0);
  });

  it('from inside a handler, as long as that does not wait for it', async () => {
    const stops: Promise<unknown>[] = [];
    const worker: Worker = createWorker({
      broker,
      clock,
      logger: silentLogger,
      maintenance: false,
      handlers: [handle(work, () => void stops.push(worker.stop()))],
    });
    broker.push(delivery());
    await worker.start();
    await until(() => stops.length === 1);
    expect(await stops[0]).toMatchObject({ abandoned: 0 });
    expect(settles()).toEqual(['complete']);
  });

  it('twice: both get the same report', async () => {
    const worker = await running(1);
    const both = Promise.all([worker.stop(), worker.stop()]);
    await turns();
    runs[0]?.finish();
    await clock.advance(10);
    const [first, second] = await both;
    expect(first).toEqual({ drained: 1, released: 0, unconfirmed: 0, abandoned: 0 });
    expect(second).toBe(first);
    expect(await worker.stop()).toBe(first);
    expect([broker.session.ended, broker.closed]).toEqual([1, 1]);
  });
});

describe('a forced stop', () => {
  it('aborts and hands back at once', async () => {
    const worker = await running(2);
    expect(await worker.stop({ force: true })).toEqual({ drained: 0, released: 2, unconfirmed: 0, abandoned: 2 });
    expect(runs.map(({ context }) => context.signal.reason?.why)).toEqual(['shutdown', 'shutdown']);
    expect(settles()).toEqual(['release', 'release']);
    expect(clock.monotonic()).toBe(0);
  });

  it('cuts a graceful one short, in the drain and in the grace', async () => {
    for (const waited of [1_000, 22_000]) {
      broker = new ScriptedBroker();
      runs = [];
      const worker = await running(1);
      const stopped = worker.stop();
      const before = clock.monotonic();
      await clock.advance(waited);
      expect(runs[0]?.context.signal.aborted).toBe(waited > 20_000);
      const forced = worker.stop({ force: true });
      expect(await forced).toEqual({ drained: 0, released: 1, unconfirmed: 0, abandoned: 1 });
      expect(await stopped).toBe(await forced);
      expect(clock.monotonic()).toBe(before + waited);
    }
  });
});

describe('a broker that fails during the stop', () => {
  const never = (): Promise<never> => new Promise(() => {});

  it.each<[string, number, () => void]>([
    ['settles never answer', 0, () => (broker.session.onSettle = never)],
    // The settle of a run follows what it reported.
    ['reports never answer', 1, () => (broker.session.onReport = never)],
    ['claims never end', 2, () => (broker.session.onClaim = never)],
    ['the session never ends', 2, () => (broker.session.onEnd = never)],
    ['the session’s end fails', 2, () => (broker.session.onEnd = async () => Promise.reject(new Error('down')))],
    ['settles are never known', 0, () => (broker.session.onSettle = async (all) => all.map(() => 'unknown'))],
    ['settles throw', 0, () => (broker.session.onSettle = async () => Promise.reject(new Error('down')))],
    ['closing fails', 2, () => (broker.onClose = async () => Promise.reject(new Error('down')))],
    ['closing never ends', 2, () => (broker.onClose = never)],
  ])('ends within 5 s when %s, counts what was confirmed, and leaves no timer', async (_name, drained, spoil) => {
    const worker = await running(2);
    spoil();
    runs[0]?.context.progress(1);
    let report: unknown;
    void worker.stop().then((value) => (report = value));
    await turns();
    for (const { finish } of runs) finish();
    await clock.advance(5_010);
    expect(report).toEqual({ drained, released: 0, unconfirmed: 2 - drained, abandoned: 0 });
    expect([broker.session.ended, broker.closed, clock.pending]).toEqual([1, 1, 0]);
  });

  it('ends a forced stop within 2 s although nothing answers, and claims no release', async () => {
    const worker = await running(2, { prefetch: 1 });
    const { session } = broker;
    session.onSettle = session.onReport = session.onClaim = session.onEnd = broker.onClose = never;
    let report: unknown;
    void worker.stop({ force: true }).then((value) => (report = value));
    await clock.advance(2_000);
    expect(report).toEqual({ drained: 0, released: 0, unconfirmed: 2, abandoned: 2 });
    expect([session.ended, broker.closed, clock.pending]).toEqual([1, 1, 0]);
  });

  it('shortens a farewell under way to 2 s when it is forced', async () => {
    const worker = await running(1);
    broker.session.onSettle = broker.session.onEnd = broker.onClose = never;
    let report: unknown;
    void worker.stop().then((value) => (report = value));
    runs[0]?.finish();
    await clock.advance(1_000);
    void worker.stop({ force: true });
    await clock.advance(1_990);
    expect(report).toBeUndefined();
    await clock.advance(10);
    expect(report).toEqual({ drained: 0, released: 0, unconfirmed: 1, abandoned: 0 });
  });

  it('counts a release only when the broker has taken it', async () => {
    const worker = await running(3);
    broker.session.onSettle = async () => ['applied', 'stale', 'applied'];
    expect(await worker.stop({ force: true })).toEqual({ drained: 0, released: 2, unconfirmed: 0, abandoned: 3 });
  });

  it('does not wait longer for a broker that cannot be opened', async () => {
    const worker = create();
    broker.onOpen = never;
    void worker.start();
    let report: unknown;
    void worker.stop({ force: true }).then((value) => (report = value));
    await clock.advance(2_000);
    expect([report, broker.closed]).toEqual([nothing, 1]);
  });

  it('does not wait longer for an enqueue of a handler', async () => {
    const worker = createWorker({
      broker,
      clock,
      logger: silentLogger,
      maintenance: false,
      handlers: [handle(work, (_input, context) => void context.enqueue(work, 1))],
    });
    broker.onEnqueue = never;
    broker.push(delivery());
    await worker.start();
    await until(() => settles().length === 1 && broker.batches.length === 1);
    let report: unknown;
    void worker.stop().then((value) => (report = value));
    await clock.advance(5_000);
    expect(report).toMatchObject({ unconfirmed: 0 });
  });

  it('says so when the broker does not close', async () => {
    const warnings: unknown[] = [];
    const logger = { ...silentLogger, warn: (...line: unknown[]) => void warnings.push(line) };
    const worker = await running(0, { logger });
    const error = new Error('stuck');
    broker.onClose = async () => Promise.reject(error);
    await worker.stop();
    expect(warnings).toEqual([[{ error }, 'the broker did not close']]);
  });
});
