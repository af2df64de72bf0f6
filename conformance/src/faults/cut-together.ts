import type { Delivery, Lease, NewTask, SettleOutcome } from '@millrace/core';
import { usual } from '../context/builders.ts';
import type { Holder } from '../context/holder.ts';
import { recoveryMs } from './call-end.ts';
import { deliveredAfterAll } from './cut-session.ts';
import { settledAfterAll } from './cut-settle.ts';
import { type Stage, type SweepableCase, sweepable } from './reply-sweep.ts';

interface Both {
  readonly holder: Holder;
  readonly lease: Lease;
  readonly next: NewTask;
  /** What the settle was answered. */
  outcome?: SettleOutcome | undefined;
}

/** A settle and a claim of the same moment: a broker that sends both at once has one answer to lose. */
export const cutSettleAndClaim: SweepableCase = sweepable<Both>({
  label: 'settle and claim together',
  async arrange({ t, client, queue }) {
    const holder = await t.holder({ client, ttlMs: t.heardTtlMs });
    await t.enqueue({ queue, maxAttempts: 2 });
    const { lease } = await holder.claimOne({ queues: [queue] });
    return { holder, lease, next: await t.enqueue({ queue, maxAttempts: 2 }) };
  },
  async act({ queue }, both) {
    const { session } = both.holder;
    const [settled, claimed] = await Promise.allSettled([
      session.settle([{ type: 'complete', lease: both.lease }]),
      session.claim({ queues: [queue], names: [usual.name], limit: 1, waitMs: 0 }),
    ]);
    if (settled.status === 'rejected') throw settled.reason;
    both.outcome = settled.value[0];
    if (claimed.status === 'rejected') throw claimed.reason;
    return claimed.value;
  },
  async assess(stage, both, ended) {
    const { t, queue } = stage;
    const { holder, lease, next, outcome } = both;
    const operation = { type: 'complete', lease } as const;
    if (holder.session.lost.aborted) return drained(stage, both);
    t.ok(outcome === 'applied' || outcome === 'unknown', `the settle is 'applied' or 'unknown'; got '${outcome}'`);
    if (outcome === 'unknown') {
      const second = await settledAfterAll(t, holder, operation);
      if (second === undefined) return drained(stage, both);
      t.ok(second === 'applied' || second === 'stale', `asked again, it is 'applied' or 'stale'; got '${second}'`);
    }
    const answered = ended.how === 'answered' ? (ended.value as Delivery[]) : [];
    const delivery = answered[0] ?? (await deliveredAfterAll(t, holder, queue));
    t.equal(delivery.lease.taskId, next.id, 'what is delivered: the next task, not the settled one');
    if (delivery.lease.sessionId === holder.session.id) {
      t.equal(await holder.complete(delivery), 'applied', 'its completion');
    }
    t.equal(await holder.settle(operation), 'stale', 'settling the first once more');
    await (await t.holder()).claimsNothing({ queues: [queue] });
    await t.soon(
      holder.session.end().catch(() => {}),
      'the end of the session',
      recoveryMs(t),
    );
  },
});

/** The session went with its connection: whatever it held comes again, and the next task in any case. */
async function drained({ t, queue }: Stage, { holder, next }: Both): Promise<void> {
  const other = await t.holder();
  await t.eventually(
    async () => {
      await t.maintain();
      const [delivery] = await other.claim({ queues: [queue] });
      if (delivery !== undefined) t.equal(await other.complete(delivery), 'applied', 'a completion after the loss');
      return delivery?.lease.taskId === next.id;
    },
    'the next task, after the session was lost',
    holder.ttlMs + t.capabilities.session.sweepMs + recoveryMs(t),
  );
}
