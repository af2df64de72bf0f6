import type { BrokerHarness, Target } from '@millrace/conformance';
import {
  createMemoryStore,
  type MemoryBroker,
  type MemoryStore,
  type MemoryTransaction,
  memoryBroker,
} from '../src/index.ts';
import { VirtualClock } from '../src/testing/index.ts';

/** What a server is to other brokers: one per namespace, with a clock that no client can stop. */
interface Place {
  readonly store: MemoryStore;
  readonly clock: VirtualClock;
  readonly brokers: MemoryBroker[];
}

const places = new Map<string, Place>();
const clocks = new Map<string, VirtualClock>();

function placeOf({ namespace }: Target): Place {
  const known = places.get(namespace);
  if (known !== undefined) return known;
  // `name_1` is a neighbour in the same scenario, and lives in the same time.
  const clock = clocks.get(namespace) ?? clocks.get(namespace.replace(/_\d+$/, '')) ?? new VirtualClock();
  const place: Place = { store: createMemoryStore({ clock }), clock, brokers: [] };
  places.set(namespace, place);
  return place;
}

/** The memory broker as the conformance suite sees it. */
export const harness: BrokerHarness = {
  name: 'memory',
  clock: (namespace) => {
    const clock = new VirtualClock();
    clocks.set(namespace, clock);
    return clock;
  },
  connect: (target) => {
    const { store, brokers } = placeOf(target);
    const broker = memoryBroker({ store, clock: target.clock });
    brokers.push(broker);
    return broker;
  },
  drop: async ({ namespace }) => {
    places.delete(namespace);
    clocks.delete(namespace);
  },
  hooks: {
    transaction: async (target, body) => {
      const broker = memoryBroker({ store: placeOf(target).store });
      await broker.open();
      try {
        return await broker.transaction((transaction: MemoryTransaction) => body(transaction));
      } finally {
        await broker.close();
      }
    },
    corrupt: async (target, taskId, payload) => corrupt(placeOf(target).store, taskId, payload),
    dump: async (target) => placeOf(target).store.dump(),
    resources: async (target) => {
      const { store, clock } = placeOf(target);
      return { sessions: store.dump().sessions.length, timers: clock.pendingTimers };
    },
  },
};

/** Writes to the store's own copy, which no broker gives out. */
function corrupt(store: MemoryStore, taskId: string, payload: string): void {
  const { find } = store as unknown as { find: (id: string) => { input: string } | undefined };
  const task = find.call(store, taskId);
  if (task === undefined) throw new Error(`there is no task ${taskId}`);
  task.input = payload;
}
