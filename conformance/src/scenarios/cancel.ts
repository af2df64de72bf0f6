import { cancelRunning, cancelWaiting, taskStore, unique } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** CAN: cancelling tasks. What handlers see of it is in worker-control.ts. */
export const cancel: readonly Scenario[] = [
  {
    id: 'CAN-01',
    rule: 'R-CAN-1',
    title: 'a waiting, delayed, retrying or paused task that was cancelled never starts',
    tier: 'extended',
    needs: [cancelWaiting],
    async run(t) {
      const holder = await t.holder();
      const retrying = await t.enqueue();
      await holder.retry(await holder.claimOne(), 0);
      const delayMs = Math.round(t.unitMs);
      const tasks = [retrying, await t.enqueue(), await t.enqueue({ delayMs })];
      if (t.capabilities.tasks.pause.includes('waiting')) {
        const paused = await t.enqueue();
        await t.tasks.pause([paused.id]);
        tasks.push(paused);
      }
      t.equal(
        await t.tasks.cancel(tasks.map((task) => task.id)),
        tasks.map(() => 'applied'),
        'the outcomes',
      );
      await t.advance(delayMs + t.capabilities.delay.granularityMs);
      await holder.claimsNothing();
      for (const task of tasks) {
        await t.inState(task.id, 'cancelled', 'the state');
        if (t.capabilities.tasks.get) t.defined((await t.record(task.id)).finishedAt, 'finishedAt');
      }
    },
  },
  {
    id: 'CAN-02',
    rule: 'R-CAN-2',
    title: 'cancelling a running task tells its holder within a heartbeat, and it ends as cancelled',
    tier: 'extended',
    needs: [cancelRunning],
    async run(t) {
      const holder = await t.holder({ own: true, ttlMs: t.heardTtlMs });
      const [task] = [await t.enqueue(), await t.enqueue()];
      const deliveries = await holder.claimMany(2);
      const mine = t.defined(
        deliveries.find((each) => each.lease.taskId === task.id),
        'the delivery',
      );
      t.equal(await t.tasks.cancel([task.id]), ['requested'], 'the outcome');
      await t.inState(task.id, 'running', 'the state until it comes to rest');
      const signal = await holder.hear();
      t.equal(signal, { taskId: task.id, fence: mine.lease.fence, request: 'cancel' }, 'the signal');
      t.equal(await holder.settle({ type: 'cancel', lease: mine.lease }), 'applied', 'coming to rest');
      await t.inState(task.id, 'cancelled', 'the state');
      t.ok(
        holder.signals.every((each) => each.taskId === task.id),
        'the other task was not told',
      );
    },
  },
  {
    id: 'CAN-03',
    rule: 'R-CAN-3',
    title:
      'a holder that failed after a cancel was requested ends the task as cancelled; one that finished, as succeeded',
    tier: 'extended',
    needs: [cancelRunning],
    async run(t) {
      const holder = await t.holder();
      const [throwing, finishing] = [await t.enqueue(), await t.enqueue()];
      const deliveries = await holder.claimMany(2);
      await t.tasks.cancel([throwing.id, finishing.id]);
      for (const delivery of deliveries) {
        const finished = delivery.lease.taskId === finishing.id;
        t.equal(finished ? await holder.complete(delivery) : await holder.retry(delivery), 'applied', 'the settle');
      }
      await t.inState(throwing.id, 'cancelled', 'the state of the one that failed');
      await t.inState(finishing.id, 'succeeded', 'the state of the one that finished');
      await holder.claimsNothing();
    },
  },
  {
    id: 'CAN-04',
    rule: 'R-CAN-4',
    title: 'cancel against claim: both sides agree, no task is both cancelled and started',
    tier: 'extended',
    needs: [cancelWaiting],
    patience: 2,
    async run(t) {
      const holder = await t.holder({ own: true });
      for (let round = 0; round < 100; round++) {
        const task = await t.enqueue({ queue: `round-${round}` });
        const claim = (): Promise<unknown[]> => holder.claim({ queues: [`round-${round}`] });
        // Who is called first changes, so that both can win.
        const [outcomes, claimed] = await (round % 2 === 0
          ? Promise.all([t.tasks.cancel([task.id]), claim()])
          : Promise.all([claim(), t.tasks.cancel([task.id])]).then(([first, second]) => [second, first] as const));
        const running = t.capabilities.tasks.cancel.includes('running') ? 'requested' : 'refused';
        t.equal(outcomes, [claimed.length === 0 ? 'applied' : running], 'the outcome, given what the claim returned');
      }
    },
  },
  {
    id: 'CAN-05',
    rule: 'R-CAN-5',
    title: 'cancel against settle: exactly one wins, and the state is the winner’s',
    tier: 'extended',
    needs: [cancelRunning, taskStore('get')],
    patience: 2,
    async run(t) {
      const other = await t.open();
      const holder = await t.holder();
      for (let round = 0; round < 60; round++) {
        const task = await t.enqueue();
        const delivery = await holder.claimOne();
        const ending = round % 2 === 0 ? holder.complete(delivery) : holder.fail(delivery);
        const [settled, cancelled] = await Promise.all([ending, other.broker.tasks?.cancel([task.id])]);
        t.equal(settled, 'applied', 'the settle');
        const { state } = await t.record(task.id);
        if (cancelled?.[0] === 'refused')
          t.equal(state, round % 2 === 0 ? 'succeeded' : 'failed', 'the state, cancel refused');
        else
          t.equal(
            [cancelled?.[0], state],
            ['requested', round % 2 === 0 ? 'succeeded' : 'cancelled'],
            'cancel and state',
          );
      }
    },
  },
  {
    id: 'CAN-06',
    rule: 'R-CAN-6',
    title: 'cancelling an ended, an unknown or a cancelled task changes nothing and says so',
    tier: 'extended',
    needs: [cancelWaiting],
    async run(t) {
      const holder = await t.holder();
      const [succeeded, failed] = [await t.enqueue(), await t.enqueue()];
      for (const delivery of await holder.claimMany(2)) {
        await (delivery.lease.taskId === succeeded.id ? holder.complete(delivery) : holder.fail(delivery));
      }
      const cancelled = await t.enqueue();
      t.equal(await t.tasks.cancel([cancelled.id]), ['applied'], 'the first cancel');
      const ids = [succeeded.id, failed.id, cancelled.id, 'nobody'];
      const before = t.capabilities.tasks.get ? await t.tasks.get(ids) : [];
      t.equal(await t.tasks.cancel(ids), ['refused', 'refused', 'refused', 'not-found'], 'the outcomes');
      if (t.capabilities.tasks.get) t.equal(await t.tasks.get(ids), before, 'the records');
      t.equal(await t.tasks.cancel([]), [], 'outcomes for no ids');
    },
  },
  {
    id: 'CAN-07',
    rule: 'R-CAN-7',
    title: 'a cancelled task lets go of its unique key, at once when it waits and at rest when it runs',
    tier: 'extended',
    needs: [cancelRunning, cancelWaiting, unique],
    async run(t) {
      const keyed = { key: 'k', keyUntil: 'settled', onConflict: 'ignore' } as const;
      const waiting = await t.enqueue(keyed);
      await t.tasks.cancel([waiting.id]);
      const running = await t.enqueue(keyed);
      const holder = await t.holder();
      const delivery = await holder.claimOne();
      await t.tasks.cancel([running.id]);
      t.equal((await t.tryEnqueue(t.task(keyed))).status, 'duplicate', 'while it still runs');
      t.equal(await holder.settle({ type: 'cancel', lease: delivery.lease }), 'applied', 'coming to rest');
      t.equal((await t.tryEnqueue(t.task(keyed))).status, 'accepted', 'after it came to rest');
    },
  },
  {
    id: 'CAN-08',
    rule: 'R-CAN-8',
    title:
      'what a filter lists is cancelled page by page: all of it, nothing beside it, and again after an interruption',
    tier: 'extended',
    needs: [cancelWaiting, taskStore('list', 'get')],
    patience: 2,
    async run(t) {
      const wanted = [
        ...(await t.enqueueMany(90, () => ({ queue: 'doomed' }))),
        ...(await t.enqueueMany(20, () => ({ queue: 'doomed', delayMs: 3_600_000 }))),
      ];
      const beside = [
        ...(await t.enqueueMany(30, () => ({ queue: 'doomed', name: 'spared' }))),
        ...(await t.enqueueMany(30, () => ({ queue: 'spared' }))),
      ];
      const filter = { queues: ['doomed'], names: ['work'], states: ['pending', 'scheduled'] } as const;
      /** Lists a page, cancels what is on it, and goes on behind it. */
      const sweep = async (mostPages: number): Promise<number> => {
        let cancelled = 0;
        let cursor: string | undefined;
        for (let page = 0; page < mostPages; page++) {
          const request = { limit: 25, ...(cursor !== undefined && { cursor }) };
          const listed = await t.soon(t.tasks.list(filter, request), 'a page of tasks');
          const ids = listed.tasks.map(({ id }) => id);
          const outcomes = await t.soon(t.tasks.cancel(ids), 'the answer to a cancel');
          t.equal(
            outcomes,
            ids.map(() => 'applied'),
            'the outcomes of a page',
          );
          cancelled += ids.length;
          cursor = listed.cursor;
          if (cursor === undefined) break;
        }
        return cancelled;
      };
      t.equal(await sweep(2), 50, 'tasks cancelled before it was interrupted');
      t.equal(await sweep(100), 60, 'tasks cancelled when it was begun again');
      t.equal(await sweep(100), 0, 'tasks left for a third time');
      for (const { id } of wanted) t.equal((await t.record(id)).state, 'cancelled', 'the state of a task it lists');
      const kept = await (await t.holder()).claimMany(60, { queues: ['doomed', 'spared'], names: ['work', 'spared'] });
      t.equal(
        kept.map(({ lease }) => lease.taskId).sort(),
        beside.map(({ id }) => id).sort(),
        'what is left beside it',
      );
    },
  },
];
