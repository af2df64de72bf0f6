import { buildTasks } from '../context/builders.ts';
import { job, producer } from '../context/crew.ts';
import { hook, idempotentIds, transactions } from '../needs.ts';
import type { Need, Scenario } from '../scenario.ts';
import { endOfCall, longestCallMs } from './call-end.ts';
import { cutAfterApplied } from './cut-after-applied.ts';
import { cutControls, cutQueues } from './cut-control.ts';
import { assessEnqueue, cutCommit, cutEnqueue, cutEnqueueBatch, cutEnqueueOfQueues } from './cut-enqueue.ts';
import { cutCancelOfMany, cutPurgeOfMany } from './cut-parts.ts';
import { cutClaim, cutEnd, cutOpenSession } from './cut-session.ts';
import { cutComplete, cutReport, cutSettles } from './cut-settle.ts';
import { cutSettleAndClaim } from './cut-together.ts';
import { faultScenario } from './fault-scenario.ts';
import { hasFailedEnough, sweepReplies } from './reply-sweep.ts';
import { layWire } from './wire.ts';

const someControl: Need = (capabilities, harness) =>
  [...cutControls, ...cutQueues].some((each) => each.needs?.(capabilities, harness) === true) || {
    status: 'unsupported',
    reason: 'unsupported: control of tasks and queues',
  };

/** Replies that are cut: the request was applied, or not, and the client cannot know (E2). */
export const replyScenarios: readonly Scenario[] = [
  faultScenario({
    id: 'FLT-04',
    rule: 'R-FLT-4',
    title: 'the reply of an enqueue is cut, whichever of its replies: the task is there once after repeating it',
    run: (t) => sweepReplies(t, [cutEnqueue]),
  }),
  faultScenario({
    id: 'FLT-05',
    rule: 'R-FLT-4',
    title: 'the reply of a claim is cut: the task is delivered after all, one heartbeat later, and not charged',
    patience: 2,
    run: (t) => sweepReplies(t, [cutClaim, cutSettleAndClaim]),
  }),
  faultScenario({
    id: 'FLT-06',
    rule: 'R-FLT-6',
    title:
      'the reply of a complete is cut, or the link right after it: applied once, or found out by asking again; no second run',
    patience: 2,
    async run(t) {
      await sweepReplies(t, [cutComplete]);
      await cutAfterApplied(t);
    },
  }),
  faultScenario({
    id: 'FLT-07',
    rule: 'R-FLT-4',
    title:
      'the reply of every other settle and of a report is cut, each in turn: one live copy, or none where it rests',
    patience: 3,
    run: (t) => sweepReplies(t, [...cutSettles, cutReport]),
  }),
  faultScenario({
    id: 'FLT-36',
    rule: 'R-FLT-4',
    title:
      'the reply of every control operation on tasks and queues is cut, each in turn: repeating it brings the state asked for',
    needs: [someControl],
    patience: 3,
    run: (t) => sweepReplies(t, [...cutControls, ...cutQueues]),
  }),
  faultScenario({
    id: 'FLT-37',
    rule: 'R-FLT-4',
    title: 'the reply of opening or ending a session is cut: repeating it works, and nothing stays held',
    patience: 2,
    run: (t) => sweepReplies(t, [cutOpenSession, cutEnd]),
  }),
  faultScenario({
    id: 'FLT-08',
    rule: 'R-FLT-4',
    title: 'the reply of a commit is cut: all tasks of the transaction are there, or none of them',
    needs: [transactions, hook('transaction')],
    patience: 2,
    run: (t) => sweepReplies(t, [cutCommit]),
  }),
  faultScenario({
    id: 'FLT-09',
    rule: 'R-FLT-4',
    title:
      'the reply of a batch is cut, and its request after any number of bytes: each task is there once after repeating it',
    patience: 2,
    async run(t) {
      const startedAt = t.now();
      await sweepReplies(t, [cutEnqueueBatch]);
      const wire = await layWire(t);
      const client = await wire.open();
      const build = (queue: string): ReturnType<typeof buildTasks> =>
        buildTasks(20, () => ({ queue, input: '{"kept":true}' }));
      const before = wire.proxy.stats.bytesOut;
      await t.enqueueAll(build('measured'), client.broker);
      const requestBytes = wire.proxy.stats.bytesOut - before;
      const steps = 12;
      for (let step = 0; step < steps; step++) {
        if (hasFailedEnough(t, startedAt)) return;
        const bytes = Math.max(1, Math.floor((requestBytes * step) / (steps - 1)));
        await t.cell(`after ${Math.round((100 * bytes) / requestBytes)} % of the request`, async () => {
          const queue = `cut ${step}`;
          const tasks = build(queue);
          const fault = wire.proxy.cutAfter(bytes);
          const ended = await endOfCall(t, () => client.broker.enqueue(tasks), 'an enqueue cut in its request');
          fault.heal();
          await assessEnqueue({ t, client }, tasks, ended);
        });
      }
    },
  }),
  faultScenario({
    id: 'FLT-41',
    rule: 'R-FLT-41',
    title:
      'the backend goes out of reach in the middle of a call on many tasks: it says that nothing was done only if nothing was',
    patience: 3,
    async run(t) {
      // Side by side, because each may wait out the deadline of its calls; a broker may claim nothing of one.
      const cases = [cutEnqueueOfQueues, cutCancelOfMany, cutPurgeOfMany];
      await Promise.all(cases.map((each) => sweepReplies(t, [each], 'out-of-reach')));
    },
  }),
  faultScenario({
    id: 'DUP-09',
    rule: 'R-DUP-9',
    title:
      'a program enqueues with the client, whose reply is cut: it gets its answer all the same, and the task is there once',
    needs: [idempotentIds],
    patience: 2,
    async run(t) {
      const wire = await layWire(t);
      const client = await wire.open();
      const enqueuer = producer(t, client);
      const { definition } = job(() => {});
      await t.soon(enqueuer.enqueue(definition, 'warm'), 'an enqueue');
      const ids: string[] = [];
      for (let nth = 1; nth <= 3; nth++) {
        const cut = wire.proxy.cutReply({ nth });
        const handle = await t.soon(
          enqueuer.enqueue(definition, 'cut'),
          'an enqueue whose reply is cut',
          longestCallMs,
        );
        cut.disarm();
        ids.push(handle.id);
        t.ok(
          handle.outcome.status !== 'replaced',
          `the outcome is 'accepted' or a duplicate of itself; got '${handle.outcome.status}'`,
        );
      }
      const holder = await t.holder();
      const delivered = (await holder.claimMany(4)).map((delivery) => delivery.lease.taskId);
      t.ok(
        ids.every((id) => delivered.includes(id)),
        'every task is there',
      );
      t.equal(new Set(delivered).size, 4, 'tasks, each once');
      await holder.claimsNothing();
    },
  }),
];
