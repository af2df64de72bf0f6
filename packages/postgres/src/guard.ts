import type { Guard, GuardOptions } from '@millrace/core';
import { readGuardOptions } from '@millrace/core/adapter';
import type { PostgresTransaction } from './enqueue.ts';
import type { PostgresBrokerOptions } from './options.ts';
import { makeStoreBroker } from './postgres-broker.ts';
import type { PostgresBroker } from './store-broker.ts';

/** Options of {@link postgresGuard}: those of `postgresBroker`, and what it holds. */
export type PostgresGuardOptions = PostgresBrokerOptions & GuardOptions;

/** A guard whose tasks live in PostgreSQL. */
export interface PostgresGuard extends Guard<PostgresTransaction> {
  readonly kind: 'postgres';
  readonly broker: PostgresBroker;
}

/**
 * Holds the tasks of a transport on a PostgreSQL server, 12 or newer: they can then be enqueued in a transaction of
 * yours, be unique, looked up and controlled. No worker of the store itself may use the same schema.
 * @throws ValidationError naming the option, ConfigurationError for a URL that is none
 */
export function postgresGuard(options: PostgresGuardOptions): PostgresGuard {
  const { mode, holds, store } = readGuardOptions(options);
  const broker = makeStoreBroker(store as PostgresBrokerOptions, 'postgresGuard');
  return { kind: 'postgres', mode, holds, broker, overdue: (request) => broker.overdue(request) };
}
