import { taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

const hourMs = 3_600_000;

/** STM: expiry, removal, rerun and changes of waiting tasks. */
export const stateMachineEnds: readonly Scenario[] = [
  {
    id: 'STM-11',
    rule: 'R-STM-11',
    title: 'a task not started in time never starts, swept or not, and ends as failed, kind expired',
    tier: 'core',
    async run(t) {
      const expiresInMs = Math.round(6 * t.unitMs);
      const holder = await t.holder();
      const late = await t.enqueueMany(
        3,
        (index) => [{ expiresInMs }, { expiresInMs, delayMs: hourMs }, { expiresInMs: 0 }][index] ?? {},
      );
      const inTime = await t.enqueue({ expiresInMs: hourMs });
      await t.advance(expiresInMs + t.capabilities.timePrecisionMs);
      // Nobody has swept yet: the claim itself must not hand it out.
      t.equal((await holder.claimOne()).lease.taskId, inTime.id, 'the task claimed');
      await holder.claimsNothing();
      const report = await t.maintain();
      if (!t.capabilities.tasks.get) return;
      t.ok(report.expired <= 3, 'a sweep does not count more than there were');
      for (const task of late) {
        await t.eventually(
          async () => {
            await t.maintain();
            return (await t.find(task.id))?.state === 'failed';
          },
          'the end of an expired task',
          t.capabilities.session.sweepMs + t.budgetMs,
        );
        const record = await t.record(task.id);
        t.equal(
          [record.failure, record.attempt, record.startedAt],
          ['expired', 0, undefined],
          'failure, attempt, startedAt',
        );
        t.defined(record.finishedAt, 'finishedAt');
      }
    },
  },
  {
    id: 'STM-12',
    rule: 'R-STM-12',
    title:
      'remove: waiting and ended tasks are gone, a running one is asked to stop and then gone, unknown is not-found',
    tier: 'extended',
    needs: [taskStore('remove')],
    async run(t) {
      const holder = await t.holder({ ttlMs: t.heardTtlMs });
      const running = await t.enqueue();
      const delivery = await holder.claimOne();
      const [waiting, later] = [await t.enqueue(), await t.enqueue({ delayMs: hourMs })];
      const outcomes = await t.tasks.remove([waiting.id, 'nobody', running.id, later.id]);
      t.equal(outcomes, ['applied', 'not-found', 'requested', 'applied'], 'outcomes, in the order asked');
      await holder.claimsNothing();
      const { get } = t.capabilities.tasks;
      if (get) t.equal([await t.find(waiting.id), await t.find(later.id)], [undefined, undefined], 'the removed tasks');
      await holder.hear(running.id);
      t.equal(holder.signals[0], { taskId: running.id, fence: delivery.lease.fence, request: 'remove' }, 'the signal');
      t.equal(await holder.settle({ type: 'cancel', lease: delivery.lease }), 'applied', 'coming to rest');
      if (get) t.equal(await t.find(running.id), undefined, 'the task that ran');
      await holder.claimsNothing();
      t.equal(await t.tasks.remove([running.id]), ['not-found'], 'removing it again');
    },
  },
  {
    id: 'STM-13',
    rule: 'R-STM-13',
    title: 'rerun starts the attempts again, keeps input and errors, and the fence goes on growing',
    tier: 'extended',
    needs: [taskStore('rerun')],
    async run(t) {
      const holder = await t.holder();
      const task = await t.enqueue({ input: '"kept"', maxAttempts: 2 });
      await holder.retry(await holder.claimOne());
      const second = await holder.claimOne();
      const { progress, checkpoint } = t.capabilities.reports;
      await holder.report(second, { ...(progress && { progress: '1' }), ...(checkpoint && { checkpoint: '1' }) });
      await holder.fail(second);
      await holder.claimsNothing();
      t.equal(await t.tasks.rerun([task.id]), ['applied'], 'the outcome');
      const { get } = t.capabilities.tasks;
      if (get) {
        const waiting = await t.record(task.id);
        t.equal([waiting.state, waiting.attempt, waiting.errors.length], ['pending', 0, 2], 'state, attempt, errors');
        const traces = [waiting.failure, waiting.finishedAt, waiting.output, waiting.checkpoint, waiting.progress];
        t.ok(
          traces.every((trace) => trace === undefined),
          'a rerun clears what the last run left: failure, end, output, checkpoint and progress',
        );
      }
      const third = await holder.claimOne();
      t.equal(
        [third.lease.attempt, third.input, third.checkpoint],
        [1, '"kept"', undefined],
        'attempt, input and checkpoint of the rerun',
      );
      t.ok(third.lease.fence > second.lease.fence, 'the fence grows over a rerun');
      t.equal(await holder.complete(second), 'stale', 'a settle with the lease before the rerun');
      t.equal(await holder.complete(third, '"now"'), 'applied', 'the completion');
      if (!get) return;
      const ended = await t.record(task.id);
      t.equal([ended.state, ended.output, ended.errors.length], ['succeeded', '"now"', 2], 'state, output, errors');
    },
  },
  {
    id: 'STM-15',
    rule: 'R-STM-15',
    title: 'update changes only what it names, and only of tasks that wait',
    tier: 'extended',
    needs: [taskStore('update')],
    async run(t) {
      const task = await t.enqueue({ input: '"old"', group: 'g1', owner: 'o1' });
      const { get } = t.capabilities.tasks;
      const before = get ? await t.record(task.id) : undefined;
      t.equal(await t.tasks.update([task.id], { input: '"new"', group: 'g2' }), ['applied'], 'the outcome');
      if (before !== undefined)
        t.equal(await t.record(task.id), { ...before, input: '"new"', group: 'g2' }, 'the record');
      const holder = await t.holder();
      const delivery = await holder.claimOne();
      t.equal([delivery.input, delivery.group, delivery.owner], ['"new"', 'g2', 'o1'], 'what is delivered');
      t.equal(
        await t.tasks.update([task.id, 'nobody'], { input: '"late"' }),
        ['refused', 'not-found'],
        'outcomes while running',
      );
      if (get) t.equal((await t.record(task.id)).input, '"new"', 'the input');
    },
  },
  {
    id: 'STM-16',
    rule: 'R-STM-16',
    title: 'error lists and logs are bounded: the oldest entries go first',
    tier: 'extended',
    needs: [taskStore('get')],
    async run(t) {
      const holder = await t.holder();
      const task = await t.enqueue({ maxAttempts: Number.POSITIVE_INFINITY });
      for (let attempt = 1; attempt <= 13; attempt++) {
        const delivery = await holder.claimOne();
        t.equal(delivery.maxAttempts, Number.POSITIVE_INFINITY, 'maxAttempts');
        await holder.retry(delivery, 0, { kind: 'error', name: 'Error', message: `number ${attempt}` });
      }
      const { errors } = await t.record(task.id);
      t.equal(
        errors.map((error) => error.attempt),
        [4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
        'attempts with a kept error',
      );
      t.equal(errors.at(-1)?.message, 'number 13', 'the newest error');
      if (!t.capabilities.reports.log) return;
      const delivery = await holder.claimOne();
      for (let batch = 0; batch < 3; batch++) {
        const log = Array.from({ length: 50 }, (_unused, line) => ({
          level: 'debug' as const,
          message: `${batch * 50 + line}`,
          at: 1,
        }));
        t.equal(await holder.report(delivery, { log }), 'applied', 'the report');
      }
      const lines = (await t.record(task.id)).log.map((line) => line.message);
      t.equal([lines.length, lines[0], lines.at(-1)], [100, '50', '149'], 'length, first and last line of the log');
    },
  },
];
