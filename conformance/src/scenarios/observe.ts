import { capability, exactCounts, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** OBS: waiting for ends, counts, retention. What workers log is in worker-observe.ts. */
export const observe: readonly Scenario[] = [
  {
    id: 'OBS-03',
    rule: 'R-OBS-3',
    title: 'waiting for a task resolves when it ends, also from another client, by its deadline or on abort',
    tier: 'extended',
    needs: [taskStore('wait')],
    async run(t) {
      const waiter = (await t.open()).broker.tasks;
      const wait = (id: string, waitMs: number, signal?: AbortSignal): Promise<string | undefined> =>
        t.soon(
          t
            .defined(waiter, 'the task store')
            .wait([id], { waitMs, ...(signal && { signal }) })
            .then(([record]) => record?.state),
          'the end of a wait',
          waitMs + t.budgetMs,
        );
      const task = await t.enqueue();
      const holder = await t.holder();
      const started = t.now();
      t.equal(await wait(task.id, Math.round(2 * t.unitMs)), 'pending', 'the state at the deadline of the wait');
      t.ok(t.now() - started >= 2 * t.unitMs - t.capabilities.timePrecisionMs, 'the wait lasted until its deadline');
      const stop = new AbortController();
      const aborted = wait(task.id, 3_600_000, stop.signal);
      await t.moment();
      stop.abort();
      t.equal(await t.soon(aborted, 'the end of an aborted wait'), 'pending', 'the state at the abort');
      const ending = wait(task.id, 3_600_000);
      await t.moment();
      const delivery = await holder.claimOne();
      await holder.retry(delivery);
      await holder.complete(await holder.claimOne());
      t.equal(await t.soon(ending, 'the end of a wait'), 'succeeded', 'the state at the end');
      t.equal(await wait(task.id, 0), 'succeeded', 'a wait that asks once');
    },
  },
  {
    id: 'OBS-04',
    rule: 'R-OBS-4',
    title: 'waiting for ended, dead, cancelled, removed and unknown tasks resolves at once, in order',
    tier: 'extended',
    needs: [taskStore('wait', 'remove', 'cancel')],
    async run(t) {
      const holder = await t.holder();
      const [good, bad] = [await t.enqueue(), await t.enqueue()];
      for (const delivery of await holder.claimMany(2)) {
        await (delivery.lease.taskId === good.id ? holder.complete(delivery, '7') : holder.fail(delivery));
      }
      const cancelled = await t.enqueue();
      await t.tasks.cancel([cancelled.id]);
      const ids = ['nobody', bad.id, cancelled.id, good.id];
      const records = await t.soon(t.tasks.wait(ids, { waitMs: 3_600_000 }), 'the end of a wait');
      const ends = [undefined, 'failed', 'cancelled', 'succeeded'];
      t.equal(
        records.map((record) => record?.state),
        ends,
        'the states',
      );
      t.equal(records[3]?.output, '7', 'the output');
      const doomed = await t.enqueue();
      const waiting = t.underway(t.tasks.wait([doomed.id, good.id], { waitMs: 3_600_000 }));
      await t.moment();
      await t.tasks.remove([doomed.id]);
      const [gone, ended] = await t.soon(waiting, 'the end of a wait for a removed task');
      t.equal([gone, ended?.state], [undefined, 'succeeded'], 'a removed task and an ended one');
    },
  },
  {
    id: 'OBS-09',
    rule: 'R-OBS-9',
    title: 'no end is missed between looking and listening, however often that is tried',
    tier: 'extended',
    needs: [taskStore('wait')],
    patience: 3,
    async run(t) {
      const other = t.defined((await t.open()).broker.tasks, 'the task store');
      const holder = await t.holder();
      for (let round = 0; round < 100; round++) {
        const task = await t.enqueue();
        const delivery = await holder.claimOne();
        const waiting = t.underway(other.wait([task.id], { waitMs: 600_000 }));
        for (let turn = 0; turn < round % 8; turn++) await Promise.resolve();
        const [outcome, [record]] = await Promise.all([
          holder.complete(delivery),
          t.soon(waiting, 'the end of a wait'),
        ]);
        t.equal([outcome, record?.state], ['applied', 'succeeded'], 'the settle and the state');
      }
    },
  },
  {
    id: 'OBS-05',
    rule: 'R-OBS-5',
    title: 'queue counts equal the truth at rest and are never negative under load',
    tier: 'extended',
    needs: [exactCounts],
    async run(t) {
      const holder = await t.holder();
      await t.enqueueMany(9, (index) => ({ delayMs: index < 3 ? 3_600_000 : 0 }));
      const [running, failing] = await holder.claimMany(2);
      t.require(running !== undefined && failing !== undefined, 'two deliveries');
      if (failing !== undefined) await holder.retry(failing, 3_600_000);
      if (t.capabilities.tasks.pause.includes('waiting')) {
        const paused = await t.enqueue();
        await t.tasks.pause([paused.id]);
        const [stats] = await t.broker.queues.stats(['line']);
        t.equal(stats?.pausedTasks, 1, 'paused tasks');
      }
      const [stats] = await t.broker.queues.stats(['line']);
      const { pending, scheduled, retrying, running: busy } = t.defined(stats, 'the stats of the queue');
      t.equal(
        { pending, scheduled, retrying, running: busy },
        { pending: 4, scheduled: 3, retrying: 1, running: 1 },
        'the stats',
      );
      for (const state of ['pending', 'scheduled', 'retrying', 'running'] as const) {
        if (!t.capabilities.tasks.count) break;
        t.equal(await t.tasks.count({ queues: ['line'], states: [state] }), stats?.[state], `the count of ${state}`);
      }
      const load = Array.from({ length: 5 }, async () => {
        await t.enqueueMany(20, () => ({ queue: 'load' }));
        const deliveries = await holder.claim({ queues: ['load'], limit: 20 });
        await holder.settleAll(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
        return t.broker.queues.stats(['load']);
      });
      for (const [during] of await Promise.all(load)) {
        const counts = [during?.pending, during?.running, during?.scheduled, during?.retrying];
        t.ok(
          counts.every((count) => count === undefined || count >= 0),
          'no count is negative',
        );
      }
      await t.soon(holder.session.end(), 'the end of the session');
    },
  },
  {
    id: 'OBS-10',
    rule: 'R-OBS-10',
    title: 'stats name every queue there is, and what is asked for; unknown ones are empty',
    tier: 'core',
    async run(t) {
      await t.enqueueMany(2, (index) => ({ queue: `q${index}` }));
      const all = await t.broker.queues.stats();
      t.ok(
        ['q0', 'q1'].every((queue) => all.some((stats) => stats.queue === queue)),
        'all queues are listed',
      );
      const some = await t.broker.queues.stats(['q1', 'unknown']);
      t.equal(
        some.map((stats) => [stats.queue, stats.paused]),
        [
          ['q1', false],
          ['unknown', false],
        ],
        'the ones asked for',
      );
      if (t.capabilities.queues.counts === 'exact') t.equal(some[0]?.pending, 1, 'pending tasks');
      await t.advance(2 * t.unitMs);
      const [oldest] = await t.broker.queues.stats(['q0']);
      if (oldest?.oldestPendingMs === undefined) return;
      t.between(oldest.oldestPendingMs, t.unitMs, 10 * t.budgetMs, 'age of the oldest due task');
    },
  },
  {
    id: 'OBS-11',
    rule: 'R-OBS-11',
    title: 'purge removes what waits and leaves alone what runs, what has ended and other queues',
    tier: 'extended',
    needs: [capability('queues.purge', (c) => c.queues.purge)],
    async run(t) {
      const holder = await t.holder();
      await t.enqueueMany(2);
      const [running, ended] = await holder.claimMany(2);
      await holder.fail(t.defined(ended, 'a delivery'));
      await t.enqueueMany(3, (index) => ({ delayMs: index === 0 ? 3_600_000 : 0 }));
      const elsewhere = await t.enqueue({ queue: 'other' });
      t.equal(await t.broker.queues.purge('line'), 3, 'tasks purged');
      t.equal(await t.broker.queues.purge('line'), 0, 'tasks purged again');
      await holder.claimsNothing();
      t.equal((await holder.claimOne({ queues: ['other'] })).lease.taskId, elsewhere.id, 'the task of the other queue');
      t.equal(await holder.complete(t.defined(running, 'a delivery')), 'applied', 'the settle of the running task');
      if (ended !== undefined) await t.inState(ended.lease.taskId, 'failed', 'the state of the ended task');
    },
  },
  {
    id: 'OBS-12',
    rule: 'R-OBS-12',
    title: 'retention removes ended tasks after their time and nothing else, also on an idle queue',
    tier: 'extended',
    needs: [
      taskStore('get'),
      capability('retention', (c) => c.retention.succeededMs !== null && c.retention.failedMs !== null),
      (_capabilities, harness) =>
        harness.clock !== undefined ||
        harness.hooks?.travel !== undefined || { status: 'not-run', reason: 'not run: no way to let days pass' },
    ],
    async run(t) {
      const { succeededMs, failedMs } = t.capabilities.retention;
      const holder = await t.holder();
      const [succeeded, failed] = [await t.enqueue(), await t.enqueue()];
      for (const delivery of await holder.claimMany(2)) {
        await (delivery.lease.taskId === succeeded.id ? holder.complete(delivery) : holder.fail(delivery));
      }
      const together = await t.enqueueMany(3);
      const leases = (await holder.claimMany(3)).map(({ lease }) => lease);
      const outcomes = await holder.settleAll(leases.map((lease) => ({ type: 'complete', lease })));
      t.equal(outcomes, ['applied', 'applied', 'applied'], 'the outcomes of those settled together');
      const waiting = await t.enqueue({ name: 'nobody runs this' });
      const cancelled = t.capabilities.tasks.cancel.includes('waiting') ? [await t.enqueue()] : [];
      if (cancelled.length > 0) await t.tasks.cancel(cancelled.map((task) => task.id));
      await holder.session.end();
      // What happens to one of them leaves the others to retention.
      const [again, ...others] = together.map(({ id }) => id) as [string, ...string[]];
      if (t.capabilities.tasks.rerun) t.equal(await t.tasks.rerun([again]), ['applied'], 'the rerun of one of these');
      else others.push(again);
      const pruned = async (): Promise<number> => {
        let total = 0;
        for (let more = true; more; ) {
          const report = await t.maintain();
          total += report.pruned;
          more = report.more;
        }
        return total;
      };
      const [first, second] = [succeededMs ?? 0, failedMs ?? 0];
      t.require(first <= second, 'dead tasks are kept no shorter than others');
      await t.advance(first - 1_000);
      t.equal(await pruned(), 0, 'tasks removed before their time');
      await t.advance(2_000);
      const ended = (first === second ? 2 : 1) + others.length + cancelled.length;
      t.equal(await pruned(), ended, 'tasks removed after the retention of succeeded ones, cancelled ones among them');
      await t.advance(second - first + 2_000);
      await pruned();
      t.equal([await t.find(succeeded.id), await t.find(failed.id)], [undefined, undefined], 'the ended tasks');
      t.equal((await t.record(waiting.id)).state, 'pending', 'the state of the waiting task');
      if (t.capabilities.tasks.rerun) t.equal((await t.record(again)).state, 'pending', 'the state of what runs again');
    },
  },
];
