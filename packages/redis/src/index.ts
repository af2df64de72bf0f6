/**
 * Redis and Valkey as a Millrace broker: one server, behind Sentinels, or a cluster.
 * @module
 */
export { type RedisGuard, type RedisGuardOptions, redisGuard } from './guard.ts';
export type {
  ConnectionOptions,
  DurabilityOptions,
  RedisBrokerOptions,
  RetentionOptions,
  StoreOptions,
} from './options.ts';
export { adapter } from './redis-adapter.ts';
export { type RedisBroker, redisBroker } from './redis-broker.ts';
