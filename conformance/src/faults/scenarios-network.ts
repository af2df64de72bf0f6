import type { Delivery, EnqueueOutcome, SettleOutcome } from '@millrace/core';
import { usual } from '../context/builders.ts';
import type { Client } from '../context/client.ts';
import type { Holder } from '../context/holder.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import type { Scenario } from '../scenario.ts';
import { type CallEnd, endOfCall, longestCallMs, recoveryMs, untilAnswered } from './call-end.ts';
import { assessEnqueue } from './cut-enqueue.ts';
import { faultScenario } from './fault-scenario.ts';
import type { Direction } from './proxy-flow.ts';
import { layWire } from './wire.ts';

/** How late a timer of a busy machine may be. */
function slackMs(t: ScenarioContext): number {
  return Math.max(250, 2 * t.unitMs);
}

/**
 * A time to live that a session survives where nothing is broken, however slow the machine is. A multiple of the one that
 * is wanted, as a backend may know whole steps only.
 */
function shortTtl(t: ScenarioContext, wantedMs: number, units = 20): number {
  const { minTtlMs, maxTtlMs } = t.capabilities.session;
  const shortestMs = Math.max(minTtlMs, wantedMs);
  return Math.min(maxTtlMs, shortestMs * Math.max(1, Math.ceil((units * t.unitMs) / shortestMs)));
}

/** Networks that are slow, or silent. */
export const networkScenarios: readonly Scenario[] = [
  faultScenario({
    id: 'FLT-10',
    rule: 'R-FLT-10',
    title:
      'a black hole both ways for three heartbeats: every call ends by its deadline and says what it knows; recovery',
    patience: 5,
    run: (t) => throughBlackhole(t, 'both'),
  }),
  faultScenario({
    id: 'FLT-11',
    rule: 'R-FLT-10',
    title: 'a one-way black hole, for answers and for requests: what may have been applied is never called not applied',
    patience: 8,
    async run(t) {
      await t.cell('requests pass, answers do not', () => throughBlackhole(t, 'in'));
      await t.cell('answers pass, requests do not', () => throughBlackhole(t, 'out'));
    },
  }),
  faultScenario({
    id: 'LSE-10',
    rule: 'R-LSE-10',
    title:
      'heartbeats fall into a black hole: the holder gives up before its ttl is over, and before anybody gets its task',
    patience: 4,
    async run(t) {
      for (const direction of ['both', 'in', 'out'] as const) {
        await t.cell(direction, async () => {
          const wire = await layWire(t);
          const ttlMs = shortTtl(t, 2_000);
          const holder = await t.holder({ client: await wire.open(), ttlMs });
          const queues = [`held ${direction}`];
          const task = await t.enqueue({ queue: queues[0] ?? '', maxAttempts: 3 });
          await holder.claimOne({ queues });
          let lostAt = Number.POSITIVE_INFINITY;
          holder.session.lost.addEventListener('abort', () => {
            lostAt = t.now();
          });
          const began = t.now();
          wire.proxy.blackhole(direction);
          const other = await t.holder();
          const delivery = await t.eventually(
            async () => {
              await t.maintain();
              return (await other.claim({ queues }))[0];
            },
            'the delivery to another holder',
            // With answers lost, beats still arrive: the session ends after the last of them.
            2 * ttlMs + t.capabilities.session.sweepMs + recoveryMs(t),
          );
          const redeliveredAt = t.now();
          t.between(lostAt - began, 0, ttlMs + slackMs(t), 'milliseconds until the holder gave up');
          t.ok(lostAt <= redeliveredAt, 'the holder gave up before the task was given to another');
          t.equal([delivery.lease.taskId, delivery.lease.attempt], [task.id, 2], 'the task and its attempt');
          t.equal((holder.session.lost.reason as { code?: unknown }).code, 'LEASE_LOST', 'the code of the reason');
          wire.proxy.heal();
          t.equal(await other.complete(delivery), 'applied', "the new holder's completion");
        });
      }
    },
  }),
  faultScenario({
    id: 'FLT-12',
    rule: 'R-LSE-3',
    title: 'a slow network with jitter at the shortest ttl: no session is lost without a reason',
    patience: 4,
    async run(t) {
      const wire = await layWire(t);
      const client = await wire.open();
      const shortestMs = shortTtl(t, 1_500, 0);
      // A machine that is slow itself is no reason either.
      const ttlMs = shortTtl(t, 1_500, 40);
      const holder = await t.holder({ client, ttlMs });
      await t.enqueueMany(5);
      const held = await holder.claimMany(5);
      // A round trip takes up to a quarter of the ttl; a heartbeat may take a third.
      const oneWayMs = shortestMs / 16;
      wire.proxy.latency(oneWayMs, 0.8 * oneWayMs);
      const end = t.now() + Math.min(4 * ttlMs, 20_000);
      while (t.now() < end) {
        await t.maintain();
        await t.tempo.pause(ttlMs / 5);
      }
      t.equal(holder.session.lost.aborted, false, 'whether the session was lost');
      const outcomes = await t.soon(
        holder.session.settle(held.map(({ lease }) => ({ type: 'complete', lease }))),
        'the settles over a slow network',
        longestCallMs,
      );
      t.equal(
        outcomes,
        held.map(() => 'applied'),
        'the settles',
      );
      await (await t.holder()).claimsNothing();
    },
  }),
  faultScenario({
    id: 'FLT-13',
    rule: 'R-LSE-3',
    title: 'large payloads over a thin line: slow, but they arrive, and heartbeats survive beside them',
    patience: 4,
    async run(t) {
      const wire = await layWire(t);
      const client = await wire.open();
      const ttlMs = shortTtl(t, 6_000);
      const holder = await t.holder({ client, ttlMs });
      const [kept] = await Promise.all([t.enqueue()]);
      const held = await holder.claimOne();
      const bytes = Math.min(48_000, Math.floor(t.capabilities.payload.maxBytes / 2));
      wire.proxy.throttle(16_000);
      const started = t.now();
      const task = t.task({ queue: 'large', input: JSON.stringify('x'.repeat(bytes)) });
      const ended = await endOfCall(t, () => client.broker.enqueue([task]), 'an enqueue over a thin line');
      t.ok(ended.how !== 'answered' || t.now() - started > 500, 'the line is thin');
      if (ended.how !== 'answered') wire.proxy.heal();
      await assessEnqueue({ t, client }, [task], ended as CallEnd<EnqueueOutcome[]>);
      await t.tempo.pause(ttlMs / 2);
      t.equal(holder.session.lost.aborted, false, 'whether the session was lost');
      t.equal(
        [held.lease.taskId, await holder.complete(held)],
        [kept.id, 'applied'],
        'the completion of a task held meanwhile',
      );
    },
  }),
];

