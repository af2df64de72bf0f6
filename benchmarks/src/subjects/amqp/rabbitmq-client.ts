import { Connection } from 'rabbitmq-client';
import { amqpProbe, quorumQueue, taskQueue } from '../../backends/amqp.ts';
import type { Payload } from '../../payload.ts';
import type { Subject } from '../../subject.ts';
import { endRun } from '../runners.ts';

const queue = taskQueue;
const prefetch = 500;
const connectMs = 10_000;
const declaration = { queue, durable: true, arguments: quorumQueue.arguments };
const envelope = { routingKey: queue, mandatory: true, durable: true };

async function open(url: string): Promise<Connection> {
  const connection = new Connection({ url, noDelay: true });
  connection.on('error', (error) => console.error(error));
  await connection.onConnect(connectMs);
  return connection;
}

export const rabbitmqClient: Subject = {
  name: 'rabbitmq-client',
  kind: 'peer',
  batched: true,
  settings: {
    fast: `publisher with confirm; consumer with its concurrency and prefetchCount ${prefetch}; noDelay`,
    default: 'the same with a prefetchCount of twice the concurrency, as it advises',
  },
  guarantees: {
    fence: 'its ack is refused with its channel',
    history: 'none',
    enqueue: 'confirmed; a returned message is an event, not an error of its publish',
    settle: 'acked, without a barrier',
  },
  probe: amqpProbe,
  async install(url) {
    const connection = await open(url);
    await connection.queueDeclare(declaration);
    await connection.close();
  },
  async producer(url) {
    const connection = await open(url);
    const publisher = connection.createPublisher({ confirm: true });
    return {
      enqueue: (payload) => publisher.send(envelope, payload),
      enqueueMany: (payloads) => Promise.all(payloads.map((payload) => publisher.send(envelope, payload))),
      async close() {
        await publisher.close();
        await connection.close();
      },
    };
  },
  async worker(url, mode, concurrency, handler) {
    const connection = await open(url);
    const prefetchCount = mode === 'fast' ? prefetch : 2 * concurrency;
    const consumer = connection.createConsumer(
      { queue, queueOptions: declaration, concurrency, qos: { prefetchCount } },
      (message) => handler(message.body as Payload),
    );
    consumer.on('error', endRun);
    return {
      async stop() {
        await consumer.close();
        await connection.close();
      },
    };
  },
};
