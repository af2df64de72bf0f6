import type { EnqueueOutcome, NewTask } from '@millrace/core';
import { buildTasks } from '../context/builders.ts';
import { shown } from '../context/checks.ts';
import type { Holder } from '../context/holder.ts';
import { allOf, hook, transactions } from '../needs.ts';
import { type CallEnd, meaningOf, recoveryMs, untilAnswered } from './call-end.ts';
import { type Stage, type SweepableCase, sweepable } from './reply-sweep.ts';

/** Enqueueing one task, and a batch: every write that brings tasks. */
export const cutEnqueue: SweepableCase = enqueueing('enqueue', 1);
export const cutEnqueueBatch: SweepableCase = enqueueing('enqueue of a batch', 20);
export const cutEnqueueOfQueues: SweepableCase = enqueueing('enqueue into several queues', 20, 4);

/** The commit of a caller's transaction that enqueues two tasks: both futures are legal, half of one is not. */
export const cutCommit: SweepableCase = sweepable<NewTask[]>({
  label: 'commit',
  needs: allOf(transactions, hook('transaction')),
  arrange: async ({ queue }) => buildTasks(2, () => ({ queue })),
  // What the caller's own driver throws is not the broker's to choose.
  act: async ({ t, client }, tasks) => {
    try {
      await t.hooks.transaction?.(client.target, async (transaction) => {
        for (const task of tasks) await client.broker.enqueue([task], { transaction });
      });
      return 'committed';
    } catch {
      return 'rejected';
    }
  },
  async assess(stage, tasks, ended) {
    const { t, queue } = stage;
    const direct = await t.holder();
    const committed = ended.how === 'answered' && ended.value === 'committed';
    const { maxClaim } = t.capabilities.batch;
    const there = committed
      ? await direct.claimMany(2, { queues: [queue] })
      : await direct.claim({ queues: [queue], limit: Math.min(2, maxClaim), waitMs: Math.round(t.unitMs) });
    t.ok(there.length !== 1, 'all tasks of a transaction are there, or none of them');
    t.ok(!committed || there.length === 2, 'the tasks of a transaction that was committed are there');
    await direct.settleAll(there.map(({ lease }) => ({ type: 'complete', lease })));
    await direct.claimsNothing({ queues: [queue] });
    t.ok(
      there.every((each) => tasks.some((task) => task.id === each.lease.taskId)),
      'nothing else is there',
    );
  },
});

function enqueueing(label: string, count: number, queueCount = 1): SweepableCase {
  return sweepable<NewTask[]>({
    label,
    arrange: async ({ queue }) =>
      buildTasks(count, (index) => ({
        queue: queueCount === 1 ? queue : `${queue} ${index % queueCount}`,
        input: '{"kept":true}',
      })),
    act: ({ client }, tasks) => client.broker.enqueue(tasks),
    assess: (stage, tasks, ended) => assessEnqueue(stage, tasks, ended as CallEnd<EnqueueOutcome[]>),
  });
}

/** Checks that what was refused is not there, enqueues what is not known to be, and checks that each task is there once. */
export async function assessEnqueue(
  { t, client }: Pick<Stage, 't' | 'client'>,
  tasks: readonly NewTask[],
  ended: CallEnd<EnqueueOutcome[]>,
): Promise<void> {
  const direct = await t.holder();
  const queues = [...new Set(tasks.map((task) => task.queue))];
  const isUnknown = ended.how === 'unknown';
  let missing = ended.how === 'answered' ? refusedOf(t, tasks, ended.value, true) : tasks;
  if (!isUnknown) await requireAbsent(t, direct, missing, tasks);
  const end = t.now() + recoveryMs(t);
  while (missing.length > 0) {
    t.require(t.now() < end, 'tasks are still refused although the backend is there again');
    const sent = missing;
    const outcomes = await untilAnswered(t, () => client.broker.enqueue(sent), 'enqueueing again');
    missing = refusedOf(t, sent, outcomes, isUnknown);
    if (missing.length > 0) await t.tempo.pause(t.unitMs / 5);
  }
  // Without idempotent ids, repeating what may have been applied may store it a second time, and no more.
  const copies = t.capabilities.idempotentIds || ended.how === 'answered' ? 1 : 2;
  const deliveries = await direct.claimMany(tasks.length, { queues, withinMs: recoveryMs(t) });
  for (let more = deliveries; copies > 1 && more.length > 0; deliveries.push(...more)) {
    const limit = Math.min(tasks.length, t.capabilities.batch.maxClaim);
    more = await direct.claim({ queues, limit, waitMs: Math.round(t.unitMs) });
  }
  const ids = new Set(deliveries.map((delivery) => delivery.lease.taskId));
  t.equal([...ids].sort(), tasks.map((task) => task.id).sort(), 'ids of the tasks delivered');
  t.between(deliveries.length, tasks.length, copies * tasks.length, 'deliveries');
  t.ok(
    deliveries.every((delivery) => delivery.lease.attempt === 1 && delivery.input === tasks[0]?.input),
    'each is on its first attempt, with its input',
  );
  await direct.settleAll(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
  for (const queue of queues) await direct.claimsNothing({ queues: [queue] });
}

/**
 * The tasks that were refused for now. Each of the others was accepted, or is answered as a duplicate of itself because
 * an earlier sending had arrived.
 */
function refusedOf(
  t: Stage['t'],
  tasks: readonly NewTask[],
  outcomes: readonly EnqueueOutcome[],
  repeated: boolean,
): readonly NewTask[] {
  t.equal(outcomes.length, tasks.length, 'outcomes');
  return tasks.filter((task, index) => {
    const outcome = outcomes[index] as EnqueueOutcome;
    if (outcome.status === 'rejected' && meaningOf(outcome.error) === 'not-applied') return true;
    const itself = repeated && outcome.status === 'duplicate' && outcome.existingId === task.id;
    t.ok(
      outcome.status === 'accepted' || itself,
      `the outcome is 'accepted', or a duplicate of itself; got ${shown(outcome)}`,
    );
    return false;
  });
}

/** Where a broker cannot be asked, a queue that should have got none of them delivers nothing. */
async function requireAbsent(
  t: Stage['t'],
  holder: Holder,
  refused: readonly NewTask[],
  tasks: readonly NewTask[],
): Promise<void> {
  if (refused.length === 0) return;
  if (t.capabilities.tasks.get) {
    const found = await t.soon(t.tasks.get(refused.map((task) => task.id)), 'the answer to get');
    t.equal(
      found.filter((record) => record !== undefined),
      [],
      'tasks that are there although they were refused',
    );
    return;
  }
  const taken = new Set(tasks.filter((task) => !refused.includes(task)).map((task) => task.queue));
  const queues = new Set(refused.map((task) => task.queue));
  for (const queue of queues) if (!taken.has(queue)) await holder.claimsNothing({ queues: [queue] });
}
