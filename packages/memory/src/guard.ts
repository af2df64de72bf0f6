import type { Guard, GuardOptions } from '@millrace/core';
import { readGuardOptions } from '@millrace/core/adapter';
import { type MemoryBroker, makeStoreBroker } from './memory-broker.ts';
import type { MemoryBrokerOptions } from './options.ts';
import type { MemoryTransaction } from './transaction.ts';

/** Options of {@link memoryGuard}: those of `memoryBroker`, and what it holds. */
export interface MemoryGuardOptions extends MemoryBrokerOptions, GuardOptions {}

/** A guard whose tasks live in this process. */
export interface MemoryGuard extends Guard<MemoryTransaction> {
  readonly kind: 'memory';
  readonly broker: MemoryBroker;
}

/**
 * Holds the tasks of a transport in this process: for tests, and as the executable specification of a guard. Transport
 * brokers of several processes need a store they share, as Postgres and Redis are.
 * @throws ValidationError naming the option
 */
export function memoryGuard(options: MemoryGuardOptions = {}): MemoryGuard {
  const { mode, holds, store } = readGuardOptions(options);
  const broker = makeStoreBroker(store, 'memoryGuard');
  return { kind: 'memory', mode, holds, broker, overdue: (request) => broker.overdue(request) };
}
