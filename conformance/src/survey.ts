import { randomBytes } from 'node:crypto';
import { type Broker, type Capabilities, systemClock } from '@millrace/core';
import { buildTask, usual } from './context/builders.ts';
import type { Circumstances } from './context/scenario-context.ts';
import { bundledModule } from './faults/bundled-module.ts';
import type { BrokerHarness } from './harness.ts';
import { rules } from './spec/rules.ts';
import { unitsOf } from './units.ts';

/**
 * Round trips measured, after some that warm up connections, plans and code. On PGlite, whose code is compiled anew in each
 * process, the first twenty take three times as long as later ones, and the next hundred still half as long again.
 */
const roundTrips = 200;
const warmUps = 120;
/** Units that a budget has room for, as they usually are and at worst. */
const inBudget = { usually: 40, atWorst: 20 };
/** Where nothing is slow, and where time is virtual. */
const shortest = { unitMs: 50, budgetMs: 2_000, momentMs: 20 };

/** A namespace nobody used before. */
export function newNamespace(label: string): string {
  return `c${randomBytes(4).toString('hex')}_${label.toLowerCase().replaceAll(/[^a-z0-9]/g, '_')}`.slice(0, 40);
}

/**
 * Opens the broker once to learn what it claims, and measures how fast enqueue → claim is here, so that waits and
 * budgets fit the machine.
 * @throws whatever opening throws
 */
export async function surveyBroker(harness: BrokerHarness): Promise<Circumstances> {
  checkWaivers(harness);
  // Made in one go, in which no heartbeat leaves: before there are sessions to keep.
  if (harness.bundleWorker === true && harness.workerModule !== undefined) bundledModule(harness.workerModule);
  return withBroker(harness, async (broker, capabilities) => ({
    harness,
    capabilities,
    ...(harness.clock === undefined ? await measure(broker, capabilities) : shortest),
  }));
}

/** What a broker claims. @throws whatever opening throws */
export function askCapabilities(harness: BrokerHarness): Promise<Capabilities> {
  return withBroker(harness, async (_broker, capabilities) => capabilities);
}

async function withBroker<T>(
  harness: BrokerHarness,
  use: (broker: Broker<unknown>, capabilities: Capabilities) => Promise<T>,
): Promise<T> {
  const namespace = newNamespace('survey');
  const target = { url: harness.url ?? '', namespace, clock: harness.clock?.(namespace) ?? systemClock };
  const broker = harness.connect(target);
  try {
    return await use(broker, await broker.open());
  } finally {
    await broker.close();
    await harness.drop(target);
  }
}

async function measure(
  broker: Broker<unknown>,
  { session: { minTtlMs, maxTtlMs } }: Capabilities,
): Promise<Omit<Circumstances, 'harness' | 'capabilities'>> {
  const ttlMs = Math.min(maxTtlMs, Math.max(minTtlMs, 60_000));
  const session = await broker.openSession({ instance: 'survey', host: 'localhost', ttlMs, onSignal: () => {} });
  const times: number[] = [];
  for (let trip = 0; trip < warmUps + roundTrips; trip++) {
    const started = performance.now();
    await broker.enqueue([buildTask()]);
    const [delivery] = await session.claim({ queues: [usual.queue], names: [usual.name], limit: 1, waitMs: 10_000 });
    if (trip >= warmUps) times.push(performance.now() - started);
    if (delivery !== undefined) await session.settle([{ type: 'complete', lease: delivery.lease }]);
  }
  await session.end();
  const sorted = [...times].sort((a, b) => a - b);
  const percentile = (share: number): number => sorted[Math.floor(roundTrips * share) - 1] ?? 0;
  const { usually, atWorst } = unitsOf(times);
  return {
    unitMs: Math.max(shortest.unitMs, usually, atWorst),
    // Not of the slowest trips alone: where a few were held up, waits for what must not happen would take minutes.
    budgetMs: Math.max(shortest.budgetMs, inBudget.usually * usually, inBudget.atWorst * atWorst),
    momentMs: Math.max(shortest.momentMs, 5 * percentile(0.5)),
    enqueueToClaimMs: { p50: percentile(0.5), p99: percentile(0.99) },
  };
}

/** A waiver that says nothing would be a silent pass. @throws Error naming it */
function checkWaivers({ name, waivers = [] }: BrokerHarness): void {
  for (const { id, because, issue, until } of waivers) {
    const wrong = !rules.some((rule) => rule.scenarios.includes(id))
      ? 'there is no such scenario'
      : because.trim() === ''
        ? '`because` must say why it fails'
        : !URL.canParse(issue)
          ? '`issue` must be an address'
          : Number.isNaN(Date.parse(until))
            ? '`until` must be a day such as 2026-12-31'
            : undefined;
    if (wrong !== undefined) throw new Error(`${name}: the waiver of ${id}: ${wrong}`);
  }
}
