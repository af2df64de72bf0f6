import type { AbortedError } from '@millrace/core';
import { hire, job, producer } from '../context/crew.ts';
import { cancelRunning } from '../needs.ts';
import type { Scenario } from '../scenario.ts';
import { longestCallMs, recoveryMs } from './call-end.ts';
import { faultScenario } from './fault-scenario.ts';
import { Load } from './load.ts';
import type { ProxyLink } from './proxy-link.ts';
import { layWire } from './wire.ts';

/** A link on which the client waits to be told: what Postgres and Redis call it. Others work and listen on one link. */
function listens(link: ProxyLink): boolean {
  return ['listen ', 'LISTEN ', 'subscribe', 'SUBSCRIBE'].some((command) => link.hasSent(command));
}

/** Links that go silent: notifications are hints, and whoever wants to leave can. */
export const silenceScenarios: readonly Scenario[] = [
  faultScenario({
    id: 'CON-10',
    rule: 'R-CON-10',
    title: 'one link after the other goes silent under an idle worker: polling still starts the next task in time',
    patience: 8,
    async run(t) {
      const wire = await layWire(t);
      const load = new Load(t);
      // Where a session is a connection, what was sent into a silent one comes back when its ttl is over.
      const { minTtlMs } = t.capabilities.session;
      const isConnection = t.capabilities.settle.confirmedBy === 'barrier';
      await load.hire(await wire.open(), 0, isConnection ? { sessionTtl: 2 * minTtlMs } : {});
      await load.enqueue(t.client);
      await t.eventually(() => load.started === 1, 'the first run', recoveryMs(t));
      for (const link of wire.proxy.links) {
        if (!link.open) continue;
        await t.cell(listens(link) ? `link ${link.number}, which listens` : `link ${link.number}`, async () => {
          const before = load.started;
          const hole = wire.proxy.blackhole('both', (each) => each === link);
          await load.enqueue(t.client);
          // A silent link that works is given up at the deadline of the call on it; one that listens costs a poll.
          const { pollMs } = t.capabilities.wakeup;
          const limitMs = listens(link) ? pollMs + t.budgetMs : longestCallMs + recoveryMs(t);
          await t.eventually(() => load.started > before, 'the start of a task', limitMs);
          hole.heal();
        });
      }
      await load.drain(longestCallMs + recoveryMs(t));
    },
  }),
  faultScenario({
    id: 'CAN-09',
    rule: 'R-CAN-9',
    title: 'a cancel reaches a running handler although notifications are cut off: one heartbeat later',
    needs: [cancelRunning],
    patience: 2,
    async run(t) {
      const wire = await layWire(t);
      const client = await wire.open();
      const { minTtlMs, maxTtlMs } = t.capabilities.session;
      const ttlMs = Math.min(maxTtlMs, Math.max(minTtlMs, 3_000));
      const whys: unknown[] = [];
      let running = false;
      const { definition, handler } = job(async (_input, { signal }) => {
        running = true;
        await t.tempo.timer(60_000, signal);
        whys.push((signal.reason as AbortedError).why);
        throw signal.reason;
      });
      await hire(t, [handler], { client, sessionTtl: ttlMs });
      const task = await producer(t).enqueue(definition, null);
      await t.eventually(() => running, 'the run');
      wire.proxy.blackhole('both', listens);
      t.equal(await task.cancel(), 'requested', 'the outcome');
      await t.eventually(() => whys.length === 1, 'the abort of the signal', ttlMs / 3 + t.budgetMs);
      t.equal(whys, ['cancelled'], 'the reason');
      const cancelled = async (): Promise<boolean> => (await t.record(task.id)).state === 'cancelled';
      if (t.capabilities.tasks.get) await t.eventually(cancelled, 'the end of the task');
    },
  }),
  faultScenario({
    id: 'FLT-40',
    rule: 'R-FLT-10',
    title: 'a worker is stopped by force, and a client closed, while the network is silent: both end in bounded time',
    patience: 2,
    async run(t) {
      const wire = await layWire(t);
      const [working, holding] = [await wire.open(), await wire.open()];
      let running = 0;
      const { definition, handler } = job(async (_input, { signal }) => {
        running += 1;
        await t.tempo.timer(60_000, signal);
        throw signal.reason;
      });
      const { worker } = await hire(t, [handler], { client: working });
      await producer(t).enqueue(definition, null);
      await t.eventually(() => running === 1, 'the run');
      const holder = await t.holder({ client: holding });
      await t.enqueue({ queue: 'held' });
      await holder.claimOne({ queues: ['held'] });
      wire.proxy.blackhole();
      const ends = [
        t.soon(worker.stop({ force: true }), 'the forced stop of a worker', longestCallMs),
        t.soon(holding.broker.close(), 'the closing of a client', longestCallMs),
      ];
      for (const ended of await Promise.allSettled(ends)) {
        t.equal(ended.status === 'rejected' ? String(ended.reason) : ended.status, 'fulfilled', 'how it ends');
      }
    },
  }),
];
