import type { Capabilities } from '@millrace/core';

const dayMs = 86_400_000;
const control = { rerun: false, reschedule: false, update: false, remove: false, wait: false, events: false };

const claims: Capabilities = {
  ...{ profile: 'transport', durability: 'node', clock: 'process', timePrecisionMs: 1 },
  ...{ idempotentIds: true, claimByName: true, order: 'fifo', priority: { levels: 10, strict: true } },
  ...{ unique: false, transactions: false, schedules: false, groups: false, claimById: false },
  ...{ delay: { maxMs: 36_500 * dayMs, granularityMs: 1 }, payload: { maxBytes: 1_048_576 } },
  settle: { confirmedBy: 'commit', retryAtomic: true },
  session: { minTtlMs: 100, maxTtlMs: dayMs, sweepMs: 1_000 },
  batch: { maxEnqueue: 100, maxClaim: 100, enqueueAtomic: false },
  reports: { progress: true, checkpoint: true, log: true, begun: true },
  tasks: { get: true, list: false, count: false, cancel: [], pause: [], ...control },
  ...{ queues: { pause: false, counts: 'exact', purge: false }, wakeup: { push: true, pollMs: 1_000 } },
  retention: { succeededMs: 7 * dayMs, failedMs: 7 * dayMs },
};

/** What this broker keeps. Everything else is refused. */
export const capabilities: Capabilities = JSON.parse(JSON.stringify(claims), (_key, value) => Object.freeze(value));
