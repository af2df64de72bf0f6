import { type Channel, type ConfirmChannel, type ConsumeMessage, connect, type Options } from 'amqplib';

/** What the header `x-millrace` holds, as far as a consumer cares. */
interface Envelope {
  readonly queue?: string;
  readonly attempt?: number;
  readonly fence?: number;
  readonly maxAttempts?: number | 'unlimited';
  readonly headers?: Readonly<Record<string, string>>;
  readonly errors?: readonly unknown[];
}

/** One run, as a handler sees it. */
export interface RawRun {
  readonly id: string;
  readonly name: string;
  readonly attempt: number;
  readonly input: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/** A consumer that can be stopped. */
export interface RawConsumer {
  stop(): Promise<void>;
}

const retryKey = '0.0.0.0.0.5';

/**
 * Runs tasks of a queue that exists. A handler that throws is given the task again half a second later, until its
 * attempts are used up; then the task is dead.
 */
export async function consume(
  url: string,
  namespace: string,
  queue: string,
  handler: (run: RawRun) => Promise<void>,
): Promise<RawConsumer> {
  const connection = await connect(url, { noDelay: true });
  const channel = await connection.createChannel();
  // Retries on a connection of their own: when it is blocked, acknowledgements still get through.
  const publishing = await connect(url, { noDelay: true });
  const publisher = await publishing.createConfirmChannel();
  const name = `${namespace}.q.${queue}`;
  await channel.prefetch(10);
  const runs = new Set<Promise<void>>();
  const { consumerTag } = await channel.consume(name, (message) => {
    if (message === null) return;
    const run = handle(message, channel, publisher, { namespace, queue, name, handler });
    runs.add(run);
    void run.finally(() => runs.delete(run));
  });
  return {
    async stop() {
      await channel.cancel(consumerTag);
      await Promise.all(runs);
      await publishing.close();
      // Channel first: closing the connection overtakes acknowledgements.
      await channel.close();
      await connection.close();
    },
  };
}

interface Place {
  readonly namespace: string;
  readonly queue: string;
  readonly name: string;
  readonly handler: (run: RawRun) => Promise<void>;
}

async function handle(
  message: ConsumeMessage,
  channel: Channel,
  publisher: ConfirmChannel,
  { namespace, queue, name, handler }: Place,
): Promise<void> {
  const headers = message.properties.headers ?? {};
  const envelope = JSON.parse(String(headers['x-millrace'] ?? '{}')) as Envelope;
  const deliveries = Number(headers['x-delivery-count'] ?? 0);
  const attempt = (envelope.attempt ?? 0) + 1 + deliveries;
  const fence = (envelope.fence ?? 0) + 1 + deliveries;
  const most = envelope.maxAttempts === 'unlimited' ? Number.POSITIVE_INFINITY : (envelope.maxAttempts ?? 5);
  // Among the dead nothing else says which queue it was in.
  const moved = { queue, ...envelope, attempt, fence };
  try {
    if (attempt > most) {
      await publish(publisher, message, '', `${namespace}.dead`, { ...moved, attempt: most, failure: 'lost' });
    } else {
      await handler({
        id: String(message.properties.messageId),
        name: String(message.properties.type),
        attempt,
        input: message.content.length === 0 ? undefined : JSON.parse(message.content.toString()),
        headers: envelope.headers ?? {},
      });
    }
  } catch (error) {
    const failed = { attempt, at: Date.now(), kind: 'error', name: 'Error', message: (error as Error).message };
    const tried = { ...moved, errors: [...(envelope.errors ?? []), failed].slice(-10) };
    if (attempt < most) await publish(publisher, message, 'millrace.delay.5', `${retryKey}.${name}`, tried);
    else await publish(publisher, message, '', `${namespace}.dead`, { ...tried, failure: 'error', diedAt: Date.now() });
  }
  channel.ack(message);
  // Its answer proves that the acknowledgement has arrived.
  await channel.prefetch(10);
}

/** The next copy of a task; only our own header goes with it. Resolves when the server has it. */
function publish(
  publisher: ConfirmChannel,
  message: ConsumeMessage,
  exchange: string,
  key: string,
  envelope: object,
): Promise<void> {
  const { messageId, type, contentType, priority, timestamp } = message.properties;
  const options = { messageId, type, contentType, priority, timestamp, persistent: true, mandatory: true };
  const headers = { 'x-millrace': JSON.stringify(envelope) };
  return new Promise((resolve, reject) => {
    publisher.publish(exchange, key, message.content, { ...options, headers } as Options.Publish, (error: unknown) => {
      if (error === null) resolve();
      else reject(error instanceof Error ? error : new Error('the server refused a retry'));
    });
  });
}
