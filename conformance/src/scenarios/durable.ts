import { capability } from '../needs.ts';
import type { Need, Scenario } from '../scenario.ts';

const durable: Need = capability('durability', (c) => c.durability !== 'none');

/** MOD, DLY: what outlives every client, for brokers that promise to keep anything. */
export const durableScenarios: readonly Scenario[] = [
  {
    id: 'MOD-20',
    rule: 'R-MOD-20',
    title: 'after all clients were closed, a new one finds what waits, what ended and what was held, as it was',
    tier: 'core',
    needs: [durable],
    async run(t) {
      const before = await t.holder({ own: true });
      const ended = await t.enqueue({ input: '"ended"' });
      t.equal(await before.complete(await before.claimOne(), '"kept"'), 'applied', 'the completion');
      const held = await t.enqueue({ input: '"held"' });
      const lease = (await before.claimOne()).lease;
      const waiting = await t.enqueueMany(5, (index) => ({ input: `${index}`, headers: { index: `${index}` } }));
      await t.soon(before.client.close(), 'closing a client');
      await t.soon(t.client.close(), 'closing the last client');

      const client = await t.open();
      const after = await t.holder({ client });
      const found = new Map((await after.claimMany(6)).map((delivery) => [delivery.lease.taskId, delivery]));
      t.equal([...found.keys()].sort(), [held.id, ...waiting.map((task) => task.id)].sort(), 'ids delivered');
      for (const { id, input, headers } of [held, ...waiting]) {
        const delivery = found.get(id);
        t.equal([delivery?.input, delivery?.headers], [input, headers], 'input and headers of a delivery');
        t.equal(delivery?.lease.attempt, 1, 'its attempt: nothing was charged');
      }
      t.ok((found.get(held.id)?.lease.fence ?? 0) > lease.fence, 'the fence grows over all clients');
      for (const delivery of found.values()) t.equal(await after.complete(delivery), 'applied', 'a completion');
      t.equal(await after.claim(), [], 'what is left');
      if (!t.capabilities.tasks.get) return;
      const [record] = (await client.broker.tasks?.get([ended.id])) ?? [];
      t.equal([record?.state, record?.output], ['succeeded', '"kept"'], 'the task that had ended');
    },
  },
  {
    id: 'DLY-08',
    rule: 'R-DLY-8',
    title: 'a delayed task, a retry and a snooze outlive all clients: not early, and promptly when due',
    tier: 'core',
    needs: [durable],
    async run(t) {
      const delayMs = Math.max(Math.round(12 * t.unitMs), 2 * t.capabilities.delay.granularityMs);
      const before = await t.holder({ own: true });
      await t.enqueueMany(2);
      const [retried, snoozed] = await before.claimMany(2);
      const startedAt = t.now();
      const delayed = await t.enqueue({ delayMs });
      t.equal(await before.retry(t.defined(retried, 'a delivery'), delayMs), 'applied', 'the retry');
      t.equal(await before.snooze(t.defined(snoozed, 'a delivery'), delayMs), 'applied', 'the snooze');
      await t.soon(before.client.close(), 'closing a client');
      await t.soon(t.client.close(), 'closing the last client');

      const after = await t.holder({ client: await t.open() });
      const came: string[] = [];
      await t.eventually(
        async () => {
          const deliveries = await after.claim({ limit: Math.min(3, t.capabilities.batch.maxClaim) });
          const early = t.now() + t.capabilities.timePrecisionMs < startedAt + delayMs;
          t.ok(!early || deliveries.length === 0, 'nothing is delivered before it is due');
          came.push(...deliveries.map((delivery) => delivery.lease.taskId));
          return came.length >= 3;
        },
        'the delivery of three tasks when due',
        delayMs + t.budgetMs,
      );
      const ids = [delayed.id, retried?.lease.taskId, snoozed?.lease.taskId];
      t.equal(came.sort(), ids.sort(), 'ids delivered');
    },
  },
];
