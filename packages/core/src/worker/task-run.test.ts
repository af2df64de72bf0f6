import { describe, expect, it } from 'vitest';
import { turns } from '../../test/manual-clock.ts';
import { SingleRun, settleOf } from '../../test/single-run.ts';
import type { SettleOutcome } from '../broker/session.ts';
import { defineTask } from '../define-task.ts';
import type { TaskContext } from './task-context.ts';

const child = defineTask({ name: 'child' });

/** A run whose handler does nothing by itself; the test uses its context. */
function idle(options?: ConstructorParameters<typeof SingleRun>[1]): SingleRun & { readonly context: TaskContext } {
  const single = new SingleRun(() => new Promise(() => {}), options);
  return Object.assign(single, { context: single.run as TaskContext }).start();
}

describe('the context', () => {
  it('tells what was claimed', () => {
    const { context, run } = idle({
      delivery: { attempt: 2, headers: { trace: '1' }, key: 'k', group: 'g', owner: 'o', version: 7, createdAt: 5 },
    });
    expect(context).toMatchObject({
      id: run.delivery.lease.taskId,
      name: 'work',
      queue: 'default',
      attempt: 2,
      maxAttempts: 3,
      fence: run.delivery.lease.fence,
      version: 7,
      headers: { trace: '1' },
      key: 'k',
      group: 'g',
      owner: 'o',
      createdAt: 5,
      deadline: undefined,
    });
    const { context: bare } = idle();
    expect([bare.key, bare.group, bare.owner]).toEqual([undefined, undefined, undefined]);
  });

  it('can be taken apart, as handlers do', async () => {
    const settled = await settleOf((_input, { progress, enqueue, log, checkpoint: { set } }) => {
      progress(0.5);
      log.info('halfway');
      return Promise.all([enqueue(child, 1), set({ page: 2 })]).then(() => 'ok');
    });
    expect(settled).toMatchObject({ type: 'complete', output: '"ok"' });
  });
});

describe('progress', () => {
  it('is sent in the background; the last value wins', async () => {
    const { context, session, clock } = idle();
    context.progress(1);
    context.progress({ done: 2 });
    await clock.advance(100);
    context.progress(undefined);
    await clock.advance(100);
    expect(session.reported.map(({ progress }) => progress)).toEqual(['{"done":2}', 'null']);
  });

  it('refuses what cannot be stored, and says nothing once the run has ended', async () => {
    const { context, run, session, clock } = idle();
    expect(() => context.progress(Number.NaN)).toThrow(expect.objectContaining({ option: 'progress' }));
    run.ended = true;
    context.progress(1);
    await clock.advance(1_000);
    expect(session.reported).toEqual([]);
  });

  it('arrives before the settle: after it, it would be refused', async () => {
    const order: string[] = [];
    const single = new SingleRun((_input, context) => {
      context.progress(1);
      return 'done';
    });
    let pass = (): void => {};
    single.session.onReport = () =>
      new Promise((resolve) => {
        order.push('report sent');
        pass = () => {
          order.push('report answered');
          resolve(['applied']);
        };
      });
    single.session.onSettle = async () => {
      order.push('settle');
      return ['applied'];
    };
    single.start();
    await turns();
    expect([order, single.endings]).toEqual([['report sent'], 1]);
    pass();
    await single.settled();
    expect(order).toEqual(['report sent', 'report answered', 'settle']);
  });

  it('arrives before the settle also when it was on its way already', async () => {
    const order: string[] = [];
    let finish = (): void => {};
    const single = new SingleRun(
      () =>
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
    );
    let pass = (): void => {};
    single.session.onReport = () => new Promise((resolve) => (pass = () => resolve(['applied'])));
    single.session.onSettle = async () => {
      order.push('settle');
      return ['applied'];
    };
    single.start();
    single.run.progress(1);
    await single.clock.advance(100);
    finish();
    await turns();
    expect(order).toEqual([]);
    pass();
    await single.settled();
    expect(order).toEqual(['settle']);
  });
});

