import { buildFailure } from '../context/builders.ts';
import { capability, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** STM: single rules of the state machine. The tables are in state-machine-table.ts. */
export const stateMachine: readonly Scenario[] = [
  {
    id: 'STM-02',
    rule: 'R-STM-2',
    title: 'ended tasks stay as they are: settles are stale, reports are stale, control is refused, nothing changes',
    tier: 'core',
    async run(t) {
      const holder = await t.holder();
      for (const ending of ['complete', 'fail'] as const) {
        const task = await t.enqueue();
        const delivery = await holder.claimOne();
        t.equal(await holder[ending](delivery), 'applied', `the first ${ending}`);
        const before = t.capabilities.tasks.get ? await t.record(task.id) : undefined;
        t.equal(await holder.complete(delivery, '"other"'), 'stale', 'complete again');
        t.equal(await holder.fail(delivery, buildFailure('other')), 'stale', 'fail afterwards');
        t.equal(await holder.retry(delivery), 'stale', 'retry afterwards');
        t.equal(await holder.release(delivery), 'stale', 'release afterwards');
        t.equal(await holder.snooze(delivery, 0), 'stale', 'snooze afterwards');
        t.equal(await holder.report(delivery, t.reportable()), 'stale', 'a report afterwards');
        if (before !== undefined) t.equal(await t.record(task.id), before, 'the record');
        await holder.claimsNothing();
      }
    },
  },
  {
    id: 'STM-03',
    rule: 'R-STM-3',
    title: "timestamps are the broker's whole milliseconds, in order: created ≤ due ≤ started ≤ finished",
    tier: 'core',
    async run(t) {
      const holder = await t.holder();
      const task = await t.enqueue();
      const { get } = t.capabilities.tasks;
      if (get) t.equal((await t.record(task.id)).startedAt, undefined, 'startedAt before the first run');
      await t.advance(2 * t.capabilities.timePrecisionMs);
      const delivery = await holder.claimOne();
      const delivered = [delivery.createdAt, delivery.runAt];
      t.ok(delivered.every(Number.isInteger), 'times of a delivery are whole milliseconds');
      t.ok(delivery.createdAt <= delivery.runAt, 'a task is not due before it was created');
      if (!get) return;
      await t.advance(2 * t.capabilities.timePrecisionMs);
      await holder.complete(delivery);
      const { createdAt, runAt, startedAt, finishedAt } = await t.record(task.id);
      const times = [createdAt, runAt, startedAt, finishedAt].map((time) => t.defined(time, 'a timestamp'));
      t.ok(times.every(Number.isInteger), 'timestamps are whole milliseconds');
      t.equal(
        times,
        [...times].sort((a, b) => a - b),
        'created, due, started, finished',
      );
      t.ok((times[3] ?? 0) > (times[0] ?? 0), 'time passed between creation and end');
      if (t.capabilities.clock === 'server')
        t.between(createdAt, Date.now() - 86_400_000, Date.now() + 86_400_000, 'createdAt');
    },
  },
  {
    id: 'STM-04',
    rule: 'R-STM-4',
    title: 'a lease settles once: the second settle is stale, state and output stay as they were',
    tier: 'core',
    async run(t) {
      const holder = await t.holder();
      const task = await t.enqueue();
      const { lease } = await holder.claimOne();
      const outcomes = await holder.settleAll([
        { type: 'complete', lease, output: '"first"' },
        { type: 'complete', lease, output: '"second"' },
        { type: 'retry', lease, delayMs: 0, failure: buildFailure() },
      ]);
      t.equal(outcomes, ['applied', 'stale', 'stale'], 'outcomes of three settles of one lease in one batch');
      await t.enqueue();
      const same = { type: 'complete', lease: (await holder.claimOne()).lease } as const;
      t.equal(
        await holder.settleAll([same, same]),
        ['applied', 'stale'],
        'outcomes of the same settle twice in one batch',
      );
      t.equal(await holder.complete(lease, '"third"'), 'stale', 'a later settle');
      if (t.capabilities.tasks.get) t.equal((await t.record(task.id)).output, '"first"', 'the output');
      await holder.claimsNothing();
    },
  },
  {
    id: 'STM-05',
    rule: 'R-STM-5',
    title: 'a lease that was never given out settles nothing',
    tier: 'core',
    async run(t) {
      const holder = await t.holder();
      await t.enqueueMany(2);
      const [one, other] = (await holder.claimMany(2)).map((delivery) => delivery.lease);
      if (one === undefined || other === undefined) return;
      const sessionId = holder.session.id;
      const forged = {
        'an unknown task': { taskId: 'nobody', attempt: 1, fence: one.fence, sessionId },
        'a newer fence': { ...one, fence: one.fence + 1 },
        'an older fence': { ...one, fence: one.fence - 1 },
        'an absurd fence': { ...one, fence: Number.MAX_SAFE_INTEGER },
      };
      for (const [what, lease] of Object.entries(forged)) {
        t.equal(await holder.complete(lease), 'stale', `a completion with ${what}`);
        t.equal(await holder.report(lease, t.reportable()), 'stale', `a report with ${what}`);
      }
      const stranger = await t.holder();
      t.equal(await stranger.complete(one), 'stale', 'a completion by another session');
      t.equal(await stranger.complete({ ...one, sessionId: stranger.session.id }), 'stale', 'one in its own name');
      t.equal(await holder.complete(one), 'applied', 'the completion with the lease itself');
      t.equal(await holder.complete(other), 'applied', 'the completion of the other task');
    },
  },
  {
    id: 'STM-06',
    rule: 'R-STM-6',
    title: 'release and snooze do not charge the attempt; the fence grows all the same',
    tier: 'core',
    async run(t) {
      const holder = await t.holder();
      const task = await t.enqueue({ maxAttempts: 2 });
      const fences: number[] = [];
      let place: number | undefined;
      for (let round = 0; round < 4; round++) {
        const { lease, runAt } = await holder.claimOne();
        t.equal(lease.attempt, 1, 'the attempt after release or snooze');
        if (place !== undefined) t.equal(runAt, place, 'the due time after a release: the task keeps its place');
        place = round % 2 === 0 ? runAt : undefined;
        fences.push(lease.fence);
        t.equal(
          round % 2 === 0 ? await holder.release(lease) : await holder.snooze(lease, 0),
          'applied',
          'the outcome',
        );
      }
      const failed = await holder.claimOne();
      fences.push(failed.lease.fence);
      t.equal(await holder.retry(failed), 'applied', 'the retry');
      const last = await holder.claimOne();
      fences.push(last.lease.fence);
      t.equal(last.lease.attempt, 2, 'the attempt after a failure');
      t.equal(
        fences,
        [...new Set(fences)].sort((a, b) => a - b),
        'fences, strictly growing',
      );
      t.equal(await holder.snooze(last, 3_600_000), 'applied', 'a snooze of the last attempt');
      await holder.claimsNothing();
      await t.inState(task.id, 'scheduled', 'the state while snoozed');
    },
  },
  {
    id: 'STM-07',
    rule: 'R-STM-7',
    title: 'progress, checkpoint and log lines of the holder are readable while it runs and kept after',
    tier: 'extended',
    needs: [
      capability(
        'reports',
        ({ reports, tasks }) => reports.checkpoint || (tasks.get && (reports.progress || reports.log)),
      ),
    ],
    async run(t) {
      const { progress, checkpoint, log } = t.capabilities.reports;
      const { get } = t.capabilities.tasks;
      const holder = await t.holder();
      const task = await t.enqueue();
      const delivery = await holder.claimOne();
      const line = { level: 'info', message: 'hälf way', at: 1_700_000_000_000 } as const;
      const update = {
        ...(progress && { progress: '{"done":1}' }),
        ...(checkpoint && { checkpoint: '{"page":7}' }),
        ...(log && { log: [line] }),
      };
      t.equal(await holder.report(delivery, update), 'applied', 'the report');
      if (get) {
        const running = await t.record(task.id);
        t.equal(running.state, 'running', 'the state');
        if (progress) t.equal(running.progress, '{"done":1}', 'the progress');
        if (checkpoint) t.equal(running.checkpoint, '{"page":7}', 'the checkpoint');
        if (log) t.equal(running.log, [line], 'the log');
        if (progress) {
          t.equal(await holder.report(delivery, { progress: '{"done":2}' }), 'applied', 'a second report');
          t.equal((await t.record(task.id)).checkpoint, running.checkpoint, 'what a report does not name stays');
        }
      }
      t.equal(await holder.retry(delivery), 'applied', 'the retry');
      const again = await holder.claimOne();
      if (checkpoint) t.equal(again.checkpoint, '{"page":7}', 'the checkpoint the next attempt is given');
      await holder.complete(again);
      if (get && log) t.equal((await t.record(task.id)).log, [line], 'the log of the ended task');
    },
  },
  {
    id: 'STM-08',
    rule: 'R-STM-8',
    title: 'output, or the failure and its kind, is stored with the ended task',
    tier: 'extended',
    needs: [taskStore('get')],
    async run(t) {
      const holder = await t.holder();
      const good = await t.enqueue();
      await holder.complete(await holder.claimOne(), '{"id":"ö🚀"}');
      const succeeded = await t.record(good.id);
      t.equal([succeeded.output, succeeded.failure], ['{"id":"ö🚀"}', undefined], 'output and failure');
      const bare = await t.enqueue();
      await holder.complete(await holder.claimOne());
      t.equal('output' in (await t.record(bare.id)), false, 'presence of an output that was not given');
      const bad = await t.enqueue();
      const failure = {
        kind: 'invalid',
        name: 'ValidationError',
        message: 'to is missing',
        stack: 'at here',
        worker: 'w1',
      } as const;
      await holder.fail(await holder.claimOne(), failure);
      const dead = await t.record(bad.id);
      t.equal(dead.failure, 'invalid', 'the kind of failure');
      t.equal(dead.errors, [{ ...failure, attempt: 1, at: dead.finishedAt }], 'the errors');
    },
  },
  {
    id: 'STM-09',
    rule: 'R-STM-9',
    title: 'a claim with nothing to give returns nothing at once, at the end of its wait, or when its signal aborts',
    tier: 'core',
    async run(t) {
      const holder = await t.holder();
      t.equal(await t.soon(holder.claim({ waitMs: 0 }), 'a claim that does not wait'), [], 'its deliveries');
      const waitMs = Math.round(4 * t.unitMs);
      const started = t.now();
      t.equal(await holder.claim({ waitMs }), [], 'deliveries of a claim that waits');
      t.ok(t.now() - started >= waitMs - t.capabilities.timePrecisionMs, 'the claim waited');
      const stop = new AbortController();
      const waiting = holder.claim({ waitMs: 3_600_000, signal: stop.signal });
      await t.moment();
      stop.abort();
      t.equal(await t.soon(waiting, 'the end of an aborted claim'), [], 'deliveries of an aborted claim');
      const aborted = await t.soon(holder.claim({ waitMs: 3_600_000, signal: stop.signal }), 'a claim aborted before');
      t.equal(aborted, [], 'deliveries of a claim that was aborted before');
      await t.enqueue();
      t.equal((await holder.claimMany(1)).length, 1, 'deliveries afterwards');
    },
  },
  {
    id: 'STM-10',
    rule: 'R-STM-10',
    title: 'a claim returns only names it asked for; the others are left alone and lose nothing',
    tier: 'core',
    needs: [capability('claimByName', (c) => c.claimByName)],
    async run(t) {
      const holder = await t.holder();
      const foreign = await t.enqueue({ name: 'unknown here', priority: 9 });
      const known = await t.enqueue();
      t.equal((await holder.claimOne()).lease.taskId, known.id, 'the task claimed');
      await holder.claimsNothing();
      const delivery = await holder.claimOne({ names: ['other', 'unknown here'] });
      t.equal([delivery.lease.taskId, delivery.lease.attempt], [foreign.id, 1], 'the other task and its attempt');

      // Nor does one that waits already; names that begin or end alike are others.
      const waiting = (await t.holder({ own: true })).claim({
        names: ['work', 'a'],
        waitMs: Math.round(2 * t.budgetMs),
      });
      await t.moment();
      const names = ['worker', 'homework', 'aa'];
      for (const name of names) await t.enqueue({ name });
      const last = await t.enqueue();
      const [woken] = await t.soon(waiting, 'the waking of a claim');
      t.equal(woken?.lease.taskId, last.id, 'what a claim that waited is given');
      const left = await holder.claimMany(names.length, { names });
      t.equal(left.map(({ name }) => name).sort(), names.sort(), 'what it left to others');
    },
  },
];
