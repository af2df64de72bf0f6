import type { ClaimVerdict, Delivery, NewTask, Session } from '@millrace/core';
import { isMillraceError } from '@millrace/core';
import { usual } from '../context/builders.ts';
import type { Holder } from '../context/holder.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { recoveryMs, untilAnswered } from './call-end.ts';
import { withoutFork } from './cut-settle.ts';
import { type Stage, type SweepableCase, sweepable } from './reply-sweep.ts';

/** FLT-05: a claim whose answer is lost must not strand the task with a session that does not know it has it. */
export const cutClaim: SweepableCase = sweepable<{ readonly holder: Holder; readonly task: NewTask }>({
  label: 'claim',
  async arrange(stage) {
    const holder = await stage.t.holder({ client: stage.client, ttlMs: stage.t.heardTtlMs });
    return { holder, task: await stage.t.enqueue({ queue: stage.queue, maxAttempts: 2 }) };
  },
  async act({ t, queue }, { holder }) {
    const end = t.now() + t.budgetMs;
    for (;;) {
      const deliveries = await holder.session.claim({ queues: [queue], names: [usual.name], limit: 1, waitMs: 0 });
      // What is pushed may not have come yet; then nothing was asked that a cut could fall on.
      if (deliveries.length > 0 || t.now() > end) return deliveries;
      await t.moment();
    }
  },
  async assess({ t, queue }, { holder, task }, ended) {
    const answered = ended.how === 'answered' ? (ended.value as Delivery[]) : [];
    const delivery = answered[0] ?? (await deliveredAfterAll(t, holder, queue));
    t.equal(delivery.lease.taskId, task.id, 'the task delivered');
    // A session that ended with its connection has lost the task as a dead one would, and that is charged.
    const highest = holder.session.lost.aborted ? 2 : 1;
    t.between(delivery.lease.attempt, 1, highest, 'its attempt: a delivery that nobody received is not charged');
    const owner = delivery.lease.sessionId === holder.session.id ? holder : await t.holder();
    if (owner === holder) t.equal(await holder.complete(delivery), 'applied', 'the completion');
    await (await t.holder()).claimsNothing({ queues: [queue] });
    await t.soon(holder.session.end().catch(ignoreUnreachable), 'the end of the session', recoveryMs(t));
  },
});

type ByIdState = { readonly holder: Holder; readonly task: NewTask };

/** CBI-14: the same for a claim by id, whose session asks for the task again. */
export const cutClaimByIdAgain: SweepableCase = cutClaimById('claimTasks, asked again', async (t, holder, task) => {
  const other = await t.holder();
  return t.eventually(
    async () => {
      const lost = holder.session.lost.aborted;
      if (lost) await t.maintain();
      const asking = lost ? other : holder;
      const [verdict] = (await asking.claimTasks([task.id]).catch(ignoreUnreachable)) ?? [];
      return verdict?.status === 'claimed' ? { owner: asking, delivery: verdict.delivery } : undefined;
    },
    'the task whose claim was cut, asked for again',
    recoveryMs(t) + (holder.session.lost.aborted ? holder.ttlMs + t.capabilities.session.sweepMs : 0),
  );
});

/** CBI-14: the same, and the session never asks for the task again. */
export const cutClaimByIdAlone: SweepableCase = cutClaimById('claimTasks, left alone', async (t, holder, task) => {
  const other = await t.holder();
  return t.eventually(
    async () => {
      if (holder.session.lost.aborted) await t.maintain();
      const verdict = await other.claimTask(task.id);
      return verdict.status === 'claimed' ? { owner: other, delivery: verdict.delivery } : undefined;
    },
    'the task whose claim was cut, one heartbeat later',
    holder.ttlMs / 3 +
      recoveryMs(t) +
      (holder.session.lost.aborted ? holder.ttlMs + t.capabilities.session.sweepMs : 0),
  );
});

function cutClaimById(
  label: string,
  recover: (
    t: ScenarioContext,
    holder: Holder,
    task: NewTask,
  ) => Promise<{ readonly owner: Holder; readonly delivery: Delivery }>,
): SweepableCase {
  return sweepable<ByIdState>({
    label,
    async arrange(stage) {
      const holder = await stage.t.holder({ client: stage.client, ttlMs: stage.t.heardTtlMs });
      return { holder, task: await stage.t.enqueue({ queue: stage.queue, maxAttempts: 2 }) };
    },
    act: (_stage, { holder, task }) => holder.session.claimTasks?.([task.id]) ?? Promise.resolve([]),
    async assess({ t, queue }, { holder, task }, ended) {
      const [verdict] = ended.how === 'answered' ? (ended.value as ClaimVerdict[]) : [];
      const { owner, delivery } =
        verdict?.status === 'claimed' ? { owner: holder, delivery: verdict.delivery } : await recover(t, holder, task);
      // A session that ended with its connection has lost the task as a dead one would, and that is charged.
      const highest = holder.session.lost.aborted ? 2 : 1;
      t.between(delivery.lease.attempt, 1, highest, 'its attempt: a delivery that nobody received is not charged');
      t.equal(await owner.complete(delivery), 'applied', 'the completion');
      await (await t.holder()).claimsNothing({ queues: [queue] });
      await t.soon(holder.session.end().catch(ignoreUnreachable), 'the end of the session', recoveryMs(t));
    },
  });
}

