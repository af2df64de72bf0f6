import type { Channel } from 'amqplib';

/**
 * Delays without a plugin: a flat cascade of queues whose messages expire. A delay is written as six digits of base 16
 * in units of 100 ms; a message waits once per digit that is not zero, in the queue of that level and digit, and moves
 * on by dead-lettering. All messages of a queue wait equally long, so none is held back by one before it. The queues
 * are shared by all namespaces of a vhost; dead-lettering from quorum queues is at-least-once.
 */
const levels = 6;
const base = 16;
/** Granularity of delays, in milliseconds. */
export const delayUnitMs = 100;
/** The longest delay one pass holds; longer ones go through again. 19.4 days. */
export const longestPassMs: number = (base ** levels - 1) * delayUnitMs;

/** The queue type decides whether a delayed message survives a crash of the server, so each has a cascade of its own. */
export type QueueType = 'quorum' | 'classic';

const prefixOf = (type: QueueType): string => (type === 'quorum' ? 'millrace.delay' : 'millrace.delay.classic');
const level = (type: QueueType, number: number): string => `${prefixOf(type)}.${number}`;
const digitQueue = (type: QueueType, number: number, digit: number): string => `${level(type, number)}.${digit}`;
/** Made last: where it is, everything is. */
const markerOf = (type: QueueType): string => `${prefixOf(type)}.complete`;

/** Where a delayed message is published to. */
export function delayEntry(type: QueueType): string {
  return level(type, levels - 1);
}

/** Where messages come out, keyed by six digits and the name of the queue they are for. */
export function delayExit(type: QueueType): string {
  return `${prefixOf(type)}.out`;
}

/** The key that binds a queue to the exit. */
export function exitKey(queue: string): string {
  return `${'*.'.repeat(levels)}${queue}`;
}

/** The key that takes a message to `queue` after `delayMs`, rounded up: never early. At most `longestPassMs`. */
export function delayKey(delayMs: number, queue: string): string {
  let units = Math.min(Math.ceil(delayMs / delayUnitMs), base ** levels - 1);
  const digits: number[] = [];
  for (let position = 0; position < levels; position++) {
    digits.unshift(units % base);
    units = Math.floor(units / base);
  }
  return `${digits.join('.')}.${queue}`;
}

/** Whether the cascade is there. The channel is closed by the server if not. */
export async function checkCascade(channel: Channel, type: QueueType): Promise<void> {
  await channel.checkExchange(markerOf(type));
}

/** Makes the cascade, or what is missing of it. Safe to repeat and to do from many clients at once. */
export async function buildCascade(channel: Channel, type: QueueType): Promise<void> {
  const durable = { durable: true };
  await channel.assertExchange(delayExit(type), 'topic', durable);
  for (let at = 0; at < levels; at++) await channel.assertExchange(level(type, at), 'topic', durable);
  for (let at = 0; at < levels; at++) {
    for (let digit = 1; digit < base; digit++) {
      await channel.assertQueue(digitQueue(type, at, digit), { durable: true, arguments: waiting(type, at, digit) });
    }
    await channel.bindExchange(delayExit(type), level(type, at), patternOf(at, -1));
    for (let lower = 0; lower <= at; lower++) {
      for (let digit = 1; digit < base; digit++) {
        await channel.bindQueue(digitQueue(type, lower, digit), level(type, at), patternOf(at, lower, digit));
      }
    }
  }
  await channel.assertExchange(markerOf(type), 'topic', durable);
}

function waiting(type: QueueType, at: number, digit: number): Record<string, unknown> {
  return {
    'x-queue-type': type,
    'x-message-ttl': digit * base ** at * delayUnitMs,
    'x-dead-letter-exchange': at === 0 ? delayExit(type) : level(type, at - 1),
    ...(type === 'quorum' && {
      'x-dead-letter-strategy': 'at-least-once',
      'x-overflow': 'reject-publish',
      // The default of 4.x would drop messages after 20 deliveries; nothing here is ever delivered.
      'x-delivery-limit': 1_000_000,
    }),
  };
}

/**
 * At the exchange of level `from`: higher digits have been waited for, those down to `lowest` are zero, then comes the
 * digit. Without one, all that are left are zero.
 */
function patternOf(from: number, lowest: number, digit?: number): string {
  const words: string[] = [];
  for (let position = levels - 1; position > lowest; position--) words.push(position > from ? '*' : '0');
  if (digit !== undefined) words.push(String(digit));
  return [...words, '#'].join('.');
}
