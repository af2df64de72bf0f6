import { type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib';
import { amqpProbe, quorumQueue, socketOptions, taskQueue } from '../../backends/amqp.ts';
import type { Payload } from '../../payload.ts';
import type { Handler, Producer, RunningWorker, Subject } from '../../subject.ts';
import { pause } from '../runners.ts';

const queue = taskQueue;
/** Enough to keep the connection busy whatever the concurrency. */
const prefetch = 500;
/** Quorum queues lose acks in flight when a channel closes at once. */
const lingerMs = 100;

/** What careful code on amqplib comes to, with the guarantees that ours gives. */
export const raw: Subject = {
  name: 'raw',
  kind: 'ceiling',
  batched: true,
  settings: {
    fast: `amqplib, prefetch ${prefetch}, one ack a task, one barrier (queue.declare passive) at a time for the acks before it`,
    default: 'the same',
  },
  guarantees: {
    fence: 'its ack is refused with its channel',
    history: 'none',
    enqueue: 'confirmed, and not returned',
    settle: 'acked, and a barrier answered',
  },
  probe: amqpProbe,
  async install(url) {
    const connection = await connect(url, socketOptions);
    const channel = await connection.createChannel();
    await channel.assertQueue(queue, quorumQueue);
    await connection.close();
  },
  async producer(url): Promise<Producer> {
    const connection = await connect(url, socketOptions);
    const channel = await connection.createConfirmChannel();
    const publisher = new Publisher(channel);
    return {
      enqueue: (payload) => publisher.publish(payload),
      enqueueMany: (payloads) => Promise.all(payloads.map((payload) => publisher.publish(payload))),
      async close() {
        await channel.close();
        await connection.close();
      },
    };
  },
  async worker(url, _mode, concurrency, handler): Promise<RunningWorker> {
    const connection = await connect(url, socketOptions);
    const channel = await connection.createChannel();
    await channel.prefetch(prefetch);
    const waiting: ConsumeMessage[] = [];
    let running = 0;
    let acked = false;
    let barrier: Promise<void> | undefined;

    function afterAck(): void {
      acked = true;
      // Whatever is acked while one barrier is under way shares the next.
      barrier ??= (async () => {
        while (acked) {
          acked = false;
          await channel.checkQueue(queue);
        }
        barrier = undefined;
      })();
    }

    async function run(): Promise<void> {
      running += 1;
      for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
        await handle(message, handler);
        channel.ack(message);
        afterAck();
      }
      running -= 1;
    }

    const { consumerTag } = await channel.consume(queue, (message) => {
      if (message === null) throw new Error('the server cancelled the consumer');
      waiting.push(message);
      if (running < concurrency) void run();
    });
    return {
      async stop() {
        await channel.cancel(consumerTag);
        await barrier;
        await pause(lingerMs);
        await channel.close();
        await connection.close();
      },
    };
  },
};

const handle = (message: ConsumeMessage, handler: Handler): Promise<void> =>
  handler(JSON.parse(message.content.toString()) as Payload);

/** Publishes with confirms; a message nobody could route is an error of its own publish. */
class Publisher {
  readonly #channel: ConfirmChannel;
  readonly #returned = new Set<string>();
  #lastId = 0;

  constructor(channel: ConfirmChannel) {
    this.#channel = channel;
    // The return of a message comes before its confirm.
    channel.on('return', (message) => this.#returned.add(String(message.properties.messageId)));
  }

  publish(payload: Payload): Promise<void> {
    const messageId = String(++this.#lastId);
    const options = { persistent: true, mandatory: true, messageId, contentType: 'application/json' };
    return new Promise((resolve, reject) => {
      this.#channel.sendToQueue(queue, Buffer.from(JSON.stringify(payload)), options, (error: unknown) => {
        if (error) reject(error);
        else if (this.#returned.delete(messageId)) reject(new Error(`${messageId} was returned`));
        else resolve();
      });
    });
  }
}
