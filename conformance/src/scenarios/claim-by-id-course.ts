import type { ClaimVerdict, Delivery } from '@millrace/core';
import type { Holder } from '../context/holder.ts';
import { cutClaimByIdAgain, cutClaimByIdAlone } from '../faults/cut-session.ts';
import { faultScenario } from '../faults/fault-scenario.ts';
import { sweepReplies } from '../faults/reply-sweep.ts';
import { cancelRunning, capability, claimById, freezing, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

const untilStarted = capability(
  'unique.until.started',
  ({ unique }) => unique !== false && unique.until.includes('started'),
);

/** CBI: a claim by id is a claim in all that follows, and nobody gets a task twice. */
export const claimByIdCourse: readonly Scenario[] = [
  {
    id: 'CBI-08',
    rule: 'R-CBI-4',
    title: 'fence and attempt grow over claims by id and by queue alike; release and snooze are not charged',
    tier: 'extended',
    needs: [claimById],
    async run(t) {
      const { id } = await t.enqueue({ maxAttempts: 20 });
      const [one, two] = [await t.holder(), await t.holder({ own: true })];
      const claims = [
        () => one.claimById(id),
        () => two.claimById(id),
        () => one.claimOne(),
        () => two.claimById(id),
        () => one.claimById(id),
      ];
      const endings = ['release', 'retry', 'snooze', 'retry'] as const;
      const seen: Delivery[] = [];
      for (const [index, claim] of claims.entries()) {
        const delivery = await claim();
        seen.push(delivery);
        const holder = delivery.lease.sessionId === one.session.id ? one : two;
        const ending = endings[index];
        if (ending === 'snooze') t.equal(await holder.snooze(delivery, 0), 'applied', ending);
        else if (ending !== undefined) t.equal(await holder[ending](delivery), 'applied', ending);
      }
      t.equal(
        seen.map(({ lease }) => lease.attempt),
        [1, 1, 2, 2, 3],
        'the attempts: those of release and snooze are given back',
      );
      const fences = seen.map(({ lease }) => lease.fence);
      t.equal(
        fences,
        [...new Set(fences)].sort((a, b) => a - b),
        'the fences',
      );
      const last = seen.at(-1) as Delivery;
      for (const old of seen.slice(0, -1)) {
        const holder = old.lease.sessionId === one.session.id ? one : two;
        t.equal(await holder.complete(old), 'stale', 'a completion with an older lease');
      }
      t.equal(await one.complete(last), 'applied', 'the completion with the newest');
    },
  },
  {
    id: 'CBI-09',
    rule: 'R-CBI-5',
    title: 'of claims by id and by queue at the same time, each task is given to one; so with several by id',
    tier: 'extended',
    needs: [claimById],
    patience: 2,
    async run(t) {
      const tasks = await t.enqueueMany(100);
      const ids = tasks.map(({ id }) => id);
      const holders = await Promise.all([1, 2, 3, 4].map((index) => t.holder({ own: index % 2 === 0 })));
      const given: { readonly holder: Holder; readonly delivery: Delivery }[] = [];
      const take = (holder: Holder, verdicts: readonly ClaimVerdict[]): void => {
        for (const verdict of verdicts) {
          t.ok(verdict.status === 'claimed' || verdict.status === 'held', `a verdict is ${verdict.status}`);
          if (verdict.status === 'claimed') given.push({ holder, delivery: verdict.delivery });
        }
      };
      const size = Math.min(10, t.capabilities.batch.maxClaim);
      await Promise.all(
        holders.map(async (holder, index) => {
          for (let from = 0; from < ids.length; from += size) {
            // One of them asks by queue, the others for the same tasks in the same order, or from the other end.
            if (index === 0) {
              for (const delivery of await holder.claim({ limit: size })) given.push({ holder, delivery });
            } else {
              const order = index === 1 ? [...ids].reverse() : ids;
              take(holder, await holder.claimTasks(order.slice(from, from + size)));
            }
          }
        }),
      );
      // What two of them were about to take at once may have been left by both.
      for (let from = 0; from < ids.length; from += size) {
        const [holder] = holders;
        if (holder !== undefined) take(holder, await holder.claimTasks(ids.slice(from, from + size)));
      }
      const taken = given.map(({ delivery }) => delivery.lease.taskId);
      t.equal([taken.length, new Set(taken).size], [100, 100], 'deliveries, and different tasks among them');
      t.ok(
        given.every(({ delivery }) => delivery.lease.attempt === 1),
        'every task is on its first attempt',
      );
      for (const { holder, delivery } of given) t.equal(await holder.complete(delivery), 'applied', 'the completion');
      await (holders[0] as Holder).claimsNothing();
    },
  },
  {
    id: 'CBI-10',
    rule: 'R-CBI-4',
    title: 'tasks claimed by id come back when their session ends, uncharged, or falls silent, charged',
    tier: 'extended',
    needs: [claimById, freezing],
    async run(t) {
      const [ended, lost] = [await t.enqueue(), await t.enqueue({ queue: 'lost' })];
      const [leaving, mortal, holder] = [await t.holder(), await t.mortal(), await t.holder()];
      const left = await leaving.claimById(ended.id);
      await t.soon(leaving.session.end(), 'the end of a session');
      const back = await holder.claimById(ended.id);
      t.equal(back.lease.attempt, 1, 'the attempt after the end of the session');
      t.ok(back.lease.fence > left.lease.fence, 'the fence has grown');
      const stale = await mortal.claimById(lost.id);
      t.equal((await holder.claimTask(lost.id)).status, 'held', 'what is said of it while the session lives');
      await mortal.fallSilent();
      const again = await t.eventually(
        async () => {
          await t.maintain();
          const verdict = await holder.claimTask(lost.id);
          t.require(verdict.status === 'claimed' || verdict.status === 'held', `a verdict is ${verdict.status}`);
          return verdict.status === 'claimed' ? verdict.delivery : undefined;
        },
        'the claim of a task whose session fell silent',
        t.capabilities.session.sweepMs + t.budgetMs,
      );
      const { begun } = t.capabilities.reports;
      t.equal(again.lease.attempt, 2, `the attempt after the loss${begun ? ', with attempts left' : ''}`);
      t.equal(await mortal.complete(stale), 'stale', 'the completion by the session that was silent');
      t.equal(await holder.complete(again), 'applied', 'the completion');
    },
  },
  {
    id: 'CBI-11',
    rule: 'R-CBI-4',
    title: 'the holder of a task claimed by id hears of stops, reports on it, and has its checkpoint the next time',
    tier: 'extended',
    needs: [claimById, cancelRunning, taskStore('get')],
    async run(t) {
      const { id } = await t.enqueue({ maxAttempts: 5 });
      const holder = await t.holder({ ttlMs: t.heardTtlMs });
      const first = await holder.claimById(id);
      t.equal(first.checkpoint, undefined, 'the checkpoint of the first run');
      const { checkpoint } = t.capabilities.reports;
      if (checkpoint) t.equal(await holder.report(first, { checkpoint: '"page 7"' }), 'applied', 'the report');
      t.equal(await holder.retry(first), 'applied', 'the retry');
      const second = await holder.claimById(id);
      if (checkpoint) t.equal(second.checkpoint, '"page 7"', 'the checkpoint it is given');
      t.equal(await t.tasks.cancel([id]), ['requested'], 'the cancel');
      const signal = await holder.hear();
      t.equal(signal, { taskId: id, fence: second.lease.fence, request: 'cancel' }, 'what the holder is told');
      t.equal(await holder.settle({ type: 'cancel', lease: second.lease }), 'applied', 'coming to rest');
      t.equal((await t.record(id)).state, 'cancelled', 'the state at rest');
    },
  },
  {
    id: 'CBI-12',
    rule: 'R-CBI-6',
    title: 'a key until started is free once its task was claimed by id',
    tier: 'extended',
    needs: [claimById, untilStarted],
    async run(t) {
      const holder = await t.holder();
      const first = await t.enqueue({ key: 'k', keyUntil: 'started' });
      const duplicate = await t.tryEnqueue(t.task({ key: 'k', keyUntil: 'started' }));
      t.equal(duplicate, { status: 'duplicate', existingId: first.id }, 'the outcome while it waits');
      const delivery = await holder.claimById(first.id);
      const second = await t.enqueue({ key: 'k', keyUntil: 'started' });
      t.equal(await holder.complete(delivery), 'applied', 'the completion');
      t.equal((await holder.claimById(second.id)).lease.attempt, 1, 'the attempt of the next one with the key');
    },
  },
  {
    id: 'CBI-13',
    rule: 'R-CBI-7',
    title: 'ids that make no sense are refused, and so is a session that has ended or was lost; nothing is claimed',
    tier: 'extended',
    needs: [claimById, freezing],
    async run(t) {
      const { id } = await t.enqueue();
      const holder = await t.holder();
      const { maxClaim } = t.capabilities.batch;
      const senseless: Record<string, unknown> = {
        'no ids': [],
        'an id twice': [id, 'another', id],
        'more than batch.maxClaim': Array.from({ length: maxClaim + 1 }, (_unused, index) => `${index}`),
        'a number': [id, 7],
        'no list': id,
      };
      for (const [what, ids] of Object.entries(senseless)) {
        await t.cell(what, async () => {
          await t.refuses(() => holder.claimTasks(ids as string[]), 'VALIDATION', `a claim of ${what}`);
        });
      }
      await t.inState(id, 'pending', 'the state of a task that was named in them');
      const mortal = await t.mortal();
      const other = await t.enqueue();
      await mortal.claimById(other.id);
      await mortal.fallSilent();
      await t.maintain();
      await t.refuses(() => mortal.claimTasks([id]), 'LEASE_LOST', 'a claim of a session that was lost');
      await t.soon(holder.session.end(), 'the end of a session');
      await t.refuses(() => holder.claimTasks([id]), 'CLOSED', 'a claim of a session that has ended');
      const closing = await t.holder({ own: true });
      await t.soon(closing.client.close(), 'the close of a client');
      await t.refuses(() => closing.claimTasks([id]), 'CLOSED', 'a claim of a client that was closed');
      t.equal((await (await t.holder()).claimById(id)).lease.attempt, 1, 'the attempt of the task');
    },
  },
  faultScenario({
    id: 'CBI-14',
    rule: 'R-CBI-8',
    title: 'the reply of a claim by id is cut: asked for again it is given, left alone it is free one heartbeat later',
    needs: [claimById],
    patience: 3,
    run: (t) => sweepReplies(t, [cutClaimByIdAgain, cutClaimByIdAlone]),
  }),
];
