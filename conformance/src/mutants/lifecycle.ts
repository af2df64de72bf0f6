import { type Capabilities, type Clock, ConfigurationError } from '@millrace/core';
import { brokenBroker, type Mutant } from './mutant.ts';

const stoppedTimers = (clock: Clock): Clock => ({
  now: () => clock.now(),
  monotonic: () => 0,
  setTimer: () => ({}),
  clearTimer: () => {},
});

/** Defects of opening, closing, sessions, maintenance and capabilities. */
export const lifecycleMutants: readonly Mutant[] = [
  brokenBroker('close-leaks', 'closing a client leaves its sessions alive', 'LSE-17', () => ({
    broker: () => ({ close: async () => {} }),
  })),
  brokenBroker('capability-left-out', 'a capability is neither claimed nor denied', 'MOD-01', (scratch, inner) => ({
    broker: () => ({
      async open() {
        const { claimById: _left, ...rest } = await inner.open();
        return scratch.remember('capabilities', () => Object.freeze(rest)) as Capabilities;
      },
    }),
  })),
  brokenBroker('close-twice-throws', 'closing again throws', 'MOD-04', (_scratch, inner) => {
    let closed = false;
    return {
      broker: () => ({
        async close() {
          if (closed) throw new Error('closed already');
          closed = true;
          await inner.close();
        },
      }),
    };
  }),
  brokenBroker('end-keeps-tasks', 'a session that ends keeps what it held until its ttl is over', 'LSE-12', () => ({
    session: () => ({ end: async () => {} }),
  })),
  brokenBroker('usable-before-open', 'calls before open do something', 'MOD-03', (_scratch, inner) => ({
    broker: () => ({
      async enqueue(tasks, options) {
        if ((await inner.health()).state === 'down') await inner.open();
        return inner.enqueue(tasks, options);
      },
    }),
  })),
  brokenBroker('health-lies', 'health is ready whatever happens', 'MOD-19', () => ({
    broker: () => ({ health: async () => ({ state: 'ready' }) }),
  })),
  brokenBroker('error-code-wrong', 'an invalid claim is a configuration error', 'BAD-03', () => ({
    session: (inner) => ({
      claim: (request) =>
        inner.claim(request).catch((error: unknown) => {
          throw new ConfigurationError('the claim was refused', { cause: error });
        }),
    }),
  })),
  brokenBroker('capabilities-loose', 'capabilities can be changed', 'MOD-01', (_scratch, inner) => ({
    broker: () => ({ open: async () => structuredClone(await inner.open()) }),
  })),
  brokenBroker(
    'capability-denied',
    'a capability that is not claimed works all the same',
    'MOD-02',
    (_scratch, inner) => {
      const denied = { ...Object.freeze({}) };
      return {
        broker: () => ({
          async open() {
            const capabilities = await inner.open();
            return Object.assign(denied, capabilities, { unique: false });
          },
        }),
      };
    },
  ),
  brokenBroker('capability-claimed', 'update is claimed, answered applied, and does nothing', 'STM-15', () => ({
    tasks: (inner) => ({
      update: async (ids) => (await inner.get(ids)).map((record) => (record === undefined ? 'not-found' : 'applied')),
    }),
  })),
  brokenBroker('sessions-never-end', 'nobody takes back the tasks of a dead session', 'LSE-02', () => ({
    broker: () => ({ maintain: async () => ({ reclaimed: 0, expired: 0, pruned: 0, more: false }) }),
  })),
  brokenBroker(
    'maintain-takes-from-the-living',
    'a sweep takes tasks from sessions that work',
    'LSE-20',
    (scratch, inner) => ({
      broker: () => ({
        async maintain(budget) {
          for (const { lease, session } of scratch.held.values()) await session.settle([{ type: 'release', lease }]);
          return inner.maintain(budget);
        },
      }),
    }),
  ),
  brokenBroker(
    'maintain-un-finishes',
    'a sweep that raced with a settle puts finished tasks back',
    'MOD-18',
    (scratch, inner) => ({
      broker: () => ({
        async maintain(budget) {
          const report = await inner.maintain(budget);
          await inner.tasks?.rerun([...scratch.held.keys()]);
          return report;
        },
      }),
    }),
  ),
  brokenBroker('retention-eats-the-living', 'pruning removes tasks that wait', 'OBS-12', (scratch, inner) => ({
    broker: () => ({
      async maintain(budget) {
        const report = await inner.maintain(budget);
        if (report.pruned > 0) await inner.tasks?.remove(scratch.enqueued.map((task) => task.id));
        return report;
      },
    }),
  })),
  brokenBroker('ttl-unchecked', 'a ttl below the limit is raised silently', 'LSE-13', () => ({
    broker: (inner) => ({
      openSession: (options) => inner.openSession({ ...options, ttlMs: Math.max(1_000, options.ttlMs || 0) }),
    }),
  })),
  {
    name: 'heartbeat-missing',
    defect: 'sessions do not beat',
    caughtBy: 'LSE-03',
    breakHarness: (harness) => ({
      ...harness,
      connect: (target) => harness.connect({ ...target, clock: stoppedTimers(target.clock) }),
    }),
  },
  {
    name: 'namespaces-meet',
    defect: 'all namespaces are one',
    caughtBy: 'MOD-06',
    breakHarness: (harness) => ({
      ...harness,
      connect: (target) => harness.connect({ ...target, namespace: target.namespace.replace(/(_\d+)_\d+$/, '$1') }),
    }),
  },
  {
    name: 'namespace-per-client',
    defect: 'every client sees only its own tasks',
    caughtBy: 'MOD-06',
    breakHarness(harness) {
      let clients = 0;
      return {
        ...harness,
        connect: (target) =>
          harness.connect({ ...target, namespace: `${target.namespace.slice(0, 30)}_own${++clients}` }),
      };
    },
  },
];
