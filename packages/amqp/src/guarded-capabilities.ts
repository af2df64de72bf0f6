import type { Capabilities, Guard } from '@millrace/core';

const durabilities = ['none', 'node', 'replicated'] as const;

/**
 * What a guard and RabbitMQ can do together: what the store knows, within the limits of both. With mode `needed`, what
 * is said of single tasks holds for those the guard has, and what is said of whole queues for all of them.
 */
export function guardedCapabilities(mode: Guard['mode'], store: Capabilities, messages: Capabilities): Capabilities {
  const always = mode === 'always';
  return deepFreeze<Capabilities>({
    ...store,
    // An instant is compared by whoever holds the task.
    clock: always ? store.clock : messages.clock,
    durability:
      durabilities[lesser(durabilities.indexOf(store.durability), durabilities.indexOf(messages.durability))] ?? 'none',
    timePrecisionMs: Math.max(store.timePrecisionMs, messages.timePrecisionMs),
    delay: {
      maxMs: lesser(store.delay.maxMs, messages.delay.maxMs),
      granularityMs: Math.max(store.delay.granularityMs, messages.delay.granularityMs),
    },
    priority: { levels: lesser(store.priority.levels, messages.priority.levels), strict: false },
    order: 'best-effort',
    session: {
      minTtlMs: Math.max(store.session.minTtlMs, messages.session.minTtlMs),
      maxTtlMs: lesser(store.session.maxTtlMs, messages.session.maxTtlMs),
      // Taken back by the store first, then brought by the message that looks again about once a second.
      sweepMs: store.session.sweepMs + messages.session.sweepMs,
    },
    batch: {
      maxEnqueue: lesser(store.batch.maxEnqueue, messages.batch.maxEnqueue),
      maxClaim: lesser(store.batch.maxClaim, messages.batch.maxClaim),
      enqueueAtomic: false,
    },
    idempotentIds: always && store.idempotentIds,
    claimByName: false,
    claimById: false,
    queues: always ? store.queues : { pause: false, counts: 'approximate', purge: false },
    // Shares between groups are kept where tasks are chosen, and here the queue chooses.
    groups: false,
    wakeup: messages.wakeup,
    payload: { maxBytes: lesser(store.payload.maxBytes, messages.payload.maxBytes) },
  });
}

function lesser(one: number, other: number): number {
  return Math.min(one, other);
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null) deepFreeze(member);
  }
  return Object.freeze(value);
}
