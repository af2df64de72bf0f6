import type { Delivery } from '@millrace/core';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';
import { checkPush } from './wake-up.ts';

const yearMs = 31_536_000_000;
const hourMs = 3_600_000;

/** DLY: never early, due promptly. */
export const delay: readonly Scenario[] = [
  {
    id: 'DLY-01',
    rule: 'R-DLY-1',
    title: 'nothing starts before it is due, by the broker’s clock: delays, absolute times, retries and snoozes',
    tier: 'core',
    async run(t) {
      const { granularityMs } = t.capabilities.delay;
      const delayMs = Math.max(Math.round(2 * t.unitMs), 2 * granularityMs);
      const holder = await t.holder();
      const [retried, snoozed] = [await t.enqueue(), await t.enqueue()];
      const held = await holder.claimMany(2);
      const dueAt = new Map<string, number>();
      const delayed = t.task({ delayMs });
      dueAt.set(delayed.id, t.now() + delayMs);
      await t.enqueueAll([delayed]);
      for (const delivery of held) {
        dueAt.set(delivery.lease.taskId, t.now() + delayMs);
        const again = delivery.lease.taskId === retried.id ? holder.retry : holder.snooze;
        t.equal(await again.call(holder, delivery, delayMs), 'applied', 'the settle');
      }
      // Counted from before each call, so that nothing but being early can fail.
      const early: string[] = [];
      const came: Delivery[] = [];
      await t.eventually(
        async () => {
          const deliveries = await holder.claim({ limit: 3 });
          const now = t.now() + t.capabilities.timePrecisionMs;
          early.push(...deliveries.map((each) => each.lease.taskId).filter((id) => now < (dueAt.get(id) ?? 0)));
          came.push(...deliveries);
          return came.length >= 3;
        },
        'the delivery of three tasks when due',
        delayMs + t.budgetMs,
      );
      t.equal(early, [], 'tasks that came early');
      t.equal(
        came.map((each) => each.lease.taskId).sort(),
        [retried.id, snoozed.id, delayed.id].sort(),
        'ids delivered when due',
      );
      const first = t.defined(
        came.find((each) => each.lease.taskId === delayed.id),
        'the delayed task',
      );
      t.between(first.runAt - first.createdAt, delayMs, delayMs + granularityMs, 'runAt − createdAt');
    },
  },
  {
    id: 'DLY-02',
    rule: 'R-DLY-2',
    title: 'a waiting consumer gets a due task within the budget',
    tier: 'core',
    async run(t) {
      const delayMs = Math.max(Math.round(2 * t.unitMs), t.capabilities.delay.granularityMs);
      const holder = await t.holder();
      const task = await t.enqueue({ delayMs });
      // The claim would go on waiting for an hour: only noticing the due time ends it within the budget.
      const deliveries = await t.soon(
        holder.claim({ waitMs: 3_600_000 }),
        'the delivery of a due task to a waiting claim',
        delayMs + t.budgetMs,
      );
      t.equal(
        deliveries.map((each) => each.lease.taskId),
        [task.id],
        'the task delivered',
      );
    },
  },
  {
    id: 'DLY-03',
    rule: 'R-DLY-3',
    title: 'an instant in the past means now',
    tier: 'core',
    async run(t) {
      const now = t.tempo.clock.now();
      const tasks = [
        await t.enqueue({ runAt: now - yearMs }),
        await t.enqueue({ runAt: 0 }),
        await t.enqueue({ runAt: -1 }),
      ];
      const deliveries = await (await t.holder()).claimMany(3);
      t.equal(deliveries.map((each) => each.lease.taskId).sort(), tasks.map((task) => task.id).sort(), 'ids delivered');
    },
  },
  {
    id: 'DLY-04',
    rule: 'R-DLY-4',
    title: 'long delays (2^31, 2^32 ms, a year, the longest claimed) are kept or refused, never early',
    tier: 'core',
    async run(t) {
      const { maxMs } = t.capabilities.delay;
      const holder = await t.holder();
      const asked = [2 ** 31 - 1, 2 ** 31, 2 ** 32, yearMs, maxMs];
      for (const delayMs of new Set(asked)) {
        const outcome = await t.tryEnqueue(t.task({ delayMs }));
        t.equal(outcome.status, delayMs <= maxMs ? 'accepted' : 'rejected', `outcome of a delay of ${delayMs} ms`);
      }
      const tooLong = await t.tryEnqueue(t.task({ delayMs: maxMs + 1 }));
      t.equal(tooLong.status, 'rejected', 'outcome of a delay above the longest claimed');
      // A timer of 2^31 ms fires after 1 ms on Node: a waiting claim must not be fooled either.
      t.equal(await holder.claim({ waitMs: Math.round(3 * t.unitMs), limit: 10 }), [], 'what a waiting claim gets');
      await holder.claimsNothing();
    },
  },
  {
    id: 'DLY-05',
    rule: 'R-DLY-5',
    title: 'a short delay is not held back by a longer one enqueued before it',
    tier: 'core',
    async run(t) {
      await t.enqueue({ delayMs: hourMs });
      const delayMs = Math.max(Math.round(t.unitMs), t.capabilities.delay.granularityMs);
      const short = await t.enqueue({ delayMs });
      const now = await t.enqueue();
      const holder = await t.holder();
      // On a machine that stood still meanwhile, the short delay may have been over first.
      const came = [await holder.claimOne()];
      await t.advance(delayMs);
      came.push(await holder.claimOne());
      t.equal(came.map((each) => each.lease.taskId).sort(), [now.id, short.id].sort(), 'the tasks that come');
      await holder.claimsNothing();
    },
  },
  {
    id: 'DLY-06',
    rule: 'R-DLY-6',
    title: 'many tasks due at the same instant: each starts once, none is lost',
    tier: 'core',
    patience: 2,
    async run(t) {
      const delayMs = Math.max(Math.round(10 * t.unitMs), t.capabilities.delay.granularityMs);
      const tasks = await t.enqueueMany(500, () => ({ delayMs }));
      const holders = await Promise.all(Array.from({ length: 3 }, () => t.holder({ own: true })));
      await t.advance(delayMs);
      const ids: string[] = [];
      await t.eventually(
        async () => {
          const batches = await Promise.all(holders.map((holder) => holder.claim({ limit: 60 })));
          ids.push(...batches.flat().map((delivery) => delivery.lease.taskId));
          return ids.length >= tasks.length;
        },
        'the start of 500 due tasks',
        delayMs + t.budgetMs,
      );
      t.equal(ids.sort(), tasks.map((task) => task.id).sort(), 'ids delivered');
    },
  },
  {
    id: 'DLY-07',
    rule: 'R-DLY-7',
    title: 'a claim that waits already is woken by a task falling due, without anything new being enqueued',
    tier: 'core',
    async run(t) {
      const delayMs = Math.max(Math.round(6 * t.unitMs), t.capabilities.delay.granularityMs);
      const holder = await t.holder();
      const late: number[] = [];
      for (let round = 0; round < 3; round++) {
        const waiting = holder.claim({ waitMs: Math.round(delayMs + t.budgetMs) });
        await t.moment();
        const started = t.now();
        const task = await t.enqueue({ delayMs });
        const deliveries = await t.soon(waiting, 'the waking of a claim', delayMs + 2 * t.budgetMs);
        t.equal(
          deliveries.map((each) => each.lease.taskId),
          [task.id],
          'what it gets',
        );
        const tookMs = t.now() - started;
        t.between(tookMs, delayMs - t.unitMs, delayMs + t.budgetMs, 'the time until it was woken');
        late.push(tookMs - delayMs);
        await holder.complete(t.defined(deliveries[0], 'a delivery'));
      }
      checkPush(t, late);
    },
  },
  {
    id: 'DLY-09',
    rule: 'R-DLY-9',
    title: 'reschedule to later, to earlier, to an instant and to now takes effect, and wakes a claim that waits',
    tier: 'extended',
    needs: [taskStore('reschedule')],
    async run(t) {
      const holder = await t.holder();
      const task = await t.enqueue();
      t.equal(await t.tasks.reschedule([task.id], { delayMs: hourMs }), ['applied'], 'to later');
      await holder.claimsNothing();
      const at = t.tempo.clock.now() + 2 * hourMs;
      await t.inState(task.id, 'scheduled', 'the state');
      t.equal(await t.tasks.reschedule([task.id], { at }), ['applied'], 'to an instant');
      if (t.capabilities.tasks.get) t.equal((await t.record(task.id)).runAt, at, 'the due time');
      await holder.claimsNothing();
      const waiting = holder.claim({ waitMs: Math.round(t.budgetMs) });
      await t.moment();
      t.equal(await t.tasks.reschedule([task.id], { delayMs: 0 }), ['applied'], 'to now');
      const [delivery] = await t.soon(waiting, 'the waking of a claim', 2 * t.budgetMs);
      t.equal([delivery?.lease.taskId, delivery?.lease.attempt], [task.id, 1], 'what a waiting claim gets');
      t.equal(await t.tasks.reschedule([task.id, 'nobody'], { delayMs: 1 }), ['refused', 'not-found'], 'while running');
    },
  },
  {
    id: 'DLY-11',
    rule: 'R-DLY-11',
    title: 'the granularity claimed is the granularity there is',
    tier: 'core',
    async run(t) {
      const { granularityMs } = t.capabilities.delay;
      const { get } = t.capabilities.tasks;
      // Where tasks cannot be looked up, they have to be waited for.
      const [count, base] = get ? [20, hourMs] : [5, 0];
      const asked = (index: number): number => base + index * granularityMs;
      const tasks = await t.enqueueMany(count, (index) => ({ delayMs: asked(index) }));
      const ids = tasks.map((task) => task.id);
      const found = get ? await t.tasks.get(ids) : await deliveredIn(t, ids, asked(count));
      for (const [index, record] of found.entries()) {
        const span = (record?.runAt ?? 0) - (record?.createdAt ?? 0);
        t.between(span, asked(index), asked(index) + granularityMs - 1, `the delay kept for one of ${asked(index)} ms`);
      }
    },
  },
];

/** The deliveries of these tasks, in this order. */
async function deliveredIn(t: ScenarioContext, ids: readonly string[], ms: number): Promise<(Delivery | undefined)[]> {
  const holder = await t.holder();
  const came: Delivery[] = [];
  const all = async (): Promise<boolean> => {
    came.push(...(await holder.claim({ limit: Math.min(ids.length, t.capabilities.batch.maxClaim) })));
    return came.length >= ids.length;
  };
  await t.eventually(all, `the delivery of ${ids.length} delayed tasks`, ms + t.budgetMs);
  return ids.map((id) => came.find(({ lease }) => lease.taskId === id));
}
