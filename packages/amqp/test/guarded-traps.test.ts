import { type Broker, type ClaimVerdict, type Guard, type Session, systemClock } from '@millrace/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { GuardedAmqpBroker } from '../src/index.ts';
import { queueNameOf } from '../src/names.ts';
import {
  type ChangeGuard,
  changed,
  changedSessions,
  freshPlace,
  openGuarded,
  type Place,
  withChannel,
} from './guarded-support.ts';
import { claimOne, newTask, openSession } from './support.ts';

/**
 * What a guard must not do, and how it is noticed: every check passes with the guard as it is, and fails with one that
 * makes the mistake.
 */
interface Trap {
  readonly name: string;
  check(open: (place: Place) => Promise<GuardedAmqpBroker>): Promise<void>;
  readonly spring: ChangeGuard;
}

const opened: Broker<never>[] = [];
const failure = { kind: 'error', name: 'Error', message: 'broken' } as const;
/** Longer than the sweep needs to bring a task. */
const sweptMs = 15_000;

/** The next task of the line, whatever it takes, for at most so long; maintained as by a worker. */
async function nextWithin(broker: GuardedAmqpBroker, session: Session, limitMs: number): Promise<string | undefined> {
  const until = performance.now() + limitMs;
  while (performance.now() < until) {
    await broker.maintain({ maxTasks: 1_000 });
    const [delivery] = await session.claim({ queues: ['line'], names: ['work'], limit: 1, waitMs: 500 });
    if (delivery !== undefined) return delivery.lease.taskId;
  }
  return undefined;
}

const traps: readonly Trap[] = [
  {
    name: 'the message goes before the guard said that the run is settled',
    async check(open) {
      const place = freshPlace();
      const broker = await open(place);
      const task = newTask();
      await broker.enqueue([task]);
      const session = await openSession(broker);
      const { lease } = await claimOne(session);
      const [outcome] = await session.settle([{ type: 'complete', lease }]);
      // Whatever was answered, the task is what it was answered to be.
      const [record] = await broker.tasks.get([task.id]);
      expect([outcome, record?.state]).toEqual(['applied', 'succeeded']);
    },
    spring: (guard) =>
      changedSessions(guard, () => ({ settle: async (operations) => operations.map(() => 'applied') })),
  },
  {
    name: 'a message whose task is held by a worker that may be dead is dropped',
    async check(open) {
      const place = freshPlace();
      const broker = await open(place);
      // A worker that the store still believes in, but that RabbitMQ has given up.
      const store = place.store.guard({ namespace: place.namespace, clock: systemClock }).broker;
      opened.push(store);
      await store.open();
      const holder = await openSession(store);
      const task = newTask();
      await broker.enqueue([task]);
      const [verdict] = await verdictsOf(holder, [task.id]);
      const session = await openSession(broker);
      expect(await session.claim({ queues: ['line'], names: ['work'], limit: 1, waitMs: 500 })).toEqual([]);
      if (verdict?.status !== 'claimed') throw new Error('the holder got nothing');
      const { lease } = verdict.delivery;
      await holder.settle([{ type: 'retry', lease, delayMs: 0, failure }]);
      expect((await claimOne(session)).lease).toMatchObject({ taskId: task.id, attempt: 2 });
    },
    spring: (guard) => withVerdicts(guard, ({ status }) => (status === 'held' ? { status: 'ended' } : undefined)),
  },
  {
    name: 'nobody looks for tasks whose message is gone',
    async check(open) {
      const place = freshPlace();
      const broker = await open(place);
      const task = newTask();
      await broker.enqueue([task]);
      await withChannel((channel) => channel.purgeQueue(queueNameOf(place.namespace, 'line')));
      expect(await nextWithin(broker, await openSession(broker), sweptMs)).toBe(task.id);
    },
    spring: (guard) => ({ ...guard, overdue: async () => [] }),
  },
  {
    name: 'a message is published before its record is there',
    async check(open) {
      const broker = await open(freshPlace());
      const session = await openSession(broker);
      const claiming = session.claim({ queues: ['line'], names: ['work'], limit: 1, waitMs: 3_000 });
      const task = newTask();
      await broker.enqueue([task]);
      expect((await claiming).map(({ lease }) => lease.taskId)).toEqual([task.id]);
    },
    spring: (guard) =>
      changed(guard, (broker) => ({
        enqueue: async (tasks, options) => {
          setTimeout(() => void broker.enqueue(tasks, options as never), 500);
          return tasks.map(() => ({ status: 'accepted' }));
        },
      })),
  },
  {
    name: 'a second message of a task makes a second run',
    async check(open) {
      const place = freshPlace();
      const [broker, other] = [await open(place), await open(place)];
      const [session, second] = [await openSession(broker), await openSession(other)];
      const task = newTask();
      for (let times = 0; times < 3; times++) await broker.enqueue([task]);
      const { lease } = await claimOne(session);
      const request = { queues: ['line'], names: ['work'], limit: 3, waitMs: 500 };
      const twins = [...(await session.claim(request)), ...(await second.claim(request))];
      expect(twins).toEqual([]);
      expect(await session.settle([{ type: 'retry', lease, delayMs: 0, failure }])).toEqual(['applied']);
      const again = [await session.claim(request), await second.claim(request)].flat();
      expect(again.map((delivery) => delivery.lease.attempt)).toEqual([2]);
    },
    spring: (guard) => {
      const last = new Map<string, ClaimVerdict>();
      return changedSessions(guard, (session) => ({
        claimTasks: async (ids) =>
          (await verdictsOf(session, ids)).map((verdict, index) => {
            const id = ids[index] as string;
            if (verdict.status === 'claimed') last.set(id, verdict);
            return verdict.status === 'held' ? (last.get(id) ?? verdict) : verdict;
          }),
      }));
    },
  },
];

function verdictsOf(session: Session, ids: readonly string[]): Promise<ClaimVerdict[]> {
  if (session.claimTasks === undefined) throw new TypeError('the session cannot claim by id');
  return session.claimTasks(ids);
}

function withVerdicts(guard: Guard<never>, change: (verdict: ClaimVerdict) => ClaimVerdict | undefined): Guard<never> {
  return changedSessions(guard, (session) => ({
    claimTasks: async (ids) => (await verdictsOf(session, ids)).map((verdict) => change(verdict) ?? verdict),
  }));
}

describe('traps of a guard', () => {
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((broker) => broker.close()));
  });

  const openWith =
    (change?: ChangeGuard) =>
    async (place: Place): Promise<GuardedAmqpBroker> => {
      const broker = await openGuarded(place, { ...(change !== undefined && { change }) });
      opened.push(broker);
      return broker;
    };

  for (const { name, check, spring } of traps) {
    it(`avoided: ${name}`, () => check(openWith()));

    it(`noticed: ${name}`, async () => {
      const verdict = await check(openWith(spring)).then(
        () => 'passed',
        () => 'noticed',
      );
      expect(verdict).toBe('noticed');
    });
  }
});
