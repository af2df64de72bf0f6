import { readFile } from 'node:fs/promises';
import {
  defineTask,
  exponential,
  fixed,
  handle,
  NonRetryable,
  none,
  RetryAfter,
  Snooze,
  TaskFailedError,
  typed,
  ValidationError,
} from '@millrace/core';
import { describe, expect, it } from 'vitest';
import { createTestKit } from './index.ts';

const sendEmail = defineTask({
  name: 'email.send',
  input: typed<{ to: string }>(),
  output: typed<{ id: string }>(),
  retry: exponential({ attempts: 5, base: '1s', jitter: 'none' }),
});

const minuteMs = 60_000;

describe('createTestKit', () => {
  it('runs a delayed task when its time has come', async () => {
    const sent: string[] = [];
    await using kit = createTestKit({
      handlers: [
        handle(sendEmail, async ({ to }) => {
          sent.push(to);
          return { id: `mail to ${to}` };
        }),
      ],
    });
    const handleOfTask = await kit.client.enqueue(sendEmail, { to: 'a@b.c' }, { delay: '5m' });
    await kit.idle();
    expect(sent).toEqual([]);
    await kit.clock.advance('5m');
    await kit.idle();
    expect(sent).toEqual(['a@b.c']);
    expect(await handleOfTask.result()).toEqual({ id: 'mail to a@b.c' });
    const [task] = await kit.tasks(sendEmail);
    expect(task).toMatchObject({ state: 'succeeded', input: { to: 'a@b.c' }, output: { id: 'mail to a@b.c' } });
    expect(task?.startedAt).toBe(kit.clock.now());
  });

  it('lets a day of retries pass, each exactly when its policy says', async () => {
    const stubborn = defineTask({ name: 'stubborn', retry: fixed({ attempts: 1_000, delay: '5m' }) });
    const times: number[] = [];
    await using kit = createTestKit({
      handlers: [
        handle(stubborn, async () => {
          times.push(kit.clock.now());
          throw new Error('not today');
        }),
      ],
    });
    const start = kit.clock.now();
    await kit.client.enqueue(stubborn, undefined);
    await kit.advance('1d');
    await kit.idle();
    expect(times).toEqual(Array.from({ length: 289 }, (_, run) => start + run * 5 * minuteMs));
    const [task] = await kit.tasks(stubborn);
    expect(task).toMatchObject({ state: 'retrying', attempt: 289 });
  });

  it('works with what handlers can ask for: retry, retry after, snooze, give up', async () => {
    const moody = defineTask({ name: 'moody', input: typed<string>(), retry: fixed({ attempts: 3, delay: '1s' }) });
    const runs: [string, number][] = [];
    await using kit = createTestKit({
      handlers: [
        handle(moody, async (mood, { attempt }) => {
          runs.push([mood, (kit.clock.now() - start) / 1_000]);
          if (mood === 'broken') throw new NonRetryable('broken');
          if (mood === 'busy' && attempt === 1) throw new RetryAfter('10m');
          if (mood === 'sleepy' && runs.filter(([each]) => each === 'sleepy').length === 1) throw new Snooze('1h');
          if (mood === 'bad') throw new Error('bad');
        }),
      ],
    });
    const start = kit.clock.now();
    for (const mood of ['broken', 'busy', 'sleepy', 'bad']) await kit.client.enqueue(moody, mood);
    await kit.idle();
    await kit.advance('2h');
    await kit.idle();
    expect(runs.slice(4)).toEqual([
      ['bad', 1],
      ['bad', 2],
      ['busy', 600],
      ['sleepy', 3_600],
    ]);
    const tasks = await kit.tasks(moody);
    expect(tasks.map(({ input, state, attempt }) => [input, state, attempt])).toEqual([
      ['broken', 'failed', 1],
      ['busy', 'succeeded', 2],
      ['sleepy', 'succeeded', 1],
      ['bad', 'failed', 3],
    ]);
  });

  it('waits for real work, and for tasks that tasks enqueue', async () => {
    const child = defineTask({ name: 'child', input: typed<number>() });
    const parent = defineTask({ name: 'parent' });
    const done: string[] = [];
    await using kit = createTestKit({
      handlers: [
        handle(parent, async (_input, context) => {
          const text = await readFile(import.meta.filename, 'utf8');
          for (let index = 0; index < 3; index++) await context.enqueue(child, text.length * 0 + index);
          done.push('parent');
        }),
        handle(child, async (input) => {
          await readFile(import.meta.filename);
          done.push(`child ${input}`);
        }),
      ],
    });
    await kit.client.enqueue(parent, undefined, { headers: { trace: 't' } });
    await kit.idle();
    expect(done.sort()).toEqual(['child 0', 'child 1', 'child 2', 'parent']);
    expect((await kit.tasks()).map((task) => task.headers)).toEqual(Array(4).fill({ trace: 't' }));
  });

  it('times out, expires and cancels by virtual time', async () => {
    const slow = defineTask({ name: 'slow', timeout: '30s', retry: none() });
    const reasons: unknown[] = [];
    await using kit = createTestKit({
      concurrency: 1,
      handlers: [
        handle(slow, (_input, { signal }) => {
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reasons.push(signal.reason.why);
              reject(signal.reason);
            });
          });
        }),
      ],
      logger: { debug() {}, info() {}, warn() {}, error() {} },
    });
    const first = await kit.client.enqueue(slow, undefined);
    const late = await kit.client.enqueue(slow, undefined, { expires: '10s' });
    const third = await kit.client.enqueue(slow, undefined);
    await kit.advance('30s');
    expect((await first.get())?.failure).toBe('timeout');
    await kit.advance('1s');
    expect(await third.cancel()).toBe('requested');
    await kit.idle();
    expect((await third.get())?.state).toBe('cancelled');
    expect((await late.get())?.failure).toBe('expired');
    expect(reasons).toEqual(['timeout', 'cancelled']);
    await expect(late.result()).rejects.toThrow(TaskFailedError);
  });

  it('gives up waiting for a result by virtual time', async () => {
    await using kit = createTestKit({ handlers: [handle(sendEmail, async () => ({ id: '1' }))] });
    const later = await kit.client.enqueue(sendEmail, { to: 'x' }, { delay: '1h' });
    const result = expect(later.result({ timeout: '10s' })).rejects.toMatchObject({ code: 'ABORTED', why: 'timeout' });
    await kit.advance('1m');
    await result;
  });

  it('reports a worker that could not start', async () => {
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const kit = createTestKit({
      handlers: [handle(sendEmail, async () => ({ id: '1' }))],
      sessionTtl: 1,
      logger: silent,
    });
    await expect(kit.idle()).rejects.toMatchObject({ code: 'VALIDATION', option: 'ttl' });
    await kit.close();
  });

  it('says what keeps it from being idle', async () => {
    const waiting = defineTask({ name: 'waits.for.the.clock' });
    await using kit = createTestKit({
      handlers: [
        handle(waiting, () => new Promise((resolve) => void kit.clock.setTimer(() => resolve(undefined), minuteMs))),
      ],
    });
    await kit.client.enqueue(waiting, undefined);
    await expect(kit.idle({ timeout: 20 })).rejects.toThrow(/waits\.for\.the\.clock .*running.*advance/);
    await kit.advance('1m');
    await kit.idle();
    expect((await kit.tasks(waiting))[0]?.state).toBe('succeeded');
  });

  it('leaves alone what it has no handler for, and paused queues', async () => {
    const other = defineTask({ name: 'other' });
    await using kit = createTestKit({ handlers: [handle(sendEmail, async () => ({ id: '1' }))] });
    await kit.client.queues.pause('default');
    await kit.client.enqueue(other, undefined);
    await kit.client.enqueue(sendEmail, { to: 'x' });
    await kit.idle();
    expect((await kit.tasks()).map((task) => task.state)).toEqual(['pending', 'pending']);
    await kit.client.queues.resume('default');
    await kit.idle();
    expect((await kit.tasks()).map((task) => task.state)).toEqual(['pending', 'succeeded']);
  });

  it('enqueues in transactions', async () => {
    await using kit = createTestKit({ handlers: [handle(sendEmail, async () => ({ id: '1' }))] });
    await kit.broker.open();
    const failed = kit.broker.transaction(async (transaction) => {
      await kit.client.enqueue(sendEmail, { to: 'x' }, { transaction });
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    await kit.idle();
    expect(await kit.tasks()).toEqual([]);
  });

  it('ends at once and for good, even with a deaf handler, and may be closed twice', async () => {
    const deaf = defineTask({ name: 'deaf' });
    const kit = createTestKit({
      handlers: [handle(deaf, () => new Promise(() => {}))],
      logger: { debug() {}, info() {}, warn() {}, error() {} },
    });
    await kit.client.enqueue(deaf, undefined);
    await kit.advance(0);
    expect(kit.worker.running).toBe(1);
    await kit.close();
    await kit.close();
    expect(kit.clock.pendingTimers).toBe(0);
    await expect(kit.idle()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('can be closed before it did anything', async () => {
    const kit = createTestKit({ handlers: [handle(sendEmail, async () => ({ id: '1' }))], start: 5 });
    expect(kit.clock.now()).toBe(5);
    await kit.close();
    expect(() => createTestKit({ handlers: [] })).toThrow(ValidationError);
  });
});

describe('runInline', () => {
  it('calls the handler once, as a worker would, and returns its output or throws', async () => {
    const double = defineTask({ name: 'double', input: typed<{ n: number }>(), output: typed<number>() });
    await using kit = createTestKit({
      handlers: [
        handle(double, async ({ n }, context) => {
          if (n < 0) throw new RangeError(`negative on attempt ${context.attempt}`);
          const saved = context.checkpoint.get();
          await context.checkpoint.set(n);
          context.progress({ done: 1 });
          context.log.info('doubling');
          return n * 2 + (saved === undefined ? 0 : 100) + (context.checkpoint.get() as number) * 1_000;
        }),
      ],
    });
    expect(await kit.runInline(double, { n: 2 })).toBe(2_004);
    expect(await kit.runInline(double, { n: 2 }, { checkpoint: 'x' })).toBe(2_104);
    await expect(kit.runInline(double, { n: -1 }, { attempt: 3 })).rejects.toThrow('negative on attempt 3');
    expect(await kit.tasks()).toEqual([]);
  });

  it('gives the handler a copy, and checks input and output', async () => {
    const strict = defineTask({
      name: 'strict',
      input: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (value: unknown) =>
            typeof value === 'object' ? { value: value as { list: number[] } } : { issues: [{ message: 'no object' }] },
        },
      } as ReturnType<typeof typed<{ list: number[] }>>,
    });
    await using kit = createTestKit({
      handlers: [
        handle(strict, ({ list }) => {
          list.push(1);
          return list.length > 2 ? () => {} : list;
        }),
      ],
    });
    const input = { list: [0] };
    expect(await kit.runInline(strict, input)).toEqual([0, 1]);
    expect(input).toEqual({ list: [0] });
    await expect(kit.runInline(strict, 7 as never)).rejects.toThrow(/no object/);
    await expect(kit.runInline(strict, { list: [0, 1] })).rejects.toMatchObject({
      code: 'VALIDATION',
      option: 'output',
    });
    await expect(kit.runInline(sendEmail, { to: 'x' })).rejects.toThrow(/no handler/);
  });

  it('hands children to the client of the kit', async () => {
    const parent = defineTask({ name: 'parent' });
    await using kit = createTestKit({
      handlers: [
        handle(parent, async (_input, context) => (await context.enqueue(sendEmail, { to: 'child' })).id),
        handle(sendEmail, async () => ({ id: '1' })),
      ],
    });
    await kit.runInline(parent, undefined, { headers: { trace: 't' } });
    await kit.idle();
    expect(await kit.tasks(sendEmail)).toMatchObject([{ state: 'succeeded', headers: { trace: 't' } }]);
  });
});
