import type { Delivery, SettleOp } from '@millrace/core';
import { buildFailure, usual } from '../context/builders.ts';
import type { Scenario } from '../scenario.ts';

const complete = ({ lease }: Delivery): SettleOp => ({ type: 'complete', lease });
const idsOf = (deliveries: readonly Delivery[]): string[] => deliveries.map(({ lease }) => lease.taskId);

/** Calls of one session in the same moment: a broker may carry them out in one step, and nobody must be able to tell. */
export const together: readonly Scenario[] = [
  {
    id: 'STM-18',
    rule: 'R-STM-18',
    title: 'settling and claiming in one moment: each run ends once, and the claim gives what it would give alone',
    tier: 'core',
    async run(t) {
      const [holder, other] = [await t.holder(), await t.holder({ own: true })];
      const tasks = await t.enqueueMany(9);
      const given: string[] = [];
      for (let held = await holder.claimMany(3); held.length > 0; ) {
        given.push(...idsOf(held));
        const left = tasks.length - given.length;
        const [outcomes, next] = await Promise.all([
          holder.settleAll(held.map(complete)),
          left > 0 ? holder.claimMany(3) : holder.claim({ limit: 3 }),
        ]);
        t.equal(
          outcomes,
          held.map(() => 'applied'),
          'the settles beside a claim',
        );
        held = next;
      }
      t.equal(given.sort(), tasks.map(({ id }) => id).sort(), 'what was given');

      const [first, second] = [await t.enqueue(), await t.enqueue()];
      const [one, two] = (await holder.claimMany(2)) as [Delivery, Delivery];
      const [ended, [again]] = await Promise.all([
        holder.settleAll([{ type: 'retry', lease: one.lease, delayMs: 0, failure: buildFailure() }, complete(two)]),
        holder.claimMany(1),
      ]);
      t.equal(ended, ['applied', 'applied'], 'a retry and a completion beside a claim');
      const back = t.defined(again, 'the task that was to be retried').lease;
      t.equal([back.taskId, back.attempt], [one.lease.taskId, 2], 'what the claim gives: it may be what came back');
      t.ok([first.id, second.id].includes(back.taskId), 'it is one of the two');

      const fresh = await t.enqueue();
      const [used, [next]] = await Promise.all([holder.settle(complete(one)), holder.claimMany(1)]);
      t.equal(used, 'stale', 'a settle with a used lease beside a claim');
      t.equal(t.defined(next, 'the next task').lease.taskId, fresh.id, 'what that claim gives');

      // What a settle hands back is told to others, whatever the claim beside it looks for.
      const names = t.capabilities.claimByName ? ['another'] : [usual.name];
      const queues = t.capabilities.claimByName ? [usual.queue] : ['another'];
      let passing = t.defined(next, 'the next task');
      for (const [from, to] of [
        [holder, other],
        [other, holder],
        [holder, other],
        [other, holder],
      ] as const) {
        const waiting = to.claim({ waitMs: Math.round(2 * t.budgetMs) });
        await t.moment();
        const [released, nothing] = await Promise.all([from.release(passing), from.claim({ names, queues })]);
        t.equal([released, nothing], ['applied', []], 'a release beside a claim for something else');
        passing = t.defined((await t.soon(waiting, 'the waking of a claim'))[0], 'what was released');
        t.equal(passing.lease.taskId, fresh.id, 'what a waiting claim gets');
      }
      t.equal(await holder.complete(passing), 'applied', 'its completion');
      t.equal(await holder.complete(back), 'applied', 'the completion of what came back');
      await other.claimsNothing();
    },
  },
  {
    id: 'CON-17',
    rule: 'R-CON-17',
    title: 'a task that comes as a waiting claim ends is given by that claim, or to the next one, uncharged',
    tier: 'core',
    patience: 3,
    async run(t) {
      const [leaving, staying] = [await t.holder({ own: true }), await t.holder()];
      const rounds = t.tempo.kind === 'virtual' ? 300 : 60;
      for (let round = 0; round < rounds; round++) {
        const stop = new AbortController();
        const waiting = t.underway(
          leaving.session.claim({
            queues: [usual.queue],
            names: [usual.name],
            limit: 1,
            waitMs: 600_000,
            signal: stop.signal,
          }),
        );
        // Some are on their way to the broker, most are asleep.
        if (round % 4 > 0) await t.moment();
        const enqueued = t.enqueue();
        // The end comes a varying number of turns after the enqueue, so that it meets the task at every point of its way.
        for (let turn = 0; turn < round % 12; turn++) await Promise.resolve();
        for (let turn = 0; turn < round % 7; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
        stop.abort();
        const [task, got] = await Promise.all([enqueued, t.soon(waiting, 'the end of a claim')]);
        const owner = got.length > 0 ? leaving : staying;
        const delivery = got[0] ?? (await staying.claimOne());
        t.equal([delivery.lease.taskId, delivery.lease.attempt], [task.id, 1], 'what is given, and on which attempt');
        t.equal(await owner.complete(delivery), 'applied', 'the completion');
      }
      await staying.claimsNothing();
    },
  },
];
