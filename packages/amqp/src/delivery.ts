import type { Delivery } from '@millrace/core';
import type { ConsumeMessage, GetMessage } from 'amqplib';
import type { Held } from './held.ts';
import type { TaskMessage } from './message.ts';

/** A message as amqplib hands it over, pushed or fetched. */
export type Arrived = ConsumeMessage | GetMessage;

/** The task as it was before this delivery; only the fence has grown. */
export function released({ message, lease }: Held): TaskMessage {
  return { ...message, attempt: lease.attempt - 1, fence: lease.fence };
}

/** How often a message was given out before, as far as the server says. */
export function deliveriesBefore({ fields, properties }: Arrived, type: 'quorum' | 'classic'): number {
  if (!fields.redelivered) return 0;
  if (type === 'classic') return 1;
  const count: unknown = properties.headers?.['x-delivery-count'];
  return typeof count === 'number' ? count : 1;
}

/** The server reads these again and would drop a message that seems to go in circles. */
export function withoutDeaths(headers: Record<string, unknown> | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers ?? {}).filter(
      ([name]) => !/^x-((first|last)-death|death|delivery-count|acquired-count)/.test(name),
    ),
  );
}

/** What the worker gets of it. */
export function toDelivery({ message, lease, line }: Held): Delivery {
  const delivery: { -readonly [K in keyof Delivery]: Delivery[K] } = {
    lease,
    name: message.name,
    queue: line.queue,
    // A copy: what a handler does to its headers must not travel on with the next attempt.
    headers: { ...message.headers },
    priority: message.priority,
    maxAttempts: message.maxAttempts,
    version: message.version,
    createdAt: message.createdAt,
    runAt: message.runAt,
  };
  if (message.input !== undefined) delivery.input = message.input;
  if (message.timeoutMs !== undefined) delivery.timeoutMs = message.timeoutMs;
  if (message.key !== undefined) delivery.key = message.key;
  if (message.group !== undefined) delivery.group = message.group;
  if (message.owner !== undefined) delivery.owner = message.owner;
  return delivery;
}
