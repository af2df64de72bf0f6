import { EnqueueManyError, isMillraceError } from '@millrace/core';
import { shown } from '../context/checks.ts';
import { job, producer } from '../context/crew.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import type { Scenario } from '../scenario.ts';

/** MOD: what a client says of many tasks when one of them is not stored. */
export const bulkScenarios: readonly Scenario[] = [
  {
    id: 'MOD-26',
    rule: 'R-MOD-26',
    title: 'enqueueMany of which one is refused says of each item, in order, which task it became or why it is none',
    tier: 'core',
    patience: 2,
    async run(t) {
      await t.cell('in one step', () => refusesOneOf(t, 'few', 9, 4));
      // A client stores a thousand at a time: what was stored before the one that is refused must not be lost.
      await t.cell('in a later step', () => refusesOneOf(t, 'many', 1_010, 1_004));
    },
  },
];

async function refusesOneOf(t: ScenarioContext, queue: string, count: number, wrong: number): Promise<void> {
  const { definition } = job(() => {}, { queue });
  const tooLarge = 'x'.repeat(t.capabilities.payload.maxBytes);
  const known = t.capabilities.idempotentIds ? await t.enqueue({ queue, input: '"there before"' }) : undefined;
  const items = Array.from({ length: count }, (_unused, index) => ({
    input: index === wrong ? tooLarge : `item ${index}`,
    ...(index === 1 && known !== undefined && { options: { id: known.id } }),
  }));
  const error = await t.soon(
    producer(t)
      .enqueueMany(definition, items)
      .then(
        () => undefined,
        (reason: unknown) => reason,
      ),
    'the end of enqueueMany',
  );
  t.ok(isMillraceError(error, 'VALIDATION'), `it rejects with a VALIDATION; got ${shown(error)}`);
  if (!isMillraceError(error)) return;
  t.equal([error.reason, error.option], ['payload-too-large', 'input'], 'reason and option');
  const holder = await t.holder();
  if (t.capabilities.batch.enqueueAtomic && count <= t.capabilities.batch.maxEnqueue) {
    return holder.claimsNothing({ queues: [queue] });
  }
  t.ok(error instanceof EnqueueManyError, `it is an EnqueueManyError; got ${error.name}`);
  const { outcomes } = error as EnqueueManyError;
  t.equal(
    outcomes.map(({ status }) => status),
    items.map((_item, index) => (index === wrong ? 'rejected' : 'fulfilled')),
    'how each item ended',
  );
  const refused = outcomes[wrong];
  t.ok(
    refused?.status === 'rejected' && isMillraceError(refused.reason, 'VALIDATION'),
    'the refused one carries its own error',
  );
  const stored = new Map<string, string>();
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status !== 'fulfilled') continue;
    const before = index === 1 && known !== undefined;
    t.equal(outcome.value.outcome.status, before ? 'duplicate' : 'accepted', 'what a handle says of its task');
    stored.set(outcome.value.id, JSON.stringify(before ? 'there before' : `item ${index}`));
  }
  t.equal(stored.size, count - 1, 'different tasks in the handles');
  const deliveries = await holder.claimMany(count - 1, { queues: [queue] });
  const changed = deliveries.filter(({ lease, input }) => stored.get(lease.taskId) !== input);
  t.equal(changed, [], 'tasks delivered that are not what their handles say');
  await holder.claimsNothing({ queues: [queue] });
}
