import type { Guard, GuardOptions } from '@millrace/core';
import { readGuardOptions } from '@millrace/core/adapter';
import type { RedisBrokerOptions } from './options.ts';
import { makeStoreBroker, type RedisBroker } from './redis-broker.ts';

/** Options of {@link redisGuard}: those of `redisBroker`, and what it holds. */
export type RedisGuardOptions = RedisBrokerOptions & GuardOptions;

/** A guard whose tasks live in Redis. */
export interface RedisGuard extends Guard {
  readonly kind: 'redis';
  readonly broker: RedisBroker;
}

/**
 * Holds the tasks of a transport in Redis 6.2 or newer, or Valkey: they can then be unique, looked up and controlled.
 * No worker of the store itself may use the same prefix.
 * @throws ValidationError naming the option, ConfigurationError for a URL that is none
 */
export function redisGuard(options: RedisGuardOptions): RedisGuard {
  const { mode, holds, store } = readGuardOptions(options);
  const broker = makeStoreBroker(store as RedisBrokerOptions, 'redisGuard');
  return { kind: 'redis', mode, holds, broker, overdue: (request) => broker.overdue(request) };
}
