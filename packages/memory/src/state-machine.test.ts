import {
  isTerminal,
  type Lease,
  type StopRequest,
  settledState,
  type TaskOperation,
  type TaskState,
  type TransitionResult,
  transition,
  transitions,
} from '@millrace/core';
import { describe, expect, it } from 'vitest';
import {
  boom,
  claimOne,
  enqueue,
  type Fixture,
  find,
  openBroker,
  openWorker,
  settle,
  type Worker,
} from '../test/support.ts';

/** STM-01: every state × every operation does what core's table says, and nothing else. */
const states: readonly Exclude<TaskState, 'removing'>[] = [
  'scheduled',
  'pending',
  'running',
  'retrying',
  'paused',
  'succeeded',
  'failed',
  'cancelled',
];
const operations = Object.keys(transitions) as TaskOperation[];

interface Case extends Fixture {
  readonly id: string;
  readonly worker: Worker;
  /** Of the latest run, if there was one. */
  readonly lease: Lease;
}

const never: Lease = { taskId: 'task', attempt: 1, fence: 1, sessionId: 'nobody' };

/** A task in a state, reached by the shortest way. */
async function taskIn(state: (typeof states)[number]): Promise<Case> {
  const fixture = await openBroker();
  const { broker } = fixture;
  const worker = await openWorker(broker);
  const delayMs = state === 'scheduled' ? 1_000 : 0;
  const { id } = await enqueue(broker, { expiresInMs: 60_000, delayMs, maxAttempts: 5 });
  let lease = { ...never, taskId: id };
  if (['running', 'retrying', 'succeeded', 'failed'].includes(state)) lease = (await claimOne(worker)).lease;
  if (state === 'retrying') await settle(worker, { type: 'retry', lease, delayMs: 0, failure: boom });
  if (state === 'succeeded') await settle(worker, { type: 'complete', lease });
  if (state === 'failed') await settle(worker, { type: 'fail', lease, failure: boom });
  if (state === 'paused') await broker.tasks.pause([id]);
  if (state === 'cancelled') await broker.tasks.cancel([id]);
  expect((await find(broker, id)).state).toBe(state);
  return { ...fixture, id, worker, lease };
}

type Doing = (subject: Case) => Promise<unknown>;

/** How each operation is asked for. */
const perform: Readonly<Record<TaskOperation, Doing>> = {
  claim: ({ worker }) => worker.session.claim({ queues: ['main'], names: ['work'], limit: 1, waitMs: 0 }),
  expire: async ({ broker, clock }) => {
    await clock.advance(60_000 - 1);
    await broker.maintain({ maxTasks: 1 });
    await clock.advance(1);
    await broker.maintain({ maxTasks: 1 });
  },
  lose: async ({ broker, worker, clock }) => {
    // The store's view only: the holder is frozen, so nothing pushes its end out any more.
    worker.session.end = async () => {};
    const [session] = (broker.store as unknown as { sessions: Map<string, { silentUntil: number }> }).sessions.values();
    if (session !== undefined) session.silentUntil = clock.monotonic();
    await broker.maintain({ maxTasks: 1 });
  },
  complete: ({ worker, lease }) => settle(worker, { type: 'complete', lease }),
  retry: ({ worker, lease }) => settle(worker, { type: 'retry', lease, delayMs: 0, failure: boom }),
  fail: ({ worker, lease }) => settle(worker, { type: 'fail', lease, failure: boom }),
  release: ({ worker, lease }) => settle(worker, { type: 'release', lease }),
  snooze: ({ worker, lease }) => settle(worker, { type: 'snooze', lease, delayMs: 5_000 }),
  settlePause: ({ worker, lease }) => settle(worker, { type: 'pause', lease }),
  settleCancel: ({ worker, lease }) => settle(worker, { type: 'cancel', lease }),
  cancel: ({ broker, id }) => broker.tasks.cancel([id]),
  pause: ({ broker, id }) => broker.tasks.pause([id]),
  resume: ({ broker, id }) => broker.tasks.resume([id]),
  rerun: ({ broker, id }) => broker.tasks.rerun([id]),
  reschedule: ({ broker, id }) => broker.tasks.reschedule([id], { delayMs: 0 }),
  update: ({ broker, id }) => broker.tasks.update([id], { priority: 8 }),
  remove: ({ broker, id }) => broker.tasks.remove([id]),
};

const byUser = new Set<TaskOperation>(['cancel', 'pause', 'resume', 'rerun', 'reschedule', 'update', 'remove']);
const byBroker = new Set<TaskOperation>(['claim', 'expire', 'lose']);

/** What the caller is answered; the broker's own operations have no answer that says so. */
function answerOf(operation: TaskOperation, to: TransitionResult | undefined): unknown {
  if (byBroker.has(operation)) return undefined;
  if (!byUser.has(operation)) return to === undefined ? 'stale' : 'applied';
  return [to === undefined ? 'refused' : to === 'request' ? 'requested' : 'applied'];
}

describe.each(states)('a %s task', (state) => {
  it.each(operations)('%s', async (operation) => {
    const subject = await taskIn(state);
    const { broker, id, clock } = subject;
    const before = await find(broker, id);
    const to = transition(state, operation);
    const answer = await perform[operation](subject);
    const [after] = await broker.tasks.get([id]);

    if (!byBroker.has(operation)) expect(answer).toEqual(answerOf(operation, to));
    if (to === undefined) {
      // Time may have made a scheduled task pending; a refused operation changes nothing else.
      const unchanged = state === 'scheduled' && clock.now() >= before.runAt ? { ...before, state: 'pending' } : before;
      expect(after).toEqual(unchanged);
    } else if (to === 'gone') {
      expect(after).toBeUndefined();
    } else if (to === 'request') {
      expect(after).toEqual({ ...before, requested: operation });
    } else if (to === 'kept') {
      // Rescheduled to now, a scheduled task is due.
      expect(after?.state).toBe(state === 'scheduled' && operation === 'reschedule' ? 'pending' : state);
    } else {
      // A pending task whose due time is ahead shows as scheduled.
      expect(after?.state).toBe(to === 'pending' && (after?.runAt ?? 0) > clock.now() ? 'scheduled' : to);
      expect(after?.finishedAt !== undefined).toBe(isTerminal(to));
      expect(after?.failure !== undefined).toBe(to === 'failed');
    }
    await broker.close();
  });
});

const requests: readonly StopRequest[] = ['pause', 'cancel', 'remove'];
const ends: readonly TaskOperation[] = [
  'complete',
  'retry',
  'fail',
  'release',
  'snooze',
  'settlePause',
  'settleCancel',
  'lose',
];

describe.each(requests)('a running task with %s requested', (request) => {
  it.each(ends)('%s', async (operation) => {
    const subject = await taskIn('running');
    const { broker, id } = subject;
    expect(await broker.tasks[request]([id])).toEqual(['requested']);
    expect(subject.worker.signals).toEqual([{ taskId: id, fence: 1, request }]);
    await perform[operation](subject);
    const [after] = await broker.tasks.get([id]);
    const to = settledState(operation, request);
    expect(after?.state ?? 'gone').toBe(to);
    expect(after?.requested).toBeUndefined();
    await broker.close();
  });
});
