import { isDeepStrictEqual } from 'node:util';
import type { AbortedError, TaskHandle } from '@millrace/core';
import { hire, job, producer } from '../context/crew.ts';
import { hook } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** SHD: stopping workers and closing clients. */
export const workerShutdown: readonly Scenario[] = [
  {
    id: 'SHD-01',
    rule: 'R-SHD-1',
    title: 'a graceful stop: nothing new starts, running handlers finish and are settled, then it resolves',
    tier: 'core',
    async run(t) {
      const started: unknown[] = [];
      let finish = (): void => {};
      const gate = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const { definition, handler } = job(async (input) => {
        started.push(input);
        await gate;
        return input;
      });
      const { worker } = await hire(t, [handler], { concurrency: 2, prefetch: 3 });
      const client = producer(t);
      const handles = await client.enqueueMany(
        definition,
        [1, 2, 3, 4, 5].map((input) => ({ input })),
      );
      await t.eventually(() => started.length === 2, 'two runs');
      const stopping = t.underway(worker.stop());
      const late = await t.enqueue();
      await t.moment();
      finish();
      const report = await t.soon(stopping, 'the stop of the worker');
      t.equal([report.drained, report.abandoned], [2, 0], 'drained and abandoned runs');
      t.equal(started.length, 2, 'handlers started');
      const successor = await t.holder();
      const deliveries = await successor.claimMany(4);
      const expected = [...handles.slice(2).map((handle) => handle.id), late.id];
      t.equal(deliveries.map((each) => each.lease.taskId).sort(), expected.sort(), 'what is left for others, at once');
      t.ok(
        deliveries.every((each) => each.lease.attempt === 1),
        'what was handed back is not charged',
      );
      for (const { id } of handles.slice(0, 2)) await t.inState(id, 'succeeded', 'the state of a finished task');
    },
  },
  {
    id: 'SHD-02',
    rule: 'R-SHD-2',
    title:
      'when the drain is over, signals abort with the reason shutdown and tasks go back uncharged, deaf handlers or not',
    tier: 'core',
    async run(t) {
      const whys: unknown[] = [];
      let running = 0;
      const { definition, handler } = job(async (input, { signal }) => {
        running += 1;
        await t.tempo.timer(3_600_000, signal);
        whys.push((signal.reason as AbortedError).why);
        if (input === 'deaf') await new Promise<never>(() => {});
        throw signal.reason;
      });
      const { worker } = await hire(t, [handler], { drain: Math.round(t.unitMs), grace: Math.round(t.unitMs) });
      const client = producer(t);
      const handles = [await client.enqueue(definition, 'polite'), await client.enqueue(definition, 'deaf')];
      await t.eventually(() => running === 2, 'both runs');
      const report = await t.soon(worker.stop(), 'the stop of the worker');
      t.equal(whys, ['shutdown', 'shutdown'], 'the reasons of the signals');
      t.equal([report.drained, report.released, report.abandoned], [0, 2, 1], 'drained, released, abandoned');
      const deliveries = await (await t.holder()).claimMany(2);
      t.equal(
        deliveries.map((each) => [each.lease.taskId, each.lease.attempt]).sort(),
        handles.map((handle) => [handle.id, 1]).sort(),
        'ids and attempts of what went back',
      );
    },
  },
  {
    id: 'SHD-03',
    rule: 'R-SHD-3',
    title: 'stopping twice, before the start and during the start all resolve; a stopped worker does not start',
    tier: 'core',
    async run(t) {
      const { handler } = job(() => {});
      const { worker } = await hire(t, [handler]);
      const reports = await t.soon(
        Promise.all([worker.stop(), worker.stop(), worker.stop({ force: true })]),
        'three stops',
      );
      t.ok(
        reports.every((report) => report === reports[0]),
        'all stops give the same report',
      );
      await t.refuses(() => worker.start(), 'CLOSED', 'a start after the stop');
      const idle = await hire(t, [handler], { started: false });
      await t.soon(idle.worker.stop(), 'a stop before the start');
      const hasty = await hire(t, [handler], { started: false, client: t.connect() });
      const starting = hasty.worker.start().then(
        () => 'started',
        () => 'refused',
      );
      await t.soon(hasty.worker.stop(), 'a stop during the start');
      t.ok(['started', 'refused'].includes(await t.soon(starting, 'the end of the start')), 'the start ends');
      const task = await t.enqueue();
      t.equal((await (await t.holder()).claimOne()).lease.taskId, task.id, 'what is left for others');
    },
  },
  {
    id: 'SHD-06',
    rule: 'R-SHD-6',
    title: 'stop and close return promptly while a long poll is outstanding',
    tier: 'core',
    async run(t) {
      const client = await t.open();
      const { worker } = await hire(t, [job(() => {}).handler], { client });
      await t.moment();
      const started = t.now();
      await t.soon(worker.stop(), 'the stop of an idle worker');
      t.between(t.now() - started, 0, t.budgetMs / 2, 'the time it took');
      const holder = await t.holder({ client });
      const waiting = holder.session.claim({ queues: ['line'], names: ['work'], limit: 1, waitMs: 600_000 }).then(
        () => 'ended',
        () => 'refused',
      );
      await t.moment();
      await t.soon(client.broker.close(), 'closing under a long poll');
      t.ok(['ended', 'refused'].includes(await t.soon(waiting, 'the end of the long poll')), 'the long poll ends');
    },
  },
  {
    id: 'SHD-07',
    rule: 'R-SHD-7',
    title: 'closing a client while enqueues are under way: each settles, and what was accepted exists',
    tier: 'core',
    async run(t) {
      const { definition } = job(() => {});
      const client = producer(t, await t.open());
      const enqueues = Array.from({ length: 50 }, (_unused, index) =>
        client.enqueue(definition, index).then(
          (handle) => handle.id,
          () => undefined,
        ),
      );
      const closing = client.close();
      await t.refuses(() => client.enqueue(definition, 'late'), 'CLOSED', 'an enqueue after close');
      await t.soon(closing, 'closing the client');
      const accepted = (await t.soon(Promise.all(enqueues), 'the end of all enqueues')).filter(
        (id) => id !== undefined,
      );
      t.equal(accepted.length <= 50, true, 'enqueues that were accepted');
      const deliveries = accepted.length === 0 ? [] : await (await t.holder()).claimMany(accepted.length);
      t.equal(deliveries.map((each) => each.lease.taskId).sort(), accepted.sort(), 'ids delivered');
      await (await t.holder()).claimsNothing();
    },
  },
  {
    id: 'SHD-08',
    rule: 'R-SHD-8',
    title:
      'rolling restart of workers under load: nothing lost, nothing doubled, no extra attempts, no errors for producers',
    tier: 'core',
    patience: 3,
    async run(t) {
      const finished: unknown[] = [];
      const attempts = new Set<number>();
      const { definition, handler } = job(async (input, { attempt, signal }) => {
        attempts.add(attempt);
        await t.tempo.timer(t.unitMs / 10, signal);
        if (signal.aborted) throw signal.reason;
        finished.push(input);
      });
      const client = producer(t);
      let crew = await Promise.all(Array.from({ length: 3 }, () => hire(t, [handler], { concurrency: 5 })));
      const handles: TaskHandle[] = [];
      for (let round = 0; round < 6; round++) {
        const items = Array.from({ length: 40 }, (_unused, index) => ({ input: round * 40 + index }));
        handles.push(...(await t.soon(client.enqueueMany(definition, items), 'an enqueue')));
        const [oldest, ...rest] = crew;
        crew = [...rest, await hire(t, [handler], { concurrency: 5 })];
        await t.soon(t.defined(oldest, 'a worker').worker.stop(), 'the stop of a worker');
      }
      await t.eventually(() => finished.length >= handles.length, 'the end of all tasks');
      const states = async (): Promise<boolean> =>
        (await t.tasks.get(handles.map((handle) => handle.id))).every((record) => record?.state === 'succeeded');
      if (t.capabilities.tasks.get) await t.eventually(states, 'the state of all tasks');
      t.equal(finished.length, new Set(finished).size, 'runs that finished, each once');
      t.equal([...attempts], [1], 'attempts');
    },
  },
  {
    id: 'SHD-11',
    rule: 'R-SHD-11',
    title: 'what clients and workers held at the backend is gone after they were closed',
    tier: 'core',
    needs: [hook('resources')],
    async run(t) {
      const resources = async (): Promise<unknown> => t.hooks.resources?.(t.client.target);
      // Whatever is made once and kept, such as a pool's first connection, is there already.
      await t.enqueue();
      const before = await resources();
      const client = await t.open();
      const { worker } = await hire(t, [job(() => {}).handler], { client });
      const holder = await t.holder({ client });
      await t.moment();
      await t.soon(worker.stop(), 'the stop of the worker');
      await t.soon(holder.session.end(), 'the end of the session');
      await t.soon(client.close(), 'closing the client');
      const after = await t.eventually(
        async () => {
          const now = await resources();
          return isDeepStrictEqual(now, before) && { now };
        },
        `the return of the resources to ${JSON.stringify(before)}`,
      );
      t.equal(after.now, before, 'what the backend holds');
    },
  },
];