/** The task, from the same session or another one, whichever gets it. Others complete it at once. */
export async function deliveredAfterAll(t: ScenarioContext, holder: Holder, queue: string): Promise<Delivery> {
  const other = await t.holder();
  const oneBeatMs = holder.ttlMs / 3;
  return t.eventually(
    async () => {
      const own = holder.session.lost.aborted ? [] : await holder.claim({ queues: [queue] }).catch(ignoreUnreachable);
      if (own?.[0] !== undefined) return own[0];
      await t.maintain();
      const [stolen] = await other.claim({ queues: [queue] });
      if (stolen !== undefined) t.equal(await other.complete(stolen), 'applied', 'the completion by another session');
      return stolen;
    },
    'a delivery of the task whose claim was cut, one heartbeat later',
    oneBeatMs + recoveryMs(t) + (holder.session.lost.aborted ? holder.ttlMs + t.capabilities.session.sweepMs : 0),
  );
}

function ignoreUnreachable(error: unknown): undefined {
  if (
    isMillraceError(error, 'UNAVAILABLE') ||
    isMillraceError(error, 'INDETERMINATE') ||
    isMillraceError(error, 'LEASE_LOST')
  )
    return;
  throw error;
}

/** Opening: what an unanswered one may have left at the broker must not get in the way of the next. */
export const cutOpenSession: SweepableCase = sweepable<NewTask>({
  label: 'openSession',
  arrange: ({ t, queue }) => t.enqueue({ queue }),
  act: (stage) => openSession(stage),
  async assess(stage, task, ended) {
    const { t, queue } = stage;
    const session =
      ended.how === 'answered'
        ? (ended.value as Session)
        : await untilAnswered(t, () => openSession(stage), 'opening a session');
    t.equal(session.lost.aborted, false, 'whether the session is lost');
    const request = { queues: [queue], names: [usual.name], limit: 1, waitMs: Math.round(t.budgetMs) };
    const [delivery] = await untilAnswered(t, () => session.claim(request), 'a claim of the new session');
    t.equal([delivery?.lease.taskId, delivery?.lease.attempt], [task.id, 1], 'the task and its attempt');
    await untilAnswered(t, () => session.end(), 'the end of the session');
  },
});

function openSession({ client, t }: Stage): Promise<Session> {
  const { minTtlMs, maxTtlMs } = t.capabilities.session;
  const ttlMs = Math.min(maxTtlMs, Math.max(minTtlMs, 60_000));
  return client.broker.openSession({ instance: 'cut', host: 'localhost', ttlMs, onSignal: () => {} });
}

/** Ending: what the session held is back at once when the end was answered, and after its ttl at the latest. */
export const cutEnd: SweepableCase = sweepable<{ readonly holder: Holder; readonly task: NewTask }>({
  label: 'session.end',
  async arrange(stage) {
    const { t, client, queue } = stage;
    // RabbitMQ ends a session after two thirds of it without a word.
    const ttlMs = Math.min(t.capabilities.session.maxTtlMs, 2 * t.heardTtlMs);
    const holder = await t.holder({ client, ttlMs });
    const task = await t.enqueue({ queue, maxAttempts: 2 });
    await holder.claimOne({ queues: [queue] });
    return { holder, task };
  },
  act: (_stage, { holder }) => holder.session.end(),
  async assess({ t, queue }, { holder, task }, ended) {
    // Where a session ends with its connection, cutting one loses the other.
    const wasLost = holder.session.lost.aborted;
    if (ended.how !== 'answered') await untilAnswered(t, () => holder.session.end(), 'ending the session again');
    const other = await t.holder();
    const delivery = await t.eventually(
      async () => {
        await t.maintain();
        return (await other.claim({ queues: [queue] }))[0];
      },
      'the task of the ended session',
      holder.ttlMs + t.capabilities.session.sweepMs + recoveryMs(t),
    );
    t.equal(delivery.lease.taskId, task.id, 'the task delivered');
    t.between(delivery.lease.attempt, 1, wasLost ? 2 : 1, 'its attempt: an end that was answered does not charge');
    t.equal(await other.complete(delivery), 'applied', 'the completion');
    await withoutFork(t, other, queue, task.id);
    await other.claimsNothing({ queues: [queue] });
  },
});
