/**
 * A Millrace broker in memory: the executable specification of the contract, for tests and trials.
 *
 * @module
 */
export { memoryAdapter, memoryAdapter as adapter } from './adapter.ts';
export { type MemoryGuard, type MemoryGuardOptions, memoryGuard } from './guard.ts';
export { type MemoryBroker, memoryBroker } from './memory-broker.ts';
export type { MemoryBrokerOptions, RetentionOptions } from './options.ts';
export { createMemoryStore, type MemoryDump, type MemoryStore } from './store.ts';
export type { MemoryTransaction } from './transaction.ts';
