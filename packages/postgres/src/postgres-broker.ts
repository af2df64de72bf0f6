import {
  checkPgliteOptions,
  checkPostgresOptions,
  type PgliteBrokerOptions,
  type PostgresBrokerOptions,
  readStoreOptions,
} from './options.ts';
import { PgliteConnection } from './pglite-connection.ts';
import { PostgresConnection } from './postgres-connection.ts';
import { loadStatements } from './statements.ts';
import { type PostgresBroker, StoreBroker } from './store-broker.ts';
import { clientConfigOf } from './url.ts';

/**
 * A broker on a PostgreSQL server, 12 or newer. Tasks are durable, and can be enqueued in a transaction of yours.
 * @throws ValidationError naming the option, ConfigurationError for a URL that is none
 */
export function postgresBroker(options: PostgresBrokerOptions): PostgresBroker {
  return makeStoreBroker(options, 'postgresBroker');
}

/** A broker that can tell what is overdue. `caller`: whose options these are, for messages. */
export function makeStoreBroker(options: PostgresBrokerOptions, caller: string): StoreBroker {
  checkPostgresOptions(options, caller);
  const settings = readStoreOptions(options);
  const statements = loadStatements(settings.schema);
  const config = options.url === undefined ? options.client : clientConfigOf(options.url);
  const database = new PostgresConnection({
    config,
    pool: options.pool,
    poolSize: options.poolSize ?? 5,
    pooler: options.pooler ?? 'auto',
    operationTimeoutMs: settings.operationTimeoutMs,
    clock: settings.clock,
    serverFacts: statements.serverFacts,
  });
  return new StoreBroker(database, statements, settings);
}

/**
 * A broker on a PostgreSQL inside this process: durable in a folder, or in memory. One process at a time.
 * @throws ValidationError naming the option
 */
export function pgliteBroker(options: PgliteBrokerOptions = {}): PostgresBroker {
  checkPgliteOptions(options);
  const settings = readStoreOptions(options);
  const statements = loadStatements(settings.schema);
  const { operationTimeoutMs, clock } = settings;
  const database = new PgliteConnection({
    folder: options.folder,
    database: options.database,
    operationTimeoutMs,
    clock,
    serverFacts: statements.serverFacts,
  });
  return new StoreBroker(database, statements, settings);
}
