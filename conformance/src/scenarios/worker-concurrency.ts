import { fixed } from '@millrace/core';
import { hire, job, producer } from '../context/crew.ts';
import { cancelRunning } from '../needs.ts';
import type { Scenario } from '../scenario.ts';
import { checkPush } from './wake-up.ts';

/** CON: slots of workers, and how work spreads over them. */
export const workerConcurrency: readonly Scenario[] = [
  {
    id: 'CON-01',
    rule: 'R-CON-1',
    title: 'a worker never runs more than its concurrency, reaches it, and keeps to the limit of a single handler',
    tier: 'core',
    patience: 2,
    async run(t) {
      const peak = { all: 0, limited: 0 };
      const now = { all: 0, limited: 0 };
      const run = (limited: boolean) => async (): Promise<void> => {
        now.all += 1;
        if (limited) now.limited += 1;
        peak.all = Math.max(peak.all, now.all);
        peak.limited = Math.max(peak.limited, now.limited);
        await t.tempo.timer(t.unitMs / 5);
        now.all -= 1;
        if (limited) now.limited -= 1;
        done += 1;
      };
      let done = 0;
      const [free, limited] = [job(run(false), { name: 'free' }), job(run(true), { name: 'limited', concurrency: 2 })];
      const client = producer(t);
      const items = Array.from({ length: 30 }, () => ({ input: null }));
      await client.enqueueMany(free.definition, items);
      await client.enqueueMany(limited.definition, items);
      await hire(t, [free.handler, limited.handler], { concurrency: 6 });
      await t.eventually(() => done === 60, 'the end of all runs');
      t.equal(peak, { all: 6, limited: 2 }, 'the most runs at once: all, and of the limited handler');
    },
  },
  {
    id: 'CON-05',
    rule: 'R-CON-5',
    title: 'one slow task holds up none of the other slots',
    tier: 'core',
    async run(t) {
      let release = (): void => {};
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      let done = 0;
      const { definition, handler } = job(async (input) => {
        if (input === 'slow') await gate;
        done += 1;
      });
      await hire(t, [handler], { concurrency: 2 });
      const client = producer(t);
      await client.enqueue(definition, 'slow');
      await client.enqueueMany(
        definition,
        Array.from({ length: 50 }, () => ({ input: 'quick' })),
      );
      await t.eventually(() => done === 50, 'the end of the quick ones');
      release();
      await t.eventually(() => done === 51, 'the end of the slow one');
      t.equal(done, 51, 'runs');
    },
  },
  {
    id: 'CON-07',
    rule: 'R-CON-7',
    title: 'a slot is free again after an error, a timeout and a cancel: the limit can still be reached',
    tier: 'core',
    needs: [cancelRunning],
    patience: 2,
    async run(t) {
      const ttl = t.heardTtlMs;
      let running = 0;
      let peak = 0;
      const { definition, handler } = job(
        async (input, { signal }) => {
          running += 1;
          peak = Math.max(peak, running);
          try {
            if (input === 'throw') throw new Error('thrown');
            await t.tempo.timer(input === 'hold' ? 2 * t.unitMs : 3_600_000, signal);
            if (signal.aborted) throw signal.reason;
          } finally {
            running -= 1;
          }
        },
        { retry: fixed({ attempts: 1 }) },
      );
      await hire(t, [handler], { concurrency: 3, sessionTtl: ttl });
      const client = producer(t);
      for (let round = 0; round < 3; round++) {
        await client.enqueue(definition, 'throw');
        await client.enqueue(definition, 'timeout', { timeout: Math.round(t.unitMs / 2) });
        const doomed = await client.enqueue(definition, 'cancel');
        await t.eventually(async () => (await doomed.get())?.state === 'running', 'the run to cancel');
        t.equal(await doomed.cancel(), 'requested', 'the cancel');
        await t.eventually(() => running === 0, 'the end of the three runs', ttl + t.budgetMs);
      }
      peak = 0;
      await client.enqueueMany(
        definition,
        Array.from({ length: 6 }, () => ({ input: 'hold' })),
      );
      await t.eventually(() => peak === 3, 'three runs at once');
      t.equal(peak, 3, 'the most runs at once');
    },
  },
  {
    id: 'CON-11',
    rule: 'R-CON-11',
    title: 'work spreads over equal workers: none gets more than three times the median',
    tier: 'core',
    patience: 3,
    async run(t) {
      const counts = [0, 0, 0, 0];
      const { definition } = job(() => {});
      const crew = counts.map((_count, index) =>
        job(async () => {
          counts[index] = (counts[index] ?? 0) + 1;
          await t.tempo.timer(t.unitMs / 10);
        }),
      );
      for (const { handler } of crew) await hire(t, [handler], { concurrency: 5, client: await t.open() });
      await producer(t).enqueueMany(
        definition,
        Array.from({ length: 400 }, () => ({ input: null })),
      );
      await t.eventually(() => counts.reduce((sum, count) => sum + count, 0) >= 400, 'all runs');
      const sorted = [...counts].sort((a, b) => a - b);
      const median = ((sorted[1] ?? 0) + (sorted[2] ?? 0)) / 2;
      t.between(sorted[3], 0, 3 * median, 'runs of the busiest worker, against the median');
      t.ok((sorted[0] ?? 0) > 0, 'every worker got some');
    },
  },
  {
    id: 'CON-16',
    rule: 'R-CON-16',
    title: 'a flood of one task, that never ends, keeps another with slots of its own from none of its turns',
    tier: 'core',
    patience: 2,
    async run(t) {
      const client = producer(t);
      let over = false;
      let floods = 0;
      let rare = 0;
      const flood = job(
        async (_input, { signal }) => {
          floods += 1;
          await t.tempo.timer(t.unitMs / 20, signal);
          // One that ends makes two: there is always more of it than slots.
          if (!over) await client.enqueueMany(flood.definition, [{ input: null }, { input: null }].slice(floods % 2));
        },
        { name: 'flood', queue: 'flood', concurrency: 4 },
      );
      const seldom = job(() => rare++, { name: 'seldom', queue: 'seldom', concurrency: 4 });
      await client.enqueueMany(
        flood.definition,
        Array.from({ length: 100 }, () => ({ input: null })),
      );
      await hire(t, [flood.handler, seldom.handler], { concurrency: 2 });
      for (let round = 1; round <= 5; round++) {
        const before = floods;
        await t.eventually(() => floods >= before + 10, 'the flood');
        await client.enqueue(seldom.definition, null);
        await t.eventually(() => rare === round, 'the turn of the task that comes seldom');
      }
      const before = floods;
      await t.eventually(() => floods >= before + 10, 'more of the flood, which had its turns as well');
      over = true;
      t.equal(rare, 5, 'runs of the task that comes seldom');
    },
  },
  {
    id: 'CON-14',
    rule: 'R-CON-14',
    title: 'an idle worker starts an enqueued task within the budget, time after time',
    tier: 'core',
    async run(t) {
      const started: unknown[] = [];
      const { definition, handler } = job((input) => started.push(input));
      await hire(t, [handler], { client: await t.open() });
      const client = producer(t);
      const waited: number[] = [];
      for (let round = 0; round < 10; round++) {
        await t.moment();
        const enqueuedAt = t.now();
        await t.soon(client.enqueue(definition, round), 'an enqueue');
        await t.eventually(() => started.length === round + 1, 'the start of a task on an idle worker');
        const waitedMs = t.now() - enqueuedAt;
        waited.push(waitedMs);
        t.measure('enqueueToStartMs', waitedMs);
      }
      checkPush(t, waited);
      t.equal(started, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 'inputs, in order');
    },
  },
];
