import type { Capabilities, Delivery, SettleOutcome } from '@millrace/core';
import { buildFailure } from '../context/builders.ts';
import type { Holder } from '../context/holder.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { freezing } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** LSE: fences. An old lease must not settle anything, in no way. Sessions and their ends are in lease-session.ts. */
export const lease: readonly Scenario[] = [
  {
    id: 'LSE-01',
    rule: 'R-LSE-1',
    title: 'a claimed task is not handed to anybody else',
    tier: 'core',
    async run(t) {
      const task = await t.enqueue();
      const owner = await t.holder();
      const delivery = await owner.claimOne();
      t.equal(delivery.lease.taskId, task.id, 'the task claimed');
      t.equal(delivery.lease.sessionId, owner.session.id, 'the session of the lease');
      for (const rival of [await t.holder(), await t.holder({ own: true })]) {
        await t.maintain(rival.client.broker);
        await rival.claimsNothing();
      }
      await owner.claimsNothing();
      t.equal(await owner.complete(delivery), 'applied', 'the completion');
    },
  },
  {
    id: 'LSE-04',
    rule: 'R-LSE-4',
    title: "a stale complete after a re-claim is refused; the new holder's result stands",
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const task = await t.enqueue();
      const old = await t.mortal();
      const stale = await old.claimOne();
      await old.fallSilent();
      const holder = await t.holder();
      const [current] = await holder.claimRecovered();
      t.equal(current?.lease.taskId, task.id, 'the task recovered');
      if (current === undefined) return;
      t.equal(await old.complete(stale, '"old"'), 'stale', 'the stale completion');
      await t.inState(task.id, 'running', 'the state after it');
      t.equal(await holder.complete(current, '"new"'), 'applied', "the new holder's completion");
      t.equal(await old.complete(stale, '"old"'), 'stale', 'the stale completion, after the end');
      if (t.capabilities.tasks.get) t.equal((await t.record(task.id)).output, '"new"', 'the output');
    },
  },
  {
    id: 'LSE-05',
    rule: 'R-LSE-5',
    title: 'stale retry, fail, release, snooze, pause, cancel and reports of every kind are refused as well',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const old = await t.mortal();
      const kinds = everyKind(t);
      await t.enqueueMany(kinds.length);
      const held = await old.claimMany(kinds.length);
      await old.fallSilent();
      const holder = await t.holder();
      const recovered = await holder.claimRecovered(kinds.length);
      for (const [index, [kind, attempt]] of kinds.entries()) {
        await t.cell(kind, async () => {
          const stale = t.defined(held[index], 'the stale delivery');
          const current = recovered.find((each) => each.lease.taskId === stale.lease.taskId);
          const before = t.capabilities.tasks.get ? await t.record(stale.lease.taskId) : undefined;
          t.equal(await attempt(old, stale), 'stale', `a stale ${kind}`);
          if (before !== undefined) t.equal(await t.record(stale.lease.taskId), before, 'the record');
          t.equal(
            await holder.complete(t.defined(current, 'the new delivery')),
            'applied',
            "the new holder's completion",
          );
        });
      }
      await holder.claimsNothing();
    },
  },
  {
    id: 'LSE-06',
    rule: 'R-LSE-6',
    title: 'fences grow strictly per task over re-claims, sessions and clients',
    tier: 'core',
    async run(t) {
      await t.enqueue({ maxAttempts: 20 });
      const fences: number[] = [];
      for (let round = 0; round < 4; round++) {
        const holder = await t.holder({ own: true });
        for (const ending of ['release', 'retry'] as const) {
          const delivery = await holder.claimOne();
          fences.push(delivery.lease.fence);
          t.equal(await holder[ending](delivery), 'applied', ending);
        }
        const last = await holder.claimOne();
        fences.push(last.lease.fence);
        await t.soon(round % 2 === 0 ? holder.session.end() : holder.client.close(), 'the end of a session');
      }
      t.equal(
        fences,
        [...new Set(fences)].sort((a, b) => a - b),
        'the fences',
      );
      t.ok(
        fences.every((fence) => Number.isSafeInteger(fence) && fence > 0),
        'fences are positive whole numbers',
      );
    },
  },
  {
    id: 'LSE-22',
    rule: 'R-LSE-22',
    title: 'a used lease is stale even when the same session holds the task again, on the same attempt',
    tier: 'core',
    async run(t) {
      const holder = await t.holder();
      for (const [kind, attempt] of everyKind(t)) {
        await t.cell(kind, async () => {
          const queues = [`again ${kind}`];
          const task = await t.enqueue({ queue: queues[0] ?? '' });
          const first = await holder.claimOne({ queues });
          t.equal(await holder.release(first), 'applied', 'the release');
          const second = await holder.claimOne({ queues });
          t.equal([second.lease.attempt, second.lease.sessionId], [1, first.lease.sessionId], 'attempt and session');
          t.equal(await attempt(holder, first), 'stale', `a ${kind} with the first lease`);
          await t.inState(task.id, 'running', 'the state after it');
          t.equal(await holder.complete(second), 'applied', 'the completion');
        });
      }
    },
  },
  {
    id: 'LSE-15',
    rule: 'R-LSE-15',
    title: 'a settle racing with the end of its session is either applied, and the task never runs again, or stale',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const old = await t.mortal();
      const tasks = await t.enqueueMany(40);
      const held = await old.claimMany(40);
      const holder = await t.holder();
      old.freeze();
      // Up to just before the end; then settles, sweeps and claims all at once, over and over.
      await t.advance(old.ttlMs - 2 * t.unitMs);
      const applied = new Set<string>();
      const unknown = new Set<string>();
      const redelivered: string[] = [];
      for (const delivery of held) {
        const [outcome, , claimed] = await Promise.all([
          old.complete(delivery),
          t.maintain(),
          holder.claim({ limit: 10 }),
          t.advance(t.unitMs / 10),
        ]);
        if (outcome === 'applied') applied.add(delivery.lease.taskId);
        // The one whose answer the end cut off, where a barrier on a connection confirms.
        else if (outcome === 'unknown') unknown.add(delivery.lease.taskId);
        else t.equal(outcome, 'stale', 'the outcome');
        redelivered.push(...claimed.map((each) => each.lease.taskId));
      }
      const mayBeCutOff = t.capabilities.settle.confirmedBy === 'barrier';
      t.between(unknown.size, 0, mayBeCutOff ? 1 : 0, 'settles whose outcome is unknown');
      const missing = (): number =>
        tasks.filter(({ id }) => !applied.has(id) && !unknown.has(id) && !redelivered.includes(id)).length;
      while (missing() > 0)
        redelivered.push(...(await holder.claimRecovered(missing())).map((each) => each.lease.taskId));
      t.equal(
        redelivered.filter((id) => applied.has(id)),
        [],
        'tasks that ran again after an applied settle',
      );
      const neither = [...unknown].filter((id) => !redelivered.includes(id));
      t.equal(
        [...applied, ...redelivered, ...neither].sort(),
        tasks.map((task) => task.id).sort(),
        'all tasks, each once',
      );
    },
  },
];

