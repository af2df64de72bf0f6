import type { Broker } from './broker/broker.ts';

const users = new WeakMap<Broker<unknown>, number>();

/**
 * Counts a client or worker that uses a broker. The returned function takes it back and closes the broker when it
 * was the last one, so that `await using` on clients and workers leaves nothing open, in whatever order they end.
 */
export function useBroker(broker: Broker<unknown>): () => Promise<void> {
  users.set(broker, (users.get(broker) ?? 0) + 1);
  let released = false;
  return async () => {
    if (released) return;
    released = true;
    const left = (users.get(broker) ?? 1) - 1;
    users.set(broker, left);
    if (left === 0) await broker.close();
  };
}
