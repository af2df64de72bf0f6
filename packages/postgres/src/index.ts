/**
 * PostgreSQL as a Millrace broker: a server, or PGlite inside the process. Same tables, same statements.
 * @module
 */
export type { PostgresTransaction } from './enqueue.ts';
export { type PostgresGuard, type PostgresGuardOptions, postgresGuard } from './guard.ts';
export type {
  ConnectionOptions,
  PgliteBrokerOptions,
  PostgresBrokerOptions,
  RetentionOptions,
  StoreOptions,
} from './options.ts';
export type { PGliteDatabase } from './pglite-connection.ts';
export { adapter } from './postgres-adapter.ts';
export { pgliteBroker, postgresBroker } from './postgres-broker.ts';
export type { PostgresBroker } from './store-broker.ts';
