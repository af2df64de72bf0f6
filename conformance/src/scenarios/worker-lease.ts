import type { AbortedError, LeaseLostError, TaskContext } from '@millrace/core';
import { hire, job, producer } from '../context/crew.ts';
import { cancelRunning, capability, freezing, pauseRunning } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** LSE, CAN, PAU and DLY as handlers and workers see them. */
export const workerLease: readonly Scenario[] = [
  {
    id: 'LSE-08',
    rule: 'R-LSE-8',
    title: 'a worker that froze longer than its ttl: another takes over, the first is told and its result is refused',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const runs: { attempt: number; context: TaskContext }[] = [];
      let finish = (): void => {};
      const gate = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const { definition, handler } = job(async (_input, context) => {
        runs.push({ attempt: context.attempt, context });
        if (context.attempt === 1) await gate;
        return `attempt ${context.attempt}`;
      });
      const first = await hire(t, [handler], { client: await t.open(), sessionTtl: t.shortTtlMs, concurrency: 1 });
      const { id } = await producer(t).enqueue(definition, null);
      await t.eventually(() => runs.length === 1, 'the first run');
      first.client.freeze();
      await t.advance(t.shortTtlMs + t.capabilities.timePrecisionMs);
      const second = await hire(t, [handler], { client: await t.open() });
      await t.eventually(
        () => runs.length === 2,
        'the run of the second worker',
        t.capabilities.session.sweepMs + t.budgetMs,
      );
      // It comes back, and finishes before anything told it: the settle has to be refused by the broker.
      finish();
      await t.moment();
      first.client.thaw();
      const warned = (): boolean =>
        first.logged.some((line) => line.level === 'warn' && /taken|lost|dropped/.test(line.message));
      await t.eventually(warned, 'a warning of the first worker', t.shortTtlMs + t.budgetMs);
      await t.soon(Promise.all([first.worker.stop(), second.worker.stop()]), 'the stop of both workers');
      t.equal(
        runs.map((run) => run.attempt),
        [1, 2],
        'attempts',
      );
      if (t.capabilities.tasks.get) t.equal((await t.record(id)).output, '"attempt 2"', 'the output');
      await (await t.holder()).claimsNothing();
    },
  },
  {
    id: 'LSE-11',
    rule: 'R-LSE-11',
    title:
      'a handler whose session is lost sees its signal abort with LEASE_LOST, and the worker goes on with a new session',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const reasons: unknown[] = [];
      const done: unknown[] = [];
      const { definition, handler } = job(async (input, { signal, attempt }) => {
        if (input === 'long' && attempt === 1) {
          await t.tempo.timer(3_600_000, signal);
          reasons.push((signal.reason as LeaseLostError).code);
          return;
        }
        done.push(input);
      });
      const { client } = await hire(t, [handler], { client: await t.open(), sessionTtl: t.shortTtlMs, concurrency: 2 });
      const enqueuer = producer(t);
      await enqueuer.enqueue(definition, 'long');
      await enqueuer.enqueue(definition, 'short');
      await t.eventually(() => done.length === 1, 'the short run');
      client.freeze();
      await t.advance(t.shortTtlMs + t.capabilities.timePrecisionMs);
      await t.maintain();
      client.thaw();
      await t.eventually(() => reasons.length > 0, 'the abort of the signal', t.shortTtlMs + t.budgetMs);
      t.equal(reasons, ['LEASE_LOST'], 'the code of the reason');
      await enqueuer.enqueue(definition, 'after');
      const all = (): boolean => done.includes('after') && done.includes('long');
      await t.eventually(all, 'runs with the new session', t.capabilities.session.sweepMs + t.shortTtlMs + t.budgetMs);
    },
  },
  {
    id: 'CAN-10',
    rule: 'R-CAN-10',
    title:
      'a cancelled handler sees its signal abort with the reason cancelled; one that is deaf and returns has succeeded',
    tier: 'extended',
    needs: [cancelRunning],
    async run(t) {
      const whys: unknown[] = [];
      let running = 0;
      let finish = (): void => {};
      const gate = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const { definition, handler } = job(async (input, { signal }) => {
        running += 1;
        await (input === 'deaf' ? gate : t.tempo.timer(3_600_000, signal));
        whys.push((signal.reason as AbortedError | undefined)?.why);
        if (input === 'deaf') return 'finished';
        throw signal.reason;
      });
      await hire(t, [handler], { sessionTtl: t.heardTtlMs });
      const client = producer(t);
      const [polite, deaf] = [await client.enqueue(definition, 'polite'), await client.enqueue(definition, 'deaf')];
      await t.eventually(() => running === 2, 'both runs');
      t.equal([await polite.cancel(), await deaf.cancel()], ['requested', 'requested'], 'the outcomes');
      await t.eventually(() => whys.length === 1, 'the abort of the signal', t.heardTtlMs + t.budgetMs);
      t.equal(whys, ['cancelled'], 'the reason');
      finish();
      if (!t.capabilities.tasks.get) return;
      await t.eventually(async () => (await t.record(polite.id)).state === 'cancelled', 'the end of the polite one');
      await t.eventually(async () => (await t.record(deaf.id)).state === 'succeeded', 'the end of the deaf one');
    },
  },
  {
    id: 'PAU-10',
    rule: 'R-PAU-10',
    title:
      'a paused handler saves a last checkpoint, rests, and goes on from there after the resume, on the same attempt',
    tier: 'extended',
    needs: [pauseRunning, capability('reports.checkpoint', (c) => c.reports.checkpoint)],
    async run(t) {
      const seen: unknown[] = [];
      const { definition, handler } = job(async (_input, { signal, checkpoint, attempt }) => {
        seen.push([attempt, checkpoint.get()]);
        if (checkpoint.get() !== undefined) return 'done';
        await t.tempo.timer(3_600_000, signal);
        await checkpoint.set({ page: 7 });
        throw signal.reason;
      });
      await hire(t, [handler], { sessionTtl: t.heardTtlMs });
      const client = producer(t);
      const { id } = await client.enqueue(definition, null);
      await t.eventually(() => seen.length === 1, 'the first run');
      t.equal(await client.tasks.pause(id), 'requested', 'the pause');
      await t.eventually(
        async () => (await t.record(id)).state === 'paused',
        'its coming to rest',
        t.heardTtlMs + t.budgetMs,
      );
      t.equal(await client.tasks.resume(id), 'applied', 'the resume');
      await t.eventually(async () => (await t.record(id)).state === 'succeeded', 'the end of the task');
      t.equal(
        seen,
        [
          [1, undefined],
          [1, { page: 7 }],
        ],
        'attempts and checkpoints',
      );
    },
  },
  {
    id: 'DLY-10',
    rule: 'R-DLY-10',
    title: 'clocks of clients and workers that are an hour off change nothing: nothing early, nothing missed',
    tier: 'core',
    needs: [capability('clock.server', (c) => c.clock === 'server')],
    async run(t) {
      const hourMs = 3_600_000;
      const delayMs = Math.max(Math.round(4 * t.unitMs), 2 * t.capabilities.delay.granularityMs);
      for (const skewMs of [hourMs, -hourMs]) {
        const client = t.connect(t.namespace, skewMs);
        await client.broker.open();
        const started = new Map<unknown, number>();
        const { definition, handler } = job((input) => started.set(input, t.now()));
        const { worker } = await hire(t, [handler], { client });
        const enqueuer = producer(t, client);
        const enqueued = t.now();
        await enqueuer.enqueue(definition, 'delayed', { delay: delayMs });
        await enqueuer.enqueue(definition, 'now', { expires: '10m' });
        await t.eventually(() => started.has('now'), 'the run of a due task');
        await t.eventually(() => started.has('delayed'), 'the run of the delayed task', delayMs + t.budgetMs);
        t.ok(
          (started.get('delayed') ?? 0) - enqueued >= delayMs - t.capabilities.timePrecisionMs,
          'the delayed task was not early',
        );
        await t.soon(worker.stop(), 'the stop of a worker');
      }
    },
  },
];
