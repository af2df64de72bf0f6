import { type Broker, type Capabilities, UnsupportedError } from '@millrace/core';
import type { BrokerHarness } from '../src/harness.ts';

const capabilities: Capabilities = {
  profile: 'transport',
  durability: 'none',
  clock: 'process',
  timePrecisionMs: 1,
  delay: { maxMs: 0, granularityMs: 1 },
  priority: { levels: 1, strict: false },
  order: 'best-effort',
  settle: { confirmedBy: 'memory', retryAtomic: true },
  session: { minTtlMs: 100, maxTtlMs: 1_000, sweepMs: 100 },
  batch: { maxEnqueue: 1, maxClaim: 1, enqueueAtomic: false },
  idempotentIds: false,
  claimByName: true,
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
  queues: { pause: false, counts: 'approximate', purge: false },
  schedules: false,
  groups: false,
  wakeup: { push: true, pollMs: 1 },
  payload: { maxBytes: 1 },
  retention: { succeededMs: null, failedMs: null },
};

const refuse = (): Promise<never> => Promise.reject(new UnsupportedError('everything', 'it can only open and close'));

function emptyBroker(open: () => Promise<Capabilities>): Broker<unknown> {
  return {
    kind: 'empty',
    open,
    enqueue: refuse,
    openSession: refuse,
    maintain: refuse,
    queues: { stats: refuse, pause: refuse, resume: refuse, purge: refuse },
    health: async () => ({ state: 'ready' }),
    close: async () => {},
  };
}

/** A harness of a broker that can only be opened and closed: enough for tests of the suite itself. */
export function emptyHarness(open: () => Promise<Capabilities> = async () => capabilities): BrokerHarness {
  return { name: 'empty', connect: () => emptyBroker(open), drop: async () => {}, clock: standingClock };
}

function standingClock(): ReturnType<NonNullable<BrokerHarness['clock']>> {
  let now = 0;
  return {
    now: () => now,
    monotonic: () => now,
    setTimer: () => ({}),
    clearTimer: () => {},
    advance: (ms) => {
      now += ms;
    },
  };
}
