import type { StandardSchemaV1 } from '@standard-schema/spec';
import { describe, expect, it } from 'vitest';
import { turns } from '../../test/manual-clock.ts';
import { SingleRun, type SingleRunOptions } from '../../test/single-run.ts';
import { defineTask } from '../define-task.ts';
import { AbortedError, LeaseLostError } from '../errors.ts';
import { none } from '../retry-policy.ts';
import type { StopRequest } from '../task.ts';
import type { TaskContext } from './task-context.ts';

/** A run whose handler ends when the test says so. */
class HeldRun extends SingleRun {
  readonly context: TaskContext;
  readonly finish: (value?: unknown) => void;
  readonly fail: (error: unknown) => void;

  constructor(options: SingleRunOptions = {}) {
    let finish = (_value?: unknown): void => {};
    let fail = (_error: unknown): void => {};
    const held = new Promise((resolve, reject) => {
      finish = resolve;
      fail = reject;
    });
    let seen: TaskContext | undefined;
    super((_input, context) => {
      seen = context;
      return held;
    }, options);
    this.finish = finish;
    this.fail = fail;
    this.start();
    this.context = seen!;
  }

  ask(request: StopRequest): void {
    this.run.requested = request;
    this.run.abort(new AbortedError('cancelled', `a ${request} was requested`));
  }

  shutDown(): void {
    this.run.abort(new AbortedError('shutdown', 'the worker is shutting down'));
  }
}

const late = (how: 'finished' | 'failed'): string =>
  `a handler ${how} after its run had ended; its outcome was dropped`;

describe('a timeout', () => {
  const limited = { delivery: { timeoutMs: 5_000 } };

  it('aborts the signal, frees the slot and fails the attempt, while the handler still runs', async () => {
    const held = new HeldRun(limited);
    expect(held.context.deadline).toEqual(new Date(held.clock.now() + 5_000));
    await held.clock.advance(4_999);
    expect([held.endings, held.context.signal.aborted]).toEqual([0, false]);
    await held.clock.advance(1);
    expect(await held.settled()).toMatchObject({
      type: 'retry',
      delayMs: 1_000,
      failure: { kind: 'timeout', name: 'AbortedError', message: 'the attempt took longer than 5000 ms' },
    });
    expect(held.context.signal.reason).toMatchObject({ code: 'ABORTED', why: 'timeout' });
  });

  it('is the last word on the last attempt', async () => {
    const held = new HeldRun({ delivery: { timeoutMs: 5_000, attempt: 3 } });
    await held.clock.advance(5_000);
    expect(await held.settled()).toMatchObject({ type: 'fail', failure: { kind: 'timeout' } });
  });

  it('drops and reports a late success (RTY-09)', async () => {
    const held = new HeldRun(limited);
    await held.clock.advance(5_000);
    held.finish('late');
    expect(await held.settled()).toMatchObject({ type: 'retry' });
    expect(held.warnings).toEqual([late('finished')]);
    expect(held.logged.at(-1)?.fields).toMatchObject({ taskId: held.run.id, task: 'work', attempt: 1 });
  });

  it('drops and reports a late failure, with its error', async () => {
    const held = new HeldRun(limited);
    await held.clock.advance(5_000);
    const error = new Error('late');
    held.fail(error);
    await held.settled();
    expect(held.warnings).toEqual([late('failed')]);
    expect(held.logged.at(-1)?.fields).toMatchObject({ error });
  });

  it('drops a success whose output was still being checked', async () => {
    let pass = (): void => {};
    const output: StandardSchemaV1 = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => new Promise((resolve) => (pass = () => resolve({ value }))),
      },
    };
    const definition = defineTask({ name: 'work', output, retry: none() });
    const held = new HeldRun({ definition, delivery: { timeoutMs: 5_000, maxAttempts: 1 } });
    held.finish('almost');
    await held.clock.advance(5_000);
    pass();
    expect(await held.settled()).toMatchObject({ type: 'fail', failure: { kind: 'timeout' } });
    expect(held.warnings).toEqual([late('finished')]);
  });

  it('is forgotten when the handler is in time', async () => {
    const held = new HeldRun(limited);
    held.finish('in time');
    expect(await held.settled()).toMatchObject({ type: 'complete' });
    expect(held.clock.pending).toBe(0);
    expect(held.context.signal.aborted).toBe(false);
  });

  it('counts checking the input, and never starts a handler whose time is over', async () => {
    let pass = (): void => {};
    const input: StandardSchemaV1 = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => new Promise((resolve) => (pass = () => resolve({ value }))),
      },
    };
    let runs = 0;
    const definition = defineTask({ name: 'work', input });
    const single = new SingleRun(() => void runs++, { definition, delivery: { timeoutMs: 5_000, maxAttempts: 1 } });
    single.start();
    await single.clock.advance(5_000);
    pass();
    expect(await single.settled()).toMatchObject({ type: 'fail', failure: { kind: 'timeout' } });
    expect(runs).toBe(0);
  });
});

