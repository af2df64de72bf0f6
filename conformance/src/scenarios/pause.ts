import type { Delivery } from '@millrace/core';
import { freezing, pauseRunning, pauseWaiting, queuePause, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** PAU: pausing queues and single tasks. */
export const pause: readonly Scenario[] = [
  {
    id: 'PAU-01',
    rule: 'R-PAU-1',
    title: 'after a queue was paused nothing of it starts, on any client; what runs may finish',
    tier: 'extended',
    needs: [queuePause],
    async run(t) {
      const [holder, other] = [await t.holder(), await t.holder({ own: true })];
      await t.enqueueMany(2);
      const running = await holder.claimOne();
      await t.broker.queues.pause('line');
      const sentinel = { queues: ['open', 'line'] };
      await holder.claimsNothing(sentinel);
      await other.claimsNothing(sentinel);
      t.equal(await holder.complete(running), 'applied', 'the settle of the running task');
      const [stats] = await t.broker.queues.stats(['line']);
      t.equal(stats?.paused, true, 'what the stats say');
    },
  },
  {
    id: 'PAU-02',
    rule: 'R-PAU-2',
    title: 'a paused queue takes tasks; resuming it wakes a waiting claim without a new enqueue',
    tier: 'extended',
    needs: [queuePause],
    async run(t) {
      const holder = await t.holder({ own: true });
      const wait = (): Promise<Delivery[]> => holder.claim({ waitMs: Math.round(2 * t.budgetMs) });
      // Whoever waits since before the pause is not to be given anything either. It may take a while until he does.
      for (const moments of [0, 1, 3, 6]) {
        const early = moments > 0 ? [wait()] : [];
        for (let moment = 0; moment < moments; moment++) await t.moment();
        await t.broker.queues.pause('line');
        const task = await t.enqueue();
        if (t.capabilities.tasks.get) await t.inState(task.id, 'pending', 'what comes during a pause');
        const waiting = early[0] ?? wait();
        await t.moment();
        await t.broker.queues.resume('line');
        const deliveries = await t.soon(waiting, 'the waking of a claim', 2 * t.budgetMs);
        t.equal(
          deliveries.map((each) => each.lease.taskId),
          [task.id],
          'what it gets',
        );
        await holder.complete(t.defined(deliveries[0], 'a delivery'));
      }
    },
  },
  {
    id: 'PAU-03',
    rule: 'R-PAU-3',
    title: 'a pause holds for clients and workers that come later, and outlives those that set it',
    tier: 'extended',
    needs: [queuePause],
    async run(t) {
      await t.enqueue();
      const setter = await t.open();
      await setter.broker.queues.pause('line');
      await t.soon(setter.close(), 'closing the client that paused');
      await t.maintain();
      const late = await t.holder({ own: true });
      await late.claimsNothing({ queues: ['open', 'line'] });
      await late.client.broker.queues.resume('line');
      t.equal((await late.claimMany(1)).length, 1, 'deliveries after the resume');
    },
  },
  {
    id: 'PAU-04',
    rule: 'R-PAU-4',
    title: 'pausing one queue leaves the others alone, also before it ever had a task; both are safe to repeat',
    tier: 'extended',
    needs: [queuePause],
    async run(t) {
      const holder = await t.holder();
      for (const queue of ['never seen', 'line', 'line']) await t.broker.queues.pause(queue);
      await t.enqueueMany(2, (index) => ({ queue: ['line', 'never seen'][index] ?? '' }));
      const free = await t.enqueue({ queue: 'open' });
      const delivery = await holder.claimOne({ queues: ['line', 'never seen', 'open'] });
      t.equal(delivery.lease.taskId, free.id, 'the task of the other queue');
      for (const queue of ['line', 'line', 'unknown']) await t.broker.queues.resume(queue);
      t.equal((await holder.claimOne()).queue, 'line', 'the queue resumed');
      await holder.claimsNothing({ queues: ['open', 'never seen'] });
    },
  },
  {
    id: 'PAU-05',
    rule: 'R-PAU-5',
    title: 'tasks that fall due while their queue is paused start after the resume, each once',
    tier: 'extended',
    needs: [queuePause],
    async run(t) {
      const delayMs = Math.max(Math.round(t.unitMs), t.capabilities.delay.granularityMs);
      const tasks = await t.enqueueMany(5, () => ({ delayMs }));
      await t.broker.queues.pause('line');
      await t.advance(delayMs + t.capabilities.delay.granularityMs);
      const holder = await t.holder();
      await holder.claimsNothing({ queues: ['open', 'line'] });
      await t.broker.queues.resume('line');
      const ids = (await holder.claimMany(5)).map((each) => each.lease.taskId);
      t.equal(ids.sort(), tasks.map((task) => task.id).sort(), 'ids delivered');
      await holder.claimsNothing();
    },
  },
  {
    id: 'PAU-06',
    rule: 'R-PAU-6',
    title: 'a session that dies while its queue is paused: its tasks come back, and wait for the resume',
    tier: 'extended',
    needs: [queuePause, freezing, taskStore('get')],
    async run(t) {
      const mortal = await t.mortal();
      const task = await t.enqueue();
      await mortal.claimOne();
      await t.broker.queues.pause('line');
      await mortal.fallSilent();
      await t.eventually(
        async () => {
          await t.maintain();
          return (await t.record(task.id)).state === 'retrying';
        },
        'the recovery of the task',
        t.capabilities.session.sweepMs + t.budgetMs,
      );
      const holder = await t.holder();
      await holder.claimsNothing({ queues: ['open', 'line'] });
      await t.broker.queues.resume('line');
      t.equal((await holder.claimOne()).lease.taskId, task.id, 'what is delivered after the resume');
    },
  },
  {
    id: 'PAU-07',
    rule: 'R-PAU-7',
    title: 'fifty toggles from three clients end in the last state, with no lost wake-up',
    tier: 'extended',
    needs: [queuePause],
    async run(t) {
      const clients = await Promise.all(Array.from({ length: 3 }, () => t.open()));
      const holder = await t.holder();
      const task = await t.enqueue({ delayMs: 0 });
      await t.broker.queues.pause('line');
      const waiting = holder.claim({ waitMs: Math.round(2 * t.budgetMs), queues: ['line'] });
      for (let toggle = 0; toggle < 50; toggle++) {
        const { broker } = clients[toggle % 3] ?? t.client;
        // Every toggle pauses but the last: a resume in between would let the task go.
        await broker.queues.pause('line');
      }
      const [stats] = await t.broker.queues.stats(['line']);
      t.equal(stats?.paused, true, 'the state after the toggles');
      await clients[0]?.broker.queues.resume('line');
      const deliveries = await t.soon(waiting, 'the waking of a claim', 3 * t.budgetMs);
      t.equal(
        deliveries.map((each) => each.lease.taskId),
        [task.id],
        'what it gets',
      );
      for (let toggle = 0; toggle < 50; toggle++) {
        const { queues } = (clients[toggle % 3] ?? t.client).broker;
        await (toggle % 2 === 0 ? queues.pause('line') : queues.resume('line'));
      }
      await holder.claimsNothing();
    },
  },
  {
    id: 'PAU-08',
    rule: 'R-PAU-8',
    title: 'a paused task waits until it is resumed, past its due time, and keeps attempt and place',
    tier: 'extended',
    needs: [pauseWaiting, taskStore('get')],
    async run(t) {
      const holder = await t.holder();
      const retrying = await t.enqueue();
      await holder.retry(await holder.claimOne(), 0);
      const tasks = [retrying, await t.enqueue(), await t.enqueue({ delayMs: Math.round(t.unitMs) })];
      const ids = tasks.map((task) => task.id);
      t.equal(
        await t.tasks.pause(ids),
        ids.map(() => 'applied'),
        'the outcomes',
      );
      t.equal(
        await t.tasks.pause(ids),
        ids.map(() => 'applied'),
        'pausing again',
      );
      await t.advance(2 * t.unitMs);
      await holder.claimsNothing();
      const later = await t.enqueue();
      t.equal(
        await t.tasks.resume([...ids, 'nobody', later.id]),
        [...ids.map(() => 'applied'), 'not-found', 'refused'],
        'resuming',
      );
      const deliveries = await holder.claimMany(4);
      t.equal(deliveries.map((each) => each.lease.taskId).sort(), [...ids, later.id].sort(), 'ids delivered');
      const attempts = new Map(deliveries.map((each) => [each.lease.taskId, each.lease.attempt]));
      t.equal([attempts.get(retrying.id), attempts.get(later.id)], [2, 1], 'attempts');
    },
  },
  {
    id: 'PAU-09',
    rule: 'R-PAU-9',
    title: 'pausing a running task tells its holder; it rests uncharged with its checkpoint, and resumes from there',
    tier: 'extended',
    needs: [pauseRunning, taskStore('get')],
    async run(t) {
      const holder = await t.holder({ own: true, ttlMs: t.heardTtlMs });
      const task = await t.enqueue({ maxAttempts: 1 });
      const delivery = await holder.claimOne();
      t.equal(await t.tasks.pause([task.id]), ['requested'], 'the outcome');
      const signal = await holder.hear();
      t.equal(signal, { taskId: task.id, fence: delivery.lease.fence, request: 'pause' }, 'the signal');
      const { checkpoint } = t.capabilities.reports;
      if (checkpoint)
        t.equal(await holder.report(delivery, { checkpoint: '"page 7"' }), 'applied', 'a last checkpoint');
      t.equal(await holder.settle({ type: 'pause', lease: delivery.lease }), 'applied', 'coming to rest');
      const resting = await t.record(task.id);
      t.equal([resting.state, resting.requested], ['paused', undefined], 'state and request at rest');
      await holder.claimsNothing();
      t.equal(await t.tasks.resume([task.id]), ['applied'], 'the resume');
      const again = await holder.claimOne();
      t.equal(again.lease.attempt, 1, 'the attempt, not charged');
      if (checkpoint) t.equal(again.checkpoint, '"page 7"', 'the checkpoint it is given');
    },
  },
];
