import type { Scenario } from '../scenario.ts';
import { longestCallMs, recoveryMs } from './call-end.ts';
import { faultScenario } from './fault-scenario.ts';
import { Load } from './load.ts';
import { networkFaults, runNemesis } from './nemesis.ts';
import { layWire } from './wire.ts';

/** Everything at once. */
export const stormScenarios: readonly Scenario[] = [
  faultScenario({
    id: 'FLT-35',
    rule: 'R-FLT-1',
    title:
      'a random schedule of network faults over producers and workers: nothing is lost, nothing runs twice without a reason',
    patience: 6,
    run: (t) => storm(t, t.seed, 12_000),
  }),
];

/** A storm with a known seed, for repeating one, or for a longer one. */
export async function storm(t: Parameters<Scenario['run']>[0], seed: number, durationMs: number): Promise<void> {
  const [north, south] = [await layWire(t), await layWire(t)];
  const load = new Load(t);
  const clients = [await north.open(), await south.open()] as const;
  const { minTtlMs, maxTtlMs } = t.capabilities.session;
  const sessionTtl = Math.min(maxTtlMs, Math.max(minTtlMs, 3_000));
  const hired = await Promise.all(clients.map((client) => load.hire(client, 10, { sessionTtl, concurrency: 5 })));
  const stop = new AbortController();
  const producers = clients.flatMap((client) => [1, 2].map(() => load.produce(client, stop.signal, 25)));
  const faults = [...networkFaults(north.proxy), ...networkFaults(south.proxy)];
  const heal = (): void => {
    for (const { proxy } of [north, south]) proxy.heal();
  };
  const { names } = await runNemesis({ seed, faults, durationMs, heal });
  stop.abort();
  try {
    await t.soon(Promise.all(producers), 'the last enqueues', longestCallMs + recoveryMs(t));
    t.ok(load.enqueued.length > 0, 'tasks got through');
    await load.drain(2 * longestCallMs + recoveryMs(t));
    await t.soon(Promise.all(hired.map(({ worker }) => worker.stop())), 'the stop of the workers', recoveryMs(t));
    await load.leavesNothing();
  } catch (error) {
    if (error instanceof Error) error.message += `; seed ${seed}: ${names.join(', ')}`;
    throw error;
  }
}