interface Calls {
  readonly enqueue: CallEnd<EnqueueOutcome[]>;
  readonly settle: CallEnd<SettleOutcome[]>;
}

/** Everything a client may be doing when the network goes silent, and what is left of it. */
async function throughBlackhole(t: ScenarioContext, direction: Direction | 'both'): Promise<void> {
  const wire = await layWire(t);
  const client = await wire.open();
  const ttlMs = shortTtl(t, 3_000);
  const holder = await t.holder({ client, ttlMs });
  const queue = `dark ${direction}`;
  const held = await t.enqueue({ queue: `${queue} held` });
  const delivery = await holder.claimOne({ queues: [held.queue] });
  const fresh = t.task({ queue, input: '{"kept":true}' });

  const began = t.now();
  wire.proxy.blackhole(direction);
  const calls: Calls = await callEverything(t, client, holder, delivery, fresh);
  // Three heartbeats at least, however soon the calls gave up.
  await t.tempo.pause(Math.max(0, ttlMs - (t.now() - began)));
  t.equal(holder.session.lost.aborted, true, 'whether the session was given up');
  wire.proxy.heal();
  // What was sent into the hole arrives now, late, as TCP sends it again.
  await t.tempo.pause(2 * t.unitMs);

  await assessEnqueue({ t, client }, [fresh], calls.enqueue);
  const [outcome] = calls.settle.how === 'answered' ? calls.settle.value : [];
  const other = await t.holder();
  await t.eventually(
    async () => {
      await t.maintain();
      const [again] = await other.claim({ queues: [held.queue] });
      if (again !== undefined) {
        t.ok(outcome !== 'applied', 'what was settled as applied is not delivered again');
        t.equal(await other.complete(again), 'applied', 'the completion of the task that was held');
      }
      return (
        again !== undefined ||
        outcome === 'applied' ||
        // It may have arrived, and then nothing comes again; where tasks cannot be looked up, that is all there is to see.
        (outcome === 'unknown' && !t.capabilities.tasks.get) ||
        (t.capabilities.tasks.get && (await t.record(held.id)).state === 'succeeded')
      );
    },
    'the end of the task that was held',
    ttlMs + t.capabilities.session.sweepMs + recoveryMs(t),
  );
  await other.claimsNothing({ queues: [held.queue] });

  const { state } = await t.eventually(
    async () => {
      const health = await client.broker.health();
      return health.state === 'ready' ? health : undefined;
    },
    'good health',
    recoveryMs(t),
  );
  t.equal(state, 'ready', 'the health');
  const session = await untilAnswered(
    t,
    () => client.broker.openSession({ instance: 'after', host: 'localhost', ttlMs, onSignal: () => {} }),
    'a new session',
  );
  t.equal(session.lost.aborted, false, 'whether the new session is lost');
  await untilAnswered(t, () => session.end(), 'the end of the new session');
}

async function callEverything(
  t: ScenarioContext,
  client: Client,
  holder: Holder,
  delivery: Delivery,
  fresh: Parameters<Client['broker']['enqueue']>[0][number],
): Promise<Calls> {
  const { broker } = client;
  const { lease } = delivery;
  const claim = { queues: [usual.queue], names: [usual.name], limit: 1 };
  // The claim comes first, so that it gets a connection that works: looking afterwards for what it may have taken must
  // not take a second deadline.
  const [, enqueue, settle, report] = await Promise.all([
    endOfCall(t, () => holder.session.claim({ ...claim, waitMs: 0 }), 'a claim into a black hole'),
    endOfCall(t, () => broker.enqueue([fresh]), 'an enqueue into a black hole'),
    endOfCall(t, () => holder.session.settle([{ type: 'complete', lease }]), 'a settle into a black hole'),
    endOfCall(t, () => holder.session.report([{ lease, progress: '1' }]), 'a report into a black hole'),
    endOfCall(t, () => holder.session.claim({ ...claim, waitMs: 1_000 }), 'a long poll into a black hole'),
    endOfCall(t, () => broker.maintain({ maxTasks: 10 }), 'maintenance into a black hole'),
    endOfCall(t, () => broker.queues.stats(), 'statistics from a black hole'),
    endOfCall(t, () => broker.health(), 'health of a black hole'),
    ...(t.capabilities.tasks.get
      ? [endOfCall(t, async () => broker.tasks?.get([fresh.id]), 'a read from a black hole')]
      : []),
  ]);
  t.equal(settle.how, 'answered', 'how a settle ends: it never throws for a lost connection');
  t.ok(
    report.how !== 'answered' || report.value[0] !== 'stale' || holder.session.lost.aborted,
    'a report is not called stale while the session is trusted',
  );
  return { enqueue, settle };
}
