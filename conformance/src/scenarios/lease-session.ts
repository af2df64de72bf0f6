import type { Delivery } from '@millrace/core';
import { capability, freezing, virtualTime } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** LSE: sessions, and what becomes of their tasks when they end. */
export const leaseSession: readonly Scenario[] = [
  {
    id: 'LSE-02',
    rule: 'R-LSE-2',
    title: 'tasks of a silent session start again within ttl + sweep, once, and only those',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const mortal = await t.mortal();
      const healthy = await t.holder({ own: true, ttlMs: t.heardTtlMs });
      const lost = await t.enqueueMany(3);
      await mortal.claimMany(3);
      const kept = await t.enqueueMany(3);
      const running = await healthy.claimMany(3);
      mortal.freeze();
      const started = t.now();
      await t.advance(mortal.ttlMs);
      const holder = await t.holder();
      const recovered = await holder.claimRecovered(3);
      const { sweepMs } = t.capabilities.session;
      const recoveredMs = t.now() - started;
      t.measure('recoveryAfterSilenceMs', recoveredMs);
      t.between(recoveredMs, 0, mortal.ttlMs + sweepMs + t.budgetMs, 'the time to recovery');
      t.equal(recovered.map((each) => each.lease.taskId).sort(), lost.map((task) => task.id).sort(), 'tasks recovered');
      t.equal(
        recovered.map((each) => each.lease.attempt),
        [2, 2, 2],
        'attempts: the lost run is charged',
      );
      await holder.claimsNothing();
      const outcomes = await healthy.settleAll(running.map(({ lease }) => ({ type: 'complete', lease })));
      t.equal(
        outcomes,
        kept.map(() => 'applied'),
        'settles of the session that went on beating',
      );
    },
  },
  {
    id: 'LSE-03',
    rule: 'R-LSE-3',
    title: 'a session keeps its tasks for longer than its ttl by beating, whatever sweeps around it',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const holder = await t.holder({ own: true, ttlMs: t.heardTtlMs });
      await t.enqueue();
      const delivery = await holder.claimOne();
      for (let step = 0; step < 3; step++) {
        await t.pause(holder.ttlMs / 2);
        await t.maintain();
      }
      t.equal(holder.session.lost.aborted, false, 'whether the session was lost');
      await (await t.holder()).claimsNothing();
      t.equal(await holder.complete(delivery), 'applied', 'the completion');
    },
  },
  {
    id: 'LSE-07',
    rule: 'R-LSE-7',
    title: 'the boundary: nothing is taken back one moment before the ttl is over, everything right after',
    tier: 'core',
    needs: [freezing, virtualTime],
    async run(t) {
      const mortal = await t.mortal();
      const [inTime, tooLate] = [await t.enqueue(), await t.enqueue()];
      const held = await mortal.claimMany(2);
      mortal.freeze();
      const { sweepMs } = t.capabilities.session;
      await t.advance(mortal.ttlMs - 1);
      t.equal((await t.maintain()).reclaimed, 0, 'tasks taken back one moment early');
      const first = held.find((each) => each.lease.taskId === inTime.id);
      t.equal(await mortal.complete(t.defined(first, 'the first delivery')), 'applied', 'a settle in time');
      await t.advance(1 + sweepMs);
      await t.maintain();
      const second = held.find((each) => each.lease.taskId === tooLate.id);
      t.equal(await mortal.complete(t.defined(second, 'the second delivery')), 'stale', 'a settle too late');
      t.equal((await (await t.holder()).claimOne()).lease.taskId, tooLate.id, 'what is delivered again');
    },
  },
  {
    id: 'LSE-12',
    rule: 'R-LSE-12',
    title: 'sessions of one client are independent: the end of one gives its tasks back and leaves the others alone',
    tier: 'core',
    async run(t) {
      const [leaving, staying] = [await t.holder(), await t.holder()];
      await t.enqueueMany(5);
      const [done, ...given] = (await leaving.claimMany(3)) as [Delivery, ...Delivery[]];
      const kept = await staying.claimMany(2);
      // What was given together need not end together.
      t.equal(await leaving.complete(done), 'applied', 'the settle of one before the end');
      await t.soon(leaving.session.end(), 'the end of a session');
      await t.soon(leaving.session.end(), 'ending it again');
      const other = await t.holder();
      const back = await other.claimMany(2);
      t.equal(
        back.map((each) => [each.lease.taskId, each.lease.attempt]).sort(),
        given.map((each) => [each.lease.taskId, 1]).sort(),
        'ids and attempts of what came back: an ended session does not charge',
      );
      await other.claimsNothing();
      for (const delivery of kept) t.equal(await staying.complete(delivery), 'applied', 'settles of the other session');
      for (const delivery of given) t.equal(await leaving.complete(delivery), 'stale', 'settles of the ended session');
    },
  },
  {
    id: 'LSE-13',
    rule: 'R-LSE-13',
    title: 'a ttl outside the claimed limits is refused, naming the option',
    tier: 'core',
    async run(t) {
      const { minTtlMs, maxTtlMs } = t.capabilities.session;
      for (const ttlMs of [minTtlMs - 1, maxTtlMs + 1, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        const open = (): Promise<unknown> =>
          t.broker.openSession({ instance: 'bad', host: 'localhost', ttlMs, onSignal: () => {} });
        await t.refuses(open, { code: 'VALIDATION', option: 'ttl' }, `a ttl of ${ttlMs}`);
      }
    },
  },
  {
    id: 'LSE-14',
    rule: 'R-LSE-14',
    title: 'many leases that end together are each delivered again exactly once',
    tier: 'core',
    needs: [freezing],
    patience: 2,
    async run(t) {
      const mortal = await t.mortal();
      const tasks = await t.enqueueMany(300);
      const given = await mortal.claimMany(300);
      // What was given together need not end together.
      const settled = given.filter((_delivery, index) => index % 20 === 0);
      for (const delivery of settled) t.equal(await mortal.complete(delivery), 'applied', 'the settle of one');
      const done = new Set(settled.map(({ lease }) => lease.taskId));
      const left = tasks.map(({ id }) => id).filter((id) => !done.has(id));
      await mortal.fallSilent();
      const holders = await Promise.all(Array.from({ length: 4 }, () => t.holder({ own: true })));
      const ids: string[] = [];
      await t.eventually(
        async () => {
          const batches = await Promise.all(
            holders.map(async (holder) => {
              await t.maintain(holder.client.broker);
              return holder.claim({ limit: Math.min(50, t.capabilities.batch.maxClaim) });
            }),
          );
          ids.push(...batches.flat().map((delivery) => delivery.lease.taskId));
          return ids.length >= left.length;
        },
        'the recovery of all tasks left',
        t.capabilities.session.sweepMs + t.budgetMs,
      );
      t.equal(ids.sort(), left.sort(), 'ids delivered again');
    },
  },
  {
    id: 'LSE-16',
    rule: 'R-LSE-16',
    title: 'a lost last attempt ends the task as lost if it had begun, and is given back uncharged if it had not',
    tier: 'core',
    needs: [freezing, capability('reports.begun', (c) => c.reports.begun)],
    async run(t) {
      const mortal = await t.mortal();
      const tasks = await t.enqueueMany(2, () => ({ maxAttempts: 1 }));
      const [begun, ahead] = await mortal.claimMany(2);
      if (begun === undefined || ahead === undefined) return;
      t.equal(await mortal.report(begun, { begun: true }), 'applied', 'the report that it began');
      await mortal.fallSilent();
      const holder = await t.holder();
      const [again] = await holder.claimRecovered(1);
      t.equal(again?.lease.taskId, ahead.lease.taskId, 'the task claimed ahead comes back');
      t.equal(again?.lease.attempt, 1, 'its attempt, not charged');
      await t.maintain();
      await holder.claimsNothing();
      t.equal(tasks.length, 2, 'tasks');
      if (!t.capabilities.tasks.get) return;
      const dead = await t.record(begun.lease.taskId);
      t.equal(
        [dead.state, dead.failure, dead.attempt],
        ['failed', 'lost', 1],
        'state, failure and attempt of the other',
      );
      t.equal(
        dead.errors.map((error) => [error.kind, error.attempt]),
        [['lost', 1]],
        'its errors',
      );
    },
  },
  {
    id: 'LSE-17',
    rule: 'R-LSE-17',
    title: 'closing a client gives back what its sessions held, at once and uncharged',
    tier: 'core',
    async run(t) {
      const leaving = await t.holder({ own: true });
      const task = await t.enqueue({ maxAttempts: 1 });
      await leaving.claimOne();
      await t.soon(leaving.client.broker.close(), 'closing a client');
      const delivery = await (await t.holder()).claimOne();
      t.equal([delivery.lease.taskId, delivery.lease.attempt], [task.id, 1], 'task and attempt');
    },
  },
  {
    id: 'LSE-18',
    rule: 'R-LSE-18',
    title: 'a session that was silent too long is told: lost fires with LEASE_LOST, claims throw it, settles are stale',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const mortal = await t.mortal();
      await t.enqueue();
      const stale = await mortal.claimOne();
      await mortal.fallSilent();
      const [current] = await (await t.holder()).claimRecovered();
      t.defined(current, 'the new delivery');
      mortal.client.thaw();
      await t.eventually(() => mortal.session.lost.aborted, 'the firing of lost', mortal.ttlMs + t.budgetMs);
      const reason: unknown = mortal.session.lost.reason;
      t.equal((reason as { code?: unknown }).code, 'LEASE_LOST', 'the code of the reason');
      await t.refuses(() => mortal.claim(), 'LEASE_LOST', 'a claim of a lost session');
      t.equal(await mortal.complete(stale), 'stale', 'a settle of a lost session');
      await t.soon(mortal.session.end(), 'the end of a lost session');
    },
  },
  {
    id: 'LSE-24',
    rule: 'R-LSE-10',
    title: 'a holder that missed its beats knows that it is lost before anybody gets its tasks, to the millisecond',
    tier: 'core',
    needs: [freezing, virtualTime],
    async run(t) {
      const mortal = await t.mortal();
      const task = await t.enqueue();
      await mortal.claimOne();
      const rival = await t.holder();
      mortal.freeze();
      // One moment before the broker may take the task back, the holder wakes up and sees what time it is.
      await t.advance(mortal.ttlMs - 1);
      mortal.client.thaw();
      await t.advance(0);
      const told = mortal.session.lost.aborted;
      await t.advance(2 + t.capabilities.session.sweepMs);
      await t.maintain();
      const [taken] = await rival.claim();
      t.ok(taken === undefined || told, 'the holder was told before its task was given to another');
      if (taken !== undefined) t.equal(taken.lease.taskId, task.id, 'the task given to another');
      // A beat that got through in time may have kept the session: then nobody has the task but its holder.
      else t.equal(mortal.session.lost.aborted, false, 'whether a session that keeps its task is lost');
    },
  },
  {
    id: 'LSE-20',
    rule: 'R-LSE-20',
    title: 'sessions that come and go steal nothing from those that work',
    tier: 'core',
    async run(t) {
      const owner = await t.holder();
      await t.enqueueMany(5);
      const held = await owner.claimMany(5);
      for (let round = 0; round < 5; round++) {
        const passing = await t.holder({ own: true });
        t.equal(await passing.claim({ limit: 5 }), [], 'what a new session is given');
        await t.maintain(passing.client.broker);
        await t.soon(round % 2 === 0 ? passing.session.end() : passing.client.close(), 'the end of a session');
      }
      for (const delivery of held) t.equal(await owner.complete(delivery), 'applied', 'a settle of the owner');
    },
  },
  {
    id: 'LSE-21',
    rule: 'R-LSE-21',
    title: 'waiting longer than the own timeout makes no zombie: the task starts with its first attempt',
    tier: 'core',
    async run(t) {
      const task = await t.enqueue({ timeoutMs: 1 });
      await t.advance(2 * t.unitMs);
      await t.maintain();
      await t.inState(task.id, 'pending', 'the state while it waits');
      const holder = await t.holder();
      const delivery = await holder.claimOne();
      t.equal(
        [delivery.lease.taskId, delivery.lease.attempt, delivery.timeoutMs],
        [task.id, 1, 1],
        'task, attempt, timeout',
      );
      await t.moment();
      await t.maintain();
      t.equal(await holder.complete(delivery), 'applied', 'the timeout is the worker’s business, not the broker’s');
    },
  },
];
