import type { BrokerHarness, Target } from '@millrace/conformance';
import type { GuardOptions } from '@millrace/core';
import { type AmqpBrokerOptions, amqpBroker, type GuardedAmqpBroker } from '../src/index.ts';
import type { GuardStore } from './guards.ts';
import { dropNamespace, noting, serverUrl } from './harness.ts';

/** Where a client of both works. Each address is the server's own unless it is given. */
export interface GuardedTarget extends Omit<Target, 'url'> {
  readonly amqpUrl?: string;
  readonly storeUrl?: string;
}

/** A namespace at both: queues that begin with its name, and whatever the store keeps it in. */
export function guardedAt(
  store: GuardStore,
  { amqpUrl = serverUrl, storeUrl = store.url, ...target }: GuardedTarget,
  options: Partial<AmqpBrokerOptions> = {},
  guard: GuardOptions = { mode: 'always' },
): GuardedAmqpBroker {
  const { namespace, clock, callTimeoutMs } = target;
  return amqpBroker({
    url: amqpUrl,
    namespace,
    clock,
    ...(callTimeoutMs !== undefined && { operationTimeout: callTimeoutMs }),
    ...options,
    guard: store.guard({ ...target, url: storeUrl }, guard),
  });
}

/**
 * The broker with a guard that holds everything, as the conformance suite sees it.
 * @param link the one that scenarios cut: to the store, which gives the answers, or to RabbitMQ, which brings the work
 */
export function guardedHarness(store: GuardStore, link: 'store' | 'messages'): BrokerHarness {
  const url = link === 'store' ? store.url : serverUrl;
  return {
    name: `amqp-${store.kind}`,
    ...(url !== '' && { url }),
    ...(store.workerModule !== undefined && { workerModule: store.workerModule, bundleWorker: true }),
    connect: ({ url: way, ...target }) =>
      noting(target.namespace, guardedAt(store, { ...target, [link === 'store' ? 'storeUrl' : 'amqpUrl']: way })),
    drop: async ({ namespace }) => {
      await dropNamespace(serverUrl, namespace);
      await store.drop(namespace);
    },
    hooks: store.hooks,
  };
}