type Attempt = (holder: Holder, delivery: Delivery) => Promise<SettleOutcome>;

const settlesOfEveryKind: Record<string, Attempt> = {
  complete: (holder, delivery) => holder.complete(delivery, '"old"'),
  retry: (holder, delivery) => holder.retry(delivery, 0, buildFailure('old')),
  fail: (holder, delivery) => holder.fail(delivery, buildFailure('old')),
  release: (holder, delivery) => holder.release(delivery),
  snooze: (holder, delivery) => holder.snooze(delivery, 0),
  pause: (holder, { lease }) => holder.settle({ type: 'pause', lease }),
  cancel: (holder, { lease }) => holder.settle({ type: 'cancel', lease }),
  report: (holder, delivery) => holder.report(delivery, {}),
};

const reportsOfEveryKind: Record<keyof Capabilities['reports'], Attempt> = {
  progress: (holder, delivery) => holder.report(delivery, { progress: '"old"' }),
  checkpoint: (holder, delivery) => holder.report(delivery, { checkpoint: '"old"' }),
  log: (holder, delivery) => holder.report(delivery, { log: [{ level: 'info', message: 'old', at: 1 }] }),
  begun: (holder, delivery) => holder.report(delivery, { begun: true }),
};

/** What a holder may do with a lease; reports only of what the broker keeps. */
function everyKind(t: ScenarioContext): [string, Attempt][] {
  const { reports } = t.capabilities;
  const kept = Object.entries(reportsOfEveryKind).filter(([kind]) => reports[kind as keyof typeof reports]);
  return [...Object.entries(settlesOfEveryKind), ...kept];
}
