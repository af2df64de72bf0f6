import type { Delivery } from '@millrace/core';
import type { ConsumeMessage, GetMessage } from 'amqplib';
import type { Held } from './intake.ts';
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
  const { id: _id, attempt: _attempt, fence: _fence, errors: _errors, expiresAt: _expiresAt, ...kept } = message;
  const { failure: _failure, diedAt: _diedAt, waitMs: _waitMs, passed: _passed, ...delivery } = kept;
  // A copy: what a handler does to its headers must not travel on with the next attempt.
  return { ...delivery, headers: { ...message.headers }, queue: line.queue, lease };
}
