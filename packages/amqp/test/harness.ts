import type { BrokerHarness, Target } from '@millrace/conformance';
import type { Broker } from '@millrace/core';
import { connect } from 'amqplib';
import { type AmqpBroker, type AmqpBrokerOptions, amqpBroker, type QueueOptions } from '../src/index.ts';
import { queueNameOf } from '../src/names.ts';

/** The server the test run started, or the one the environment names. */
export const serverUrl: string = process.env.MILLRACE_TEST_AMQP_URL ?? '';

/** A namespace's queues begin with its name. */
export function brokerAt(
  { url, namespace, clock, callTimeoutMs }: Target,
  options: Partial<AmqpBrokerOptions> = {},
): AmqpBroker {
  return amqpBroker({
    url,
    namespace,
    clock,
    ...(callTimeoutMs !== undefined && { operationTimeout: callTimeoutMs }),
    ...options,
  });
}

/** Queues that scenarios used, by namespace: AMQP cannot list them. */
const used = new Map<string, Set<string>>();

/** Notes the queues that tasks are sent to, so that they can be deleted afterwards. */
export function noting(namespace: string, broker: Broker<unknown>): Broker<unknown> {
  const queues = used.get(namespace) ?? new Set<string>();
  used.set(namespace, queues);
  const { enqueue, openSession } = broker;
  broker.enqueue = (tasks, options) => {
    for (const { queue } of tasks) queues.add(queue);
    return enqueue.call(broker, tasks, options);
  };
  broker.openSession = async (options) => {
    const session = await openSession.call(broker, options);
    const { claim } = session;
    session.claim = (request) => {
      for (const queue of request.queues) queues.add(queue);
      return claim.call(session, request);
    };
    return session;
  };
  return broker;
}

/** Deletes everything of a namespace. */
export async function dropNamespace(url: string, namespace: string): Promise<void> {
  const connection = await connect(url, { noDelay: true });
  connection.on('error', () => {});
  try {
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    for (const queue of used.get(namespace) ?? []) {
      // Names that were refused have no queue.
      if (typeof queue === 'string') await channel.deleteQueue(queueNameOf(namespace, queue));
    }
    await channel.deleteQueue(`${namespace}.dead`);
    await channel.close();
  } finally {
    used.delete(namespace);
    await connection.close();
  }
}

/** The broker on RabbitMQ alone, on a server, as the conformance suite sees it. */
export function harnessAt(url: string, queues: readonly QueueOptions[] = []): BrokerHarness {
  return {
    name: 'amqp',
    url,
    workerModule: new URL('worker.ts', import.meta.url),
    bundleWorker: true,
    connect: (target) => noting(target.namespace, brokerAt(target, { queues })),
    drop: ({ namespace }) => dropNamespace(url, namespace),
    backend: async () => {
      const connection = await connect(url, { noDelay: true });
      const { product, version } = connection.connection.serverProperties;
      await connection.close();
      return { name: String(product), version: String(version) };
    },
  };
}

/** On the server of the test run. */
export const harness: BrokerHarness = harnessAt(serverUrl);
