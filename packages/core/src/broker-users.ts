import type { Broker } from './broker/broker.ts';
import { ValidationError } from './errors.ts';
import { kindOf } from './known-options.ts';

const users = new WeakMap<Broker<unknown>, number>();

/**
 * Counts a client or worker that uses a broker. The returned function takes it back and closes the broker when it
 * was the last one, so that `await using` on clients and workers leaves nothing open, in whatever order they end.
 */
export function useBroker(broker: Broker<unknown>): () => Promise<void> {
  users.set(broker, (users.get(broker) ?? 0) + 1);
  let released: Promise<void> | undefined;
  return () => {
    released ??= release(broker);
    return released;
  };
}

async function release(broker: Broker<unknown>): Promise<void> {
  const left = (users.get(broker) ?? 1) - 1;
  users.set(broker, left);
  if (left === 0) await broker.close();
}

/** Catches the usual slip, a `connect(…)` that was not awaited. @throws ValidationError */
export function checkBroker(value: unknown): void {
  if (typeof (value as { openSession?: unknown } | null | undefined)?.openSession === 'function') return;
  const got = value instanceof Promise ? 'a promise; await it' : kindOf(value);
  throw new ValidationError(`broker must be a broker, such as \`await connect(url)\` gives; got ${got}`, {
    option: 'broker',
  });
}
