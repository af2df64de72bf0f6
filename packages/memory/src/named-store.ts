import { type Clock, systemClock } from '@millrace/core';
import { StoreState } from './store.ts';

const stores = new Map<string, StoreState>();

/** The store every broker of this process gets for that name. It lasts as long as the process. */
export function namedStore(name: string, clock: Clock = systemClock): StoreState {
  const store = stores.get(name) ?? new StoreState(clock);
  stores.set(name, store);
  return store;
}
