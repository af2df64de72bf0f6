import type { Delivery } from '@millrace/core';
import { capability, hook, transactions } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** MOD-14 and its neighbours: enqueueing in the caller's transaction. */
export const transactionScenarios: readonly Scenario[] = [
  {
    id: 'MOD-14',
    rule: 'R-MOD-14',
    title: 'enqueued in a transaction: invisible until the commit, which wakes a waiting claim',
    tier: 'extended',
    needs: [transactions, hook('transaction')],
    async run(t) {
      const holder = await t.holder({ own: true });
      const task = t.task();
      const { transaction } = t.hooks;
      const waitMs = Math.round(2 * t.budgetMs);
      let looking: Promise<Delivery[]> | undefined;
      await transaction?.(t.client.target, async (tx) => {
        t.equal(await t.broker.enqueue([task], { transaction: tx }), [{ status: 'accepted' }], 'the outcome');
        // A backend with one connection lets nobody look before the commit; then that is how it keeps the promise.
        const first = holder.claim();
        const seen = await Promise.race([first, t.moment()]);
        if (seen === undefined) {
          t.notObservable('before the commit', 'the backend answers nobody during a transaction');
          // Or it was only slow and answers with nothing, as it should.
          looking = first.then((deliveries) => (deliveries.length > 0 ? deliveries : holder.claim({ waitMs })));
          return;
        }
        t.equal(seen, [], 'what a claim gets before the commit');
        if (t.capabilities.tasks.get) t.equal(await t.find(task.id), undefined, 'the record before the commit');
        looking = holder.claim({ waitMs });
        await t.moment();
      });
      const deliveries = await t.soon(t.defined(looking, 'a claim'), 'the waking of a claim', 3 * t.budgetMs);
      t.equal(
        deliveries.map((each) => each.lease.taskId),
        [task.id],
        'what it gets after the commit',
      );
    },
  },
  {
    id: 'MOD-21',
    rule: 'R-MOD-21',
    title: 'enqueued in a transaction that rolls back: never delivered, and its id is free',
    tier: 'extended',
    needs: [transactions, hook('transaction')],
    async run(t) {
      const { transaction } = t.hooks;
      const tasks = [t.task(), t.task()];
      const caught = await transaction?.(t.client.target, async (tx) => {
        await t.broker.enqueue(tasks, { transaction: tx });
        throw new Error('the caller changed its mind');
      }).catch((error: unknown) => error);
      t.equal((caught as Error | undefined)?.message, 'the caller changed its mind', 'what the caller sees');
      const holder = await t.holder();
      await holder.claimsNothing();
      t.equal(
        await t.broker.enqueue(tasks),
        [{ status: 'accepted' }, { status: 'accepted' }],
        'outcomes of enqueueing again',
      );
      t.equal((await holder.claimMany(2)).length, 2, 'tasks delivered');
    },
  },
  {
    id: 'MOD-22',
    rule: 'R-MOD-22',
    title: 'enqueued below a savepoint that rolls back: not there, while what came before and after is',
    tier: 'extended',
    needs: [transactions, hook('transaction'), hook('savepoint')],
    async run(t) {
      const { transaction, savepoint } = t.hooks;
      const [before, within, after] = [t.task(), t.task(), t.task()];
      await transaction?.(t.client.target, async (tx) => {
        await t.broker.enqueue([before], { transaction: tx });
        await savepoint?.(tx, async () => {
          await t.broker.enqueue([within], { transaction: tx });
          throw new Error('back to the savepoint');
        }).catch(() => {});
        await t.broker.enqueue([after], { transaction: tx });
      });
      const holder = await t.holder();
      const ids = (await holder.claimMany(2)).map((each) => each.lease.taskId);
      t.equal(ids.sort(), [before.id, after.id].sort(), 'ids delivered');
      await holder.claimsNothing();
    },
  },
  {
    id: 'MOD-23',
    rule: 'R-MOD-23',
    title: 'a rejected or duplicate task in a transaction does not spoil the transaction',
    tier: 'extended',
    needs: [transactions, hook('transaction'), capability('batch.enqueueAtomic=false', (c) => !c.batch.enqueueAtomic)],
    async run(t) {
      const { transaction } = t.hooks;
      const [existing, fresh, later] = [await t.enqueue(), t.task(), t.task()];
      await transaction?.(t.client.target, async (tx) => {
        const outcomes = await t.broker.enqueue([t.task({ priority: 99 }), existing, fresh], { transaction: tx });
        t.equal(
          outcomes.map((outcome) => outcome.status),
          ['rejected', 'duplicate', 'accepted'],
          'the outcomes',
        );
        t.equal(await t.broker.enqueue([later], { transaction: tx }), [{ status: 'accepted' }], 'a later enqueue');
      });
      const ids = (await (await t.holder()).claimMany(3)).map((each) => each.lease.taskId);
      t.equal(ids.sort(), [existing.id, fresh.id, later.id].sort(), 'ids delivered');
    },
  },
];
