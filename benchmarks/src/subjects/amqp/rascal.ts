import rascalModule, { type BrokerAsPromised } from 'rascal';
import { amqpProbe, quorumQueue, taskQueue } from '../../backends/amqp.ts';
import type { Payload } from '../../payload.ts';
import type { Mode, Subject } from '../../subject.ts';
import { endRun, pause } from '../runners.ts';

const queue = taskQueue;
/** Each publish borrows a channel until it is confirmed: as many channels as the load has publishes in flight. */
const channels = 100;
const virtualHost = 'bench';
/** Quorum queues lose acks in flight when a channel closes at once. */
const lingerMs = 100;

async function open(url: string, mode: Mode, prefetch: number): Promise<BrokerAsPromised> {
  const confirmPool = mode === 'fast' ? { max: channels, min: channels, autostart: true } : {};
  const broker = await rascalModule.BrokerAsPromised.create({
    vhosts: {
      [virtualHost]: {
        connection: { url, options: { heartbeat: 10, channelMax: channels + 10 }, socketOptions: { noDelay: true } },
        queues: { [queue]: { options: quorumQueue } },
        publicationChannelPools: { confirmPool },
      },
    },
    publications: { enqueue: { vhost: virtualHost, queue, confirm: true } },
    subscriptions: { work: { vhost: virtualHost, queue, prefetch } },
  });
  broker.on('error', (error) => console.error(error));
  return broker;
}

async function publish(broker: BrokerAsPromised, payload: Payload): Promise<void> {
  const publication = await broker.publish('enqueue', payload);
  return new Promise((resolve, reject) => {
    publication.on('success', resolve).on('error', reject).on('return', reject);
  });
}

export const rascal: Subject = {
  name: 'rascal',
  kind: 'peer',
  batched: false,
  settings: {
    fast: `confirm publications over a pool of ${channels} channels; prefetch the concurrency, which is how it limits it; noDelay`,
    default: 'as it comes, with prefetch the concurrency and noDelay',
  },
  guarantees: {
    fence: 'its ack is refused with its channel',
    history: 'none',
    enqueue: 'confirmed, and not returned',
    settle: 'acked, without a barrier',
  },
  probe: amqpProbe,
  async install(url) {
    const broker = await open(url, 'default', 1);
    await broker.shutdown();
  },
  async producer(url, mode) {
    const broker = await open(url, mode, 1);
    return {
      enqueue: (payload) => publish(broker, payload),
      enqueueMany: (payloads) => Promise.all(payloads.map((payload) => publish(broker, payload))),
      close: () => broker.shutdown(),
    };
  },
  async worker(url, mode, concurrency, handler) {
    const broker = await open(url, mode === 'fast' ? 'default' : mode, concurrency);
    const subscription = await broker.subscribe('work');
    subscription.on('error', endRun);
    subscription.on('message', (_message, content, ackOrNack) => {
      handler(content as Payload).then(() => ackOrNack(), ackOrNack);
    });
    return {
      async stop() {
        await subscription.cancel();
        await pause(lingerMs);
        await broker.shutdown();
      },
    };
  },
};