describe('checkpoint', () => {
  it('starts from what an earlier attempt saved', () => {
    expect(idle({ delivery: { checkpoint: '{"page":3}' } }).context.checkpoint.get()).toEqual({ page: 3 });
    expect(idle().context.checkpoint.get()).toBeUndefined();
  });

  it('resolves when the broker has it, and gives it back', async () => {
    const { context, session, clock } = idle();
    await context.checkpoint.set({ page: 4 });
    expect(context.checkpoint.get()).toEqual({ page: 4 });
    await context.checkpoint.set(undefined);
    expect(context.checkpoint.get()).toBeNull();
    expect(session.reported.map(({ checkpoint }) => checkpoint)).toEqual(['{"page":4}', 'null']);
    expect(clock.pending).toBe(0);
  });

  it('gives out copies', async () => {
    const { context } = idle();
    const value = { list: [1] };
    await context.checkpoint.set(value);
    value.list.push(2);
    (context.checkpoint.get() as { list: number[] }).list.push(3);
    expect(context.checkpoint.get()).toEqual({ list: [1] });
  });

  it.each<[string, SettleOutcome, string]>([
    ['the lease is gone', 'stale', 'LEASE_LOST'],
    ['the broker did not answer', 'unknown', 'INDETERMINATE'],
  ])('rejects when %s, and keeps what was saved before', async (_name, outcome, code) => {
    const { context, session } = idle({ delivery: { checkpoint: '1' } });
    session.onReport = async () => [outcome];
    await expect(context.checkpoint.set(2)).rejects.toMatchObject({ code, op: 'checkpoint.set' });
    expect(context.checkpoint.get()).toBe(1);
  });

  it('rejects for a run that has ended, and for one that ends meanwhile', async () => {
    const { context, run, session } = idle();
    session.onReport = async () => {
      run.ended = true;
      return ['unknown'];
    };
    await expect(context.checkpoint.set(1)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await expect(context.checkpoint.set(1)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(session.reported).toHaveLength(1);
  });

  it('refuses what cannot be stored', async () => {
    await expect(idle().context.checkpoint.set(() => {})).rejects.toMatchObject({ option: 'checkpoint' });
  });
});

describe('a value larger than the broker keeps', () => {
  const large = 'x'.repeat(9_999);
  const refusal = {
    code: 'VALIDATION',
    reason: 'payload-too-large',
    message: expect.stringMatching(/takes 10001 bytes, more than the 10000 /),
  };

  it('is refused as a checkpoint; the one before stays, and the run goes on', async () => {
    const { context, session } = idle({ delivery: { checkpoint: '1' } });
    await expect(context.checkpoint.set(large)).rejects.toMatchObject({ ...refusal, option: 'checkpoint' });
    expect([context.checkpoint.get(), session.reported]).toEqual([1, []]);
    await context.checkpoint.set(large.slice(1));
    expect(session.reported).toHaveLength(1);
  });

  it('is refused as progress; a handler that does not care goes on, one that does not look fails', async () => {
    expect(() => idle().context.progress(large)).toThrow(expect.objectContaining({ ...refusal, option: 'progress' }));
    const careless = await settleOf((_input, { progress }) => progress(large));
    expect(careless).toMatchObject({ type: 'retry', failure: { name: 'ValidationError' } });
  });

  it('is cut as a line of the log', async () => {
    const { context, session } = idle();
    context.log.info({ large }, large);
    await context.checkpoint.set(1);
    expect(session.reported[0]?.log?.[0]?.message).toBe(large.slice(0, 2_000));
  });
});

describe('log', () => {
  it('goes to the worker’s logger with the task named, and is kept with the task', async () => {
    const { context, session, clock, logged, run } = idle();
    context.log.warn({ left: 3 }, 'slow');
    context.log.info('plain');
    expect(logged).toEqual([
      {
        level: 'warn',
        fields: { taskId: run.id, task: 'work', queue: 'default', attempt: 1, left: 3 },
        message: 'slow',
      },
      { level: 'info', fields: expect.objectContaining({ taskId: run.id }), message: 'plain' },
    ]);
    const at = clock.now();
    await clock.advance(100);
    expect(session.reported[0]?.log).toEqual([
      { level: 'warn', message: 'slow {"left":3}', at },
      { level: 'info', message: 'plain', at },
    ]);
  });

  it('survives fields that cannot be written, and bounds what is kept', async () => {
    const { context, session, clock } = idle();
    const circular: { self?: unknown } = {};
    circular.self = circular;
    context.log.error({ circular }, 'odd');
    context.log.debug(`${'x'.repeat(1_999)}😀`);
    await clock.advance(100);
    expect(session.reported[0]?.log?.map(({ message }) => message)).toEqual(['odd', `${'x'.repeat(1_999)}\ufffd`]);
  });

  it('still reaches the logger once the run has ended, but not the task', async () => {
    const { context, run, session, clock, logged } = idle();
    run.ended = true;
    context.log.info('late');
    await clock.advance(1_000);
    expect([logged.length, session.reported.length]).toEqual([1, 0]);
  });
});

describe('enqueue', () => {
  it('passes the task’s headers on to its children; the call’s own win', async () => {
    const { context, broker, run } = idle({ delivery: { headers: { trace: '1', tenant: 'a' } } });
    const handle = await context.enqueue(child, { n: 1 }, { headers: { tenant: 'b', more: 'c' }, delay: '5s' });
    expect(broker.enqueued).toEqual([
      expect.objectContaining({
        id: handle.id,
        name: 'child',
        input: '{"n":1}',
        delayMs: 5_000,
        headers: { trace: '1', tenant: 'b', more: 'c' },
      }),
    ]);
    await context.enqueue(child, 2);
    expect(broker.enqueued[1]?.headers).toEqual({ trace: '1', tenant: 'a' });
    expect(run.headers).toEqual({ trace: '1', tenant: 'a' });
  });
});
