import type { Capabilities } from '@millrace/core';
import { delayUnitMs, type QueueType } from './cascade.ts';
import type { AmqpSettings } from './options.ts';
import type { ServerFacts } from './server-facts.ts';
import { longestTtlMs, shortestTtlMs } from './session.ts';

const oneHundredYearsMs = 3_155_760_000_000;

/** What RabbitMQ alone can do, on the server that was found. Nothing here needs a record of a task. */
export function amqpCapabilities(settings: AmqpSettings, facts: ServerFacts, type: QueueType): Capabilities {
  return deepFreeze<Capabilities>({
    profile: 'transport',
    durability: 'node',
    // Delays and sessions are the server's; instants (runAt, expires) are compared with the clock of this process.
    clock: 'process',
    timePrecisionMs: 1,
    delay: { maxMs: oneHundredYearsMs, granularityMs: delayUnitMs },
    priority: priorityOf(facts, type),
    // A task that is handed back goes to the end of its queue.
    order: 'best-effort',
    settle: { confirmedBy: 'barrier', retryAtomic: false },
    session: { minTtlMs: shortestTtlMs, maxTtlMs: longestTtlMs(facts.heartbeatSeconds), sweepMs: 1_000 },
    // Confirms come one by one, and a call waits for the last of its own: the server must have others to work on.
    batch: { maxEnqueue: 10_000, maxClaim: 1_000, enqueueAtomic: false, inFlight: 8 },
    idempotentIds: false,
    claimByName: false,
    claimById: false,
    unique: false,
    transactions: false,
    reports: { progress: false, checkpoint: false, log: false, begun: false },
    tasks: {
      get: false,
      list: false,
      count: false,
      cancel: [],
      pause: [],
      rerun: false,
      reschedule: false,
      update: false,
      remove: false,
      wait: false,
      events: false,
    },
    queues: { pause: false, counts: 'ready-only', purge: false },
    schedules: false,
    groups: false,
    wakeup: { push: true, pollMs: 1_000 },
    payload: { maxBytes: settings.maxPayloadBytes },
    retention: { succeededMs: 0, failedMs: settings.deadRetentionMs },
  });
}

function priorityOf(facts: ServerFacts, type: QueueType): Capabilities['priority'] {
  if (type === 'classic') return { levels: 10, strict: false };
  if (facts.quorumPriorities === 'strict') return { levels: 10, strict: false };
  return { levels: facts.quorumPriorities === 'two' ? 2 : 1, strict: false };
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null) deepFreeze(member);
  }
  return Object.freeze(value);
}
