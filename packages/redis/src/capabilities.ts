import type { Capabilities } from '@millrace/core';
import type { StoreSettings } from './options.ts';
import type { ServerFacts } from './server-facts.ts';

const oneHundredYearsMs = 3_155_760_000_000;

/** How often workers call `maintain`, and thereby the longest a task of a dead session waits beyond its end. */
const sweepMs = 1_000;

/** What a broker can do on the server it found. */
export function redisCapabilities(settings: StoreSettings, facts: ServerFacts): Capabilities {
  return deepFreeze<Capabilities>({
    profile: 'transport',
    durability: facts.durability,
    clock: 'server',
    timePrecisionMs: 1,
    delay: { maxMs: oneHundredYearsMs, granularityMs: 1 },
    priority: { levels: 10, strict: true },
    order: 'fifo',
    settle: { confirmedBy: 'reply', retryAtomic: true },
    session: { minTtlMs: 500, maxTtlMs: 86_400_000, sweepMs },
    batch: { maxEnqueue: 10_000, maxClaim: 1_000, enqueueAtomic: false },
    idempotentIds: true,
    claimByName: true,
    claimById: true,
    unique: { until: ['started', 'settled'], replace: true },
    transactions: false,
    reports: { progress: true, checkpoint: true, log: true, begun: true },
    tasks: {
      get: true,
      list: true,
      count: true,
      cancel: ['waiting', 'running'],
      pause: ['waiting', 'running'],
      rerun: true,
      reschedule: true,
      update: true,
      remove: true,
      wait: true,
      events: false,
    },
    queues: { pause: 'global', counts: 'exact', purge: true },
    schedules: false,
    groups: false,
    wakeup: { push: true, pollMs: settings.pollMs },
    payload: { maxBytes: settings.maxPayloadBytes },
    retention: { succeededMs: settings.succeededMs, failedMs: settings.failedMs },
  });
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null) deepFreeze(member);
  }
  return Object.freeze(value);
}
