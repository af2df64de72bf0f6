import type { Client } from '../context/client.ts';
import { Holder } from '../context/holder.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { hook } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** MOD: two versions of an adapter on one backend. */
export const upgradeScenarios: readonly Scenario[] = [
  {
    id: 'MOD-15',
    rule: 'R-MOD-15',
    title: 'a client of the version before works beside this one: each delivers and ends what the other enqueued',
    tier: 'extended',
    needs: [hook('previous')],
    patience: 2,
    async run(t) {
      const older = await openPrevious(t);
      const [old, current] = [await holderOf(t, older), await t.holder()];
      const fromOld = t.task({ queue: 'old', input: '"old"' });
      await t.enqueueAll([fromOld], older);
      const fromNew = await t.enqueue({ queue: 'new', input: '"new"' });
      const taken = await current.claimOne({ queues: ['old'] });
      t.equal([taken.lease.taskId, taken.input], [fromOld.id, '"old"'], 'what this version gets of the older one');
      const given = await old.claimOne({ queues: ['new'] });
      t.equal([given.lease.taskId, given.input], [fromNew.id, '"new"'], 'what the older version gets of this one');
      t.equal(await current.complete(taken), 'applied', 'a completion by this version');
      t.equal(await old.retry(given), 'applied', 'a retry by the older version');
      const again = await current.claimOne({ queues: ['new'] });
      t.equal(again.lease.attempt, 2, 'the attempt after that retry');
      t.equal(await old.complete(given), 'stale', 'a completion by the older version with a used lease');
      await t.soon(older.maintain({ maxTasks: 100 }), 'maintenance by the older version');
      t.equal(await current.complete(again), 'applied', 'the last completion');
      const rest = Array.from({ length: 50 }, () => t.task({ queue: 'rest' }));
      await t.enqueueAll(rest, older);
      await t.soon(older.close(), 'the closing of the older version');
      t.equal((await current.claimMany(50, { queues: ['rest'] })).length, 50, 'what it left behind');
    },
  },
  {
    id: 'MOD-17',
    rule: 'R-MOD-17',
    title: 'a backend that a newer version has set up is refused, and says why',
    tier: 'extended',
    needs: [hook('ageAdapter')],
    async run(t) {
      await t.soon(t.hooks.ageAdapter?.(t.client.target) ?? Promise.resolve(), 'the ageing of the adapter');
      const { broker } = t.connect();
      const expected = { code: 'CONFIGURATION', reason: 'schema-too-new' } as const;
      const error = await t.refuses(() => broker.open(), expected, 'opening it');
      t.equal(error.retryable, 'no', 'retryable');
      await t.soon(broker.close(), 'closing what was not opened');
    },
  },
];

async function openPrevious(t: ScenarioContext): Promise<Client['broker']> {
  const broker = t.hooks.previous?.(t.client.target);
  if (broker === undefined) throw new Error('no hook previous');
  t.defer(() => broker.close());
  await t.soon(broker.open(), 'the opening of a client of the version before');
  return broker;
}

async function holderOf(t: ScenarioContext, broker: Client['broker']): Promise<Holder> {
  const { maxTtlMs } = t.capabilities.session;
  const ttlMs = Math.min(maxTtlMs, 60_000);
  const session = await t.soon(
    broker.openSession({ instance: 'older', host: 'localhost', ttlMs, onSignal: () => {} }),
    'the opening of a session',
  );
  return new Holder(t, t.client, session, ttlMs, []);
}
