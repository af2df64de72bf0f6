import { type Channel, connect, type Options } from 'amqplib';
import { listenerOn } from '../processor-time.ts';
import type { Probe } from '../subject.ts';
import type { Backend } from './backend.ts';

/** What subjects put tasks into; ours has names of its own. */
export const taskQueue = 'bench';
const queues = [taskQueue, 'millrace.q.default', 'millrace.dead'];

const defaultPort = 5672;
/** By then the server has put back what a closed channel held. */
const putBackMs = 300;

/** How every subject connects: otherwise frames above 2 KB wait for an acknowledgement by TCP. */
export const socketOptions: { readonly noDelay: boolean } = { noDelay: true };

/** A queue as every subject declares it. */
export const quorumQueue: Options.AssertQueue = {
  durable: true,
  arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 1000 },
};

/** One virtual host, whose queues of ours are deleted before each run. */
export async function amqpBackend(url: string): Promise<Backend> {
  const found = await Promise.all(queues.map((queue) => readyIn(url, queue)));
  // Deleting queues that somebody uses would be a bad way to say that the address is wrong.
  const taken = queues.find((_, index) => found[index] !== undefined);
  if (taken !== undefined) {
    throw new Error(`the virtual host already has a queue ${taken}; name an empty one: amqp://host:5672/bench`);
  }
  const deleteQueues = (): Promise<void> =>
    withChannel(url, async (channel) => {
      for (const queue of queues) await channel.deleteQueue(queue);
    });
  return {
    name: 'amqp',
    async facts() {
      const connection = await connect(url, socketOptions);
      const { version } = connection.connection.serverProperties;
      await connection.close();
      return { name: 'RabbitMQ', version, settings: { queues: 'quorum', TCP_NODELAY: 'on' } };
    },
    serverPid: async () => listenerOn(Number(new URL(url).port || defaultPort)),
    async fresh(_subject, install) {
      await deleteQueues();
      await install(url);
      return url;
    },
    settle: async () => {},
    close: deleteQueues,
  };
}

/**
 * Counts the messages in the queues of all subjects; the others have none. The server tells exactly and at once only
 * what is ready: ask when no worker is there.
 */
export async function amqpProbe(url: string): Promise<Probe> {
  return {
    async left() {
      await new Promise((resolve) => setTimeout(resolve, putBackMs));
      const ready = await Promise.all(queues.map((queue) => readyIn(url, queue)));
      return ready.reduce<number>((sum, count) => sum + (count ?? 0), 0);
    },
    close: async () => {},
  };
}

/** How many messages are ready; undefined when there is no such queue. */
function readyIn(url: string, queue: string): Promise<number | undefined> {
  return withChannel(url, (channel) => {
    // Asking for a queue that is not there closes the channel.
    channel.on('error', () => {});
    return channel.checkQueue(queue).then(
      ({ messageCount }) => messageCount,
      (error: { readonly code?: number }) => {
        if (error.code === 404) return undefined;
        throw error;
      },
    );
  });
}

async function withChannel<T>(url: string, use: (channel: Channel) => Promise<T>): Promise<T> {
  const connection = await connect(url, socketOptions);
  try {
    return await use(await connection.createChannel());
  } finally {
    await connection.close();
  }
}
