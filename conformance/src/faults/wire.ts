import { Client } from '../context/client.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { longestCallMs, untilAnswered } from './call-end.ts';
import { endpointOf } from './endpoint-url.ts';
import { startProxy, type TcpProxy } from './tcp-proxy.ts';

/** A way to the backend that a scenario can break, with clients of its namespace behind it. */
export interface Wire {
  readonly proxy: TcpProxy;
  /** The backend's address through the proxy, for processes. */
  readonly url: string;
  /** A client, not yet opened; closed at the end. */
  connect(): Client;
  /** An opened client. */
  open(): Promise<Client>;
}

/** The deadline that clients behind a broken network should have: scenarios wait it out. A slow machine needs more. */
function faultyCallMs(t: ScenarioContext): number {
  return Math.round(Math.min(0.4 * longestCallMs, Math.max(3_000, 20 * t.unitMs)));
}

const wires = new WeakMap<ScenarioContext, TcpProxy[]>();

/** Ends all faults of a scenario's wires: closing over a broken wire is a scenario of its own. */
export function healWires(t: ScenarioContext): void {
  for (const proxy of wires.get(t) ?? []) proxy.heal();
}

/** Puts a proxy before the backend. Other clients of the scenario do not notice. Needs `networked`. */
export async function layWire(t: ScenarioContext): Promise<Wire> {
  const original = t.harness.url ?? '';
  const proxy = await startProxy(endpointOf(original));
  const url = proxy.url(original);
  t.defer(() => proxy.close());
  wires.set(t, [...(wires.get(t) ?? []), proxy]);
  return { proxy, url, connect: () => connectImpatient(t, url), open: () => openImpatient(t, url) };
}

/** An opened client with the deadline of those that meet faults, which a busy machine may miss where there is none yet. */
export async function openImpatient(t: ScenarioContext, url: string = t.harness.url ?? ''): Promise<Client> {
  const client = connectImpatient(t, url);
  await untilAnswered(t, () => client.broker.open(), 'the opening of a client that will meet faults');
  return client;
}

function connectImpatient(t: ScenarioContext, url: string): Client {
  const client = new Client(t.harness, { url, namespace: t.namespace, callTimeoutMs: faultyCallMs(t) }, t.tempo.clock);
  t.defer(() => client.close());
  return client;
}
