import { defineConformance, scenarios } from '@millrace/conformance';
import type { Broker } from '@millrace/core';
import { afterAll, describe, it } from 'vitest';
import { harnessAt } from './harness.ts';
import { noServer, programs, startPrivateServer } from './private-server.ts';

// A server that is restarted, killed and frozen cannot be the one other tests use.
const chosen = scenarios.filter(({ alone }) => alone === true);
if (programs === undefined) {
  describe('amqp: the server is stopped', () => {
    for (const { id, title } of chosen) it.skip(`${id} ${title} [${noServer}]`, () => {});
  });
} else {
  const { url, server, close } = await startPrivateServer();
  afterAll(close);
  const harness = { ...harnessAt(url, [{ name: 'line' }]), server };
  const settled = new Map<string, Promise<void>>();
  await defineConformance(
    { describe, it },
    { ...harness, connect: (target) => settling(harness.connect(target), target.namespace, settled) },
    { scenarios: chosen },
  );
}

/** RabbitMQ up to 4.x forgets a quorum queue that was made within moments of a crash: what is in it is older here. */
function settling(broker: Broker<unknown>, namespace: string, settled: Map<string, Promise<void>>): Broker<unknown> {
  const { open } = broker;
  broker.open = async () => {
    const capabilities = await open.call(broker);
    const wait = settled.get(namespace) ?? new Promise<void>((resolve) => setTimeout(resolve, 3_000));
    settled.set(namespace, wait);
    await wait;
    return capabilities;
  };
  return broker;
}
