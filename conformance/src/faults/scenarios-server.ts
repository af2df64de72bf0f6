import type { ScenarioContext } from '../context/scenario-context.ts';
import { capability } from '../needs.ts';
import type { Need, Scenario } from '../scenario.ts';
import { longestCallMs, recoveryMs } from './call-end.ts';
import { Load } from './load.ts';
import type { Server } from './server.ts';
import { withoutStrayErrors } from './stray-errors.ts';

const durable: Need = capability('durability', (c) => c.durability !== 'none');

/** What a scenario of this file does, given the server it may mistreat. */
type ServerScenario = Omit<Scenario, 'tier' | 'alone' | 'run'> & {
  run(t: ScenarioContext, server: Server): Promise<void>;
};

/**
 * Scenarios that restart, kill and freeze the backend: the harness's `server`, or the one given. They run alone.
 *
 * @example
 * const server = await localServer({ … });
 * await defineConformance({ describe, it }, { ...harness, server });
 */
export function serverScenarios(given?: Server): readonly Scenario[] {
  const hasServer: Need = (_capabilities, harness) =>
    (given ?? harness.server) !== undefined || { status: 'not-run', reason: 'not run: no server that may be stopped' };
  const scenario = (wanted: ServerScenario): Scenario => ({
    ...wanted,
    tier: 'fault',
    alone: true,
    needs: [hasServer, ...(wanted.needs ?? [])],
    async run(t) {
      const server = given ?? t.harness.server;
      if (server === undefined) throw new Error('the harness has no server');
      try {
        await withoutStrayErrors(t, () => wanted.run(t, server));
      } finally {
        await server.thaw();
        await server.start();
      }
    },
  });
  return [
    scenario({
      id: 'FLT-17',
      rule: 'R-FLT-17',
      title: 'a graceful restart of the server under load: nothing accepted is lost, everything goes on by itself',
      needs: [durable],
      patience: 4,
      run: (t, server) =>
        underLoad(t, async () => {
          await server.stop('graceful');
          await t.tempo.pause(1_000);
          await server.start();
        }),
    }),
    scenario({
      id: 'FLT-18',
      rule: 'R-FLT-17',
      title: 'SIGKILL of the server under load: what was accepted is there when it is back',
      needs: [durable],
      patience: 4,
      run: (t, server) =>
        underLoad(t, async () => {
          await server.stop('kill');
          await server.start();
        }),
    }),
    scenario({
      id: 'FLT-19',
      rule: 'R-FLT-10',
      title:
        'the server stands still for longer than a ttl: calls end by their deadline, no run is doubled without a reason',
      patience: 5,
      run: (t, server) =>
        underLoad(t, async () => {
          await server.freeze();
          await t.tempo.pause(6_000);
          await server.thaw();
        }),
    }),
    scenario({
      id: 'FLT-20',
      rule: 'R-FLT-17',
      title: 'five restarts in a row, each soon after the last recovery',
      needs: [durable],
      patience: 6,
      run: (t, server) =>
        underLoad(t, async () => {
          for (let restart = 0; restart < 5; restart++) {
            await server.stop(restart % 2 === 0 ? 'kill' : 'graceful');
            await server.start();
            await t.tempo.pause(1_000);
          }
        }),
    }),
  ];
}

/** Producers and workers, while something happens to the server. */
async function underLoad(t: ScenarioContext, event: () => Promise<void>): Promise<void> {
  const load = new Load(t);
  const [producing, first, second] = await Promise.all([t.open(), t.open(), t.open()]);
  const { minTtlMs, maxTtlMs } = t.capabilities.session;
  const sessionTtl = Math.min(maxTtlMs, Math.max(minTtlMs, 3_000));
  const hired = await Promise.all(
    [first, second].map((client) => load.hire(client, 20, { sessionTtl, concurrency: 5 })),
  );
  const stop = new AbortController();
  const producers = Array.from({ length: 5 }, () => load.produce(producing, stop.signal, 20));
  await t.eventually(() => load.runs.length > 50, 'work under way', recoveryMs(t));
  await event();
  const before = load.runs.length;
  const backAt = t.now();
  await t.eventually(() => load.runs.length > before, 'work after it', longestCallMs + recoveryMs(t));
  t.measure('recoveryAfterServerRestartMs', t.now() - backAt);
  await t.eventually(() => load.runs.length > before + 50, 'more work after it', longestCallMs + recoveryMs(t));
  stop.abort();
  await t.soon(Promise.all(producers), 'the last enqueues', longestCallMs + recoveryMs(t));
  await load.drain(sessionTtl + longestCallMs + recoveryMs(t));
  await t.soon(Promise.all(hired.map(({ worker }) => worker.stop())), 'the stop of the workers', recoveryMs(t));
  await load.leavesNothing();
}
