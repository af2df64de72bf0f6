import {
  delays,
  exponential,
  NonRetryable,
  none,
  RetryAfter,
  Snooze,
  type TaskContext,
  type TaskRecord,
} from '@millrace/core';
import { hire, job, producer } from '../context/crew.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { freezing, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** RTY: retries as workers make them, on this broker. What is stored of failures is in worker-failure.ts. */
export const workerRetry: readonly Scenario[] = [
  {
    id: 'RTY-01',
    rule: 'R-RTY-1',
    title: 'a throwing handler runs until its attempts are used up, 1 … n without gaps, and is dead once',
    tier: 'core',
    async run(t) {
      const attempts: number[] = [];
      const { definition, handler } = job((_input, { attempt }) => {
        attempts.push(attempt);
        throw new Error(`attempt ${attempt}`);
      });
      const { worker } = await hire(t, [handler]);
      const { id } = await producer(t).enqueue(definition, null, { attempts: 5 });
      await t.eventually(() => attempts.length >= 5, 'five runs');
      await endOf(t, id);
      await t.soon(worker.stop(), 'the stop of the worker');
      t.equal(attempts, [1, 2, 3, 4, 5], 'attempts');
      await (await t.holder()).claimsNothing();
      await t.inState(id, 'failed', 'the state');
    },
  },
  {
    id: 'RTY-02',
    rule: 'R-RTY-2',
    title: 'one attempt means one run; numbers of attempts that make no sense are refused',
    tier: 'core',
    async run(t) {
      let runs = 0;
      const { definition, handler } = job(
        () => {
          runs += 1;
          throw new Error('once');
        },
        { retry: none() },
      );
      const client = producer(t);
      for (const attempts of [0, -1, 1.5, Number.NaN, 2 ** 31]) {
        await t.refuses(
          () => client.enqueue(definition, null, { attempts }),
          { code: 'VALIDATION', option: 'attempts' },
          `${attempts} attempts`,
        );
      }
      const { worker } = await hire(t, [handler]);
      const { id } = await client.enqueue(definition, null);
      await t.eventually(() => runs > 0, 'a run');
      await endOf(t, id);
      await t.soon(worker.stop(), 'the stop of the worker');
      await (await t.holder()).claimsNothing();
      t.equal(runs, 1, 'runs');
    },
  },
  {
    id: 'RTY-03',
    rule: 'R-RTY-3',
    title: 'retries start no earlier than their policy says, and the cap is kept',
    tier: 'core',
    patience: 2,
    async run(t) {
      const base = Math.max(Math.round(t.unitMs), t.capabilities.delay.granularityMs);
      const times: number[] = [];
      const { definition, handler } = job(
        () => {
          times.push(t.now());
          throw new Error('again');
        },
        { retry: exponential({ attempts: 5, base, max: 3 * base, jitter: 'none' }) },
      );
      await hire(t, [handler]);
      await producer(t).enqueue(definition, null);
      await t.eventually(() => times.length >= 5, 'five runs', 10 * base + t.budgetMs);
      const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
      for (const [index, least] of [base, 2 * base, 3 * base, 3 * base].entries()) {
        t.between(
          gaps[index],
          least - t.capabilities.timePrecisionMs,
          least + t.budgetMs,
          `the gap before run ${index + 2}`,
        );
      }
    },
  },
  {
    id: 'RTY-04',
    rule: 'R-RTY-4',
    title: 'jitter stays in its bounds and really varies',
    tier: 'core',
    needs: [taskStore('get')],
    async run(t) {
      const hourMs = 3_600_000;
      let runs = 0;
      const { definition, handler } = job(
        () => {
          runs += 1;
          throw new Error('again');
        },
        { retry: exponential({ attempts: 2, base: hourMs, jitter: 'equal' }) },
      );
      const { worker } = await hire(t, [handler]);
      const handles = await producer(t).enqueueMany(
        definition,
        Array.from({ length: 40 }, () => ({ input: null })),
      );
      await t.eventually(() => runs >= 40, '40 runs');
      await t.soon(worker.stop(), 'the stop of the worker');
      const records = await t.tasks.get(handles.map((handle) => handle.id));
      const spans = records.map((record) => (record?.runAt ?? 0) - (record?.errors[0]?.at ?? 0));
      for (const span of spans) t.between(span, hourMs / 2 - 1, hourMs + t.capabilities.delay.granularityMs, 'a delay');
      t.ok(new Set(spans).size >= 38, 'at most two of forty delays are equal');
    },
  },
  {
    id: 'RTY-05',
    rule: 'R-RTY-5',
    title: 'NonRetryable ends the task at once; RetryAfter chooses the delay; Snooze waits without charging',
    tier: 'core',
    async run(t) {
      const wait = Math.max(Math.round(2 * t.unitMs), t.capabilities.delay.granularityMs);
      const runs: { input: unknown; attempt: number; at: number }[] = [];
      const { definition, handler } = job(
        (input, { attempt }) => {
          const before = runs.filter((run) => run.input === input).length;
          runs.push({ input, attempt, at: t.now() });
          if (input === 'never') throw new NonRetryable('no use');
          if (before > 0) return 'done';
          throw input === 'later' ? new RetryAfter(wait) : new Snooze(wait);
        },
        { retry: delays(['1h', '1h']) },
      );
      await hire(t, [handler]);
      const client = producer(t);
      const handles = [];
      for (const input of ['never', 'later', 'snooze']) handles.push(await client.enqueue(definition, input));
      await t.eventually(() => runs.length >= 5, 'five runs', wait + t.budgetMs);
      for (const { id } of handles) await endOf(t, id);
      const of = (input: string): typeof runs => runs.filter((run) => run.input === input);
      t.equal(
        of('never').map((run) => run.attempt),
        [1],
        'attempts of the one that gave up',
      );
      t.equal(
        of('later').map((run) => run.attempt),
        [1, 2],
        'attempts of the one that chose its delay',
      );
      t.equal(
        of('snooze').map((run) => run.attempt),
        [1, 1],
        'attempts of the one that snoozed',
      );
      for (const input of ['later', 'snooze']) {
        const [first, second] = of(input);
        t.between(
          (second?.at ?? 0) - (first?.at ?? 0),
          wait - t.capabilities.timePrecisionMs,
          wait + t.budgetMs,
          `the wait of ${input}`,
        );
      }
      await t.inState(handles[0]?.id ?? '', 'failed', 'the state of the one that gave up');
    },
  },
  {
    id: 'RTY-06',
    rule: 'R-RTY-6',
    title: 'a task that kills every worker is dead after its attempts, kind lost, and does not loop',
    tier: 'core',
    needs: [freezing],
    patience: 2,
    async run(t) {
      const poison = await t.enqueue({ maxAttempts: 3 });
      for (let attempt = 1; attempt <= 3; attempt++) {
        const mortal = await t.mortal();
        const [delivery] = await mortal.claimRecovered();
        t.equal([delivery?.lease.taskId, delivery?.lease.attempt], [poison.id, attempt], 'task and attempt');
        if (delivery !== undefined && t.capabilities.reports.begun) await mortal.report(delivery, { begun: true });
        await mortal.fallSilent();
      }
      if (t.capabilities.tasks.get) {
        await t.eventually(
          async () => {
            await t.maintain();
            return (await t.record(poison.id)).state === 'failed';
          },
          'the end of the task',
          t.capabilities.session.sweepMs + t.budgetMs,
        );
        const { failure, errors } = await t.record(poison.id);
        t.equal([failure, errors.map((error) => error.kind)], ['lost', ['lost', 'lost', 'lost']], 'failure and errors');
      }
      await (await t.holder()).claimsNothing();
    },
  },
  {
    id: 'RTY-12',
    rule: 'R-RTY-12',
    title: 'errors and lost sessions count on one counter',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      await t.enqueue({ maxAttempts: 4 });
      const holder = await t.holder();
      const attempts: (number | undefined)[] = [];
      const failed = await holder.claimOne();
      attempts.push(failed.lease.attempt);
      await holder.retry(failed);
      const mortal = await t.mortal();
      attempts.push((await mortal.claimOne()).lease.attempt);
      await mortal.fallSilent();
      const [again] = await holder.claimRecovered();
      attempts.push(again?.lease.attempt);
      if (again !== undefined) await holder.retry(again);
      attempts.push((await holder.claimOne()).lease.attempt);
      t.equal(attempts, [1, 2, 3, 4], 'attempts: error, lost, error');
    },
  },
  {
    id: 'RTY-13',
    rule: 'R-RTY-13',
    title: 'a failing task does not hold up those behind it while it backs off',
    tier: 'core',
    async run(t) {
      const done: unknown[] = [];
      const { definition, handler } = job(
        (input) => {
          if (input === 'bad') throw new Error('backing off');
          done.push(input);
        },
        { retry: delays(['1h']) },
      );
      await hire(t, [handler], { concurrency: 1, prefetch: 0 });
      const client = producer(t);
      await client.enqueue(definition, 'bad');
      for (const input of [1, 2, 3]) await client.enqueue(definition, input);
      await t.eventually(() => done.length >= 3, 'the runs of those behind');
      t.equal(done, [1, 2, 3], 'what ran');
    },
  },
  {
    id: 'RTY-14',
    rule: 'R-RTY-14',
    title: 'a timeout aborts the attempt, frees its slot and counts; what the handler does afterwards does not',
    tier: 'core',
    async run(t) {
      const timeout = Math.round(2 * t.unitMs);
      const whys: unknown[] = [];
      let release = (): void => {};
      const late: Promise<void>[] = [];
      const others: unknown[] = [];
      const { definition, handler } = job(async (input, context: TaskContext) => {
        if (input === 'other') return others.push(input);
        if (context.attempt > 1) return 'in time';
        context.signal.addEventListener('abort', () => whys.push((context.signal.reason as { why?: unknown }).why));
        // Deaf: goes on after its signal, until another task has run in its slot, and returns something in the end.
        const over = new Promise<void>((resolve) => {
          release = resolve;
        });
        late.push(over);
        await over;
        return 'too late';
      });
      const { worker, logged } = await hire(t, [handler], { concurrency: 1, prefetch: 0 });
      const client = producer(t);
      const { id } = await client.enqueue(definition, 'slow', { timeout });
      await t.eventually(() => late.length > 0, 'the start of the slow one');
      await client.enqueue(definition, 'other');
      await t.eventually(() => others.length > 0, 'the run of another task in the freed slot');
      t.equal(whys, ['timeout'], 'the reason of the signal');
      release();
      await endOf(t, id);
      await t.soon(Promise.all(late), 'the end of the deaf handler');
      await t.soon(worker.stop(), 'the stop of the worker');
      t.ok(
        logged.some((line) => line.fields.taskId === id && /ended/.test(line.message)),
        'the late end was logged',
      );
      if (!t.capabilities.tasks.get) return;
      const record = await t.record(id);
      t.equal(
        [record.state, record.output, record.attempt],
        ['succeeded', '"in time"', 2],
        'state, output and attempt',
      );
      t.equal(
        record.errors.map((error) => [error.kind, error.attempt]),
        [['timeout', 1]],
        'errors',
      );
    },
  },
];

/** Waits for the end of a task where the broker lets one see it. */
async function endOf(t: ScenarioContext, id: string): Promise<TaskRecord | undefined> {
  if (!t.capabilities.tasks.get) return undefined;
  return t.eventually(async () => {
    const record = await t.record(id);
    return record.finishedAt === undefined ? undefined : record;
  }, 'the end of a task');
}
