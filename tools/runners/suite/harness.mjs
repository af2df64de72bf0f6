// The memory broker as somebody outside of this repository would put it under test: published packages, nothing else.
import { createMemoryStore, memoryBroker } from '@millrace/memory';
import { VirtualClock } from '@millrace/memory/testing';

const stores = new Map();
const clocks = new Map();

function storeOf(namespace) {
  // `name_1` is a neighbour in the same scenario, and lives in the same time.
  const clock = clocks.get(namespace) ?? clocks.get(namespace.replace(/_\d+$/, ''));
  if (!stores.has(namespace)) stores.set(namespace, createMemoryStore({ clock }));
  return stores.get(namespace);
}

export const harness = {
  name: 'memory',
  clock(namespace) {
    clocks.set(namespace, new VirtualClock());
    return clocks.get(namespace);
  },
  connect: ({ namespace, clock }) => memoryBroker({ store: storeOf(namespace), clock }),
  async drop({ namespace }) {
    stores.delete(namespace);
    clocks.delete(namespace);
  },
};