describe('a stop that a user asked for', () => {
  it.each<[StopRequest, string]>([
    ['cancel', 'cancel'],
    ['pause', 'pause'],
    ['remove', 'cancel'],
  ])('%s comes to rest when the handler throws, whatever it throws', async (request, type) => {
    for (const error of [undefined, new Error('stopped'), 'text']) {
      const held = new HeldRun({ delivery: { attempt: 3 } });
      held.ask(request);
      expect(held.context.signal.aborted).toBe(true);
      held.fail(error);
      expect(await held.settled()).toEqual({ type, lease: held.run.delivery.lease });
    }
  });

  it.each<StopRequest>(['cancel', 'pause', 'remove'])(
    '%s lets work that was finished stay finished',
    async (request) => {
      const held = new HeldRun();
      held.ask(request);
      held.finish('done');
      expect(await held.settled()).toMatchObject({ type: 'complete', output: '"done"' });
    },
  );

  it('is honoured when the handler runs into its timeout instead', async () => {
    const held = new HeldRun({ delivery: { timeoutMs: 5_000 } });
    held.ask('pause');
    await held.clock.advance(5_000);
    expect(await held.settled()).toMatchObject({ type: 'pause' });
  });

  it('keeps the handler from beginning while its input is being checked', async () => {
    let pass = (): void => {};
    const input: StandardSchemaV1 = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => new Promise((resolve) => (pass = () => resolve({ value }))),
      },
    };
    let runs = 0;
    const single = new SingleRun(() => void runs++, { definition: defineTask({ name: 'work', input }) }).start();
    single.run.requested = 'cancel';
    single.run.abort(new AbortedError('cancelled', 'a cancel was requested'));
    pass();
    expect(await single.settled()).toMatchObject({ type: 'cancel' });
    expect(runs).toBe(0);
  });
});

describe('a shutdown', () => {
  it('hands the task back when the handler throws: it has not failed', async () => {
    const held = new HeldRun({ delivery: { attempt: 3 } });
    held.shutDown();
    held.fail(held.context.signal.reason);
    expect(await held.settled()).toEqual({ type: 'release', lease: held.run.delivery.lease });
    expect(held.run.settledAs).toBe('release');
  });

  it('lets work that was finished stay finished', async () => {
    const held = new HeldRun();
    held.shutDown();
    held.finish();
    expect(await held.settled()).toMatchObject({ type: 'complete' });
  });

  it('does not take the place of what a user asked for first', async () => {
    const held = new HeldRun();
    held.ask('cancel');
    held.shutDown();
    expect(held.context.signal.reason).toMatchObject({ why: 'cancelled' });
    held.fail(new Error('stopped'));
    expect(await held.settled()).toMatchObject({ type: 'cancel' });
  });

  it('skips a run that has not begun', async () => {
    let runs = 0;
    const single = new SingleRun(() => void runs++);
    single.runner.skip(single.run);
    expect(await single.settled()).toMatchObject({ type: 'release' });
    const cancelled = new SingleRun(() => void runs++);
    cancelled.run.requested = 'remove';
    cancelled.runner.skip(cancelled.run);
    expect(await cancelled.settled()).toMatchObject({ type: 'cancel' });
    expect(runs).toBe(0);
  });
});

describe('a lost session (LSE-11)', () => {
  it('aborts with LeaseLostError, frees the slot once and settles nothing', async () => {
    const held = new HeldRun({ delivery: { timeoutMs: 5_000 } });
    const reason = new LeaseLostError('silent for too long');
    held.runner.lose(held.run, reason);
    held.runner.lose(held.run, new Error('again'));
    expect(held.context.signal.reason).toBe(reason);
    held.finish('late');
    await turns();
    await held.clock.advance(10_000);
    expect([held.endings, held.session.settled, held.clock.pending]).toEqual([1, [], 0]);
    expect(held.warnings).toEqual([late('finished')]);
  });

  it('wraps a reason of another kind', () => {
    const held = new HeldRun();
    const cause = new Error('odd');
    held.runner.lose(held.run, cause);
    expect(held.context.signal.reason).toMatchObject({ code: 'LEASE_LOST', cause });
  });

  it('changes nothing for a run that was settled already', async () => {
    const held = new HeldRun();
    held.finish();
    await held.settled();
    held.runner.lose(held.run, new LeaseLostError('late'));
    expect([held.endings, held.context.signal.aborted]).toEqual([1, false]);
  });
});

describe('the signal', () => {
  it('is aborted already for a handler that looks late', async () => {
    const held = new HeldRun();
    held.shutDown();
    expect(held.context.signal.aborted).toBe(true);
    expect(held.context.signal).toBe(held.context.signal);
  });

  it('keeps its first reason', () => {
    const held = new HeldRun();
    const { signal } = held.context;
    held.shutDown();
    held.run.abort(new Error('second'));
    expect(signal.reason).toMatchObject({ why: 'shutdown' });
  });
});
