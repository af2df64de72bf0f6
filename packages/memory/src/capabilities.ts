import type { Capabilities } from '@millrace/core';
import type { Retention } from './options.ts';

const oneHundredYearsMs = 3_155_760_000_000;

/** What a memory broker can do. Nothing is found out at run time, so this is known before it is opened. */
export function memoryCapabilities(retention: Retention, maxPayloadBytes: number): Capabilities {
  return deepFreeze<Capabilities>({
    profile: 'transport',
    durability: 'none',
    clock: 'process',
    timePrecisionMs: 1,
    delay: { maxMs: oneHundredYearsMs, granularityMs: 1 },
    priority: { levels: 10, strict: true },
    order: 'fifo',
    settle: { confirmedBy: 'memory', retryAtomic: true },
    session: { minTtlMs: 100, maxTtlMs: 86_400_000, sweepMs: 1_000 },
    batch: { maxEnqueue: 10_000, maxClaim: 1_000, enqueueAtomic: false },
    idempotentIds: true,
    claimByName: true,
    claimById: true,
    unique: { until: ['started', 'settled'], replace: true },
    transactions: true,
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
    wakeup: { push: true, pollMs: 1_000 },
    payload: { maxBytes: maxPayloadBytes },
    retention: { ...retention },
  });
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null) deepFreeze(member);
  }
  return Object.freeze(value);
}
