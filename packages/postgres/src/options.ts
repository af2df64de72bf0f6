import {
  type Clock,
  ConfigurationError,
  type Duration,
  parseDuration,
  systemClock,
  ValidationError,
} from '@millrace/core';
import { checkInteger, checkKnownOptions, checkName, kindOf } from '@millrace/core/adapter';
import type { ClientConfig, Pool } from 'pg';
import type { PGliteDatabase } from './pglite-connection.ts';

/** How long finished tasks are kept. */
export interface RetentionOptions {
  /** Succeeded and cancelled tasks. Default `'7d'`; `false` keeps them for ever. */
  readonly succeeded?: Duration | false;
  /** Dead tasks. Default `'30d'`; `false` keeps them for ever. */
  readonly failed?: Duration | false;
}

/** What `postgresBroker` and `pgliteBroker` have in common. */
export interface StoreOptions {
  /** Where the tables are, at most 63 bytes. Brokers see each other's tasks if they use the same schema. Default `'millrace'`. */
  readonly schema?: string;
  /** Creates and updates the tables when the broker is opened. `false` refuses an outdated schema. Default `true`. */
  readonly migrate?: boolean;
  /** Default `{ succeeded: '7d', failed: '30d' }`; `false` keeps everything for ever. */
  readonly retention?: RetentionOptions | false;
  /** Largest input with its headers, in bytes of UTF-8. Default 1,048,576. */
  readonly maxPayloadBytes?: number;
  /** How long an idle worker sleeps at most before it looks for work, whatever it was told. Default `'1s'`. */
  readonly pollInterval?: Duration;
  /** Time limit of every call that does not wait for work. Default `'10s'`. */
  readonly operationTimeout?: Duration;
  /** Time for heartbeats, polls and deadlines; the server's clock decides everything else. Default: the machine's. */
  readonly clock?: Clock;
}

/** How `postgresBroker` gets connections of its own. */
export interface ConnectionOptions {
  /** Connections besides the one that listens. Default 5. */
  readonly poolSize?: number;
  /**
   * Whether a pooler such as PgBouncer may give each transaction another server process. Then statements are not
   * prepared, nothing listens and idle workers poll. Default `'auto'`: found out when the broker is opened.
   */
  readonly pooler?: boolean | 'auto';
}

/** Options of {@link postgresBroker}: exactly one of `url`, `client` and `pool`. */
export type PostgresBrokerOptions = StoreOptions &
  ConnectionOptions &
  (
    | { readonly url: string; readonly client?: undefined; readonly pool?: undefined }
    /** Options of `pg.Client`; left out are taken from the environment (`PGHOST`, …). */
    | { readonly client: ClientConfig; readonly url?: undefined; readonly pool?: undefined }
    /** A pool of yours. It is not closed with the broker. A connection to listen on is made beside it. */
    | { readonly pool: Pool; readonly url?: undefined; readonly client?: undefined }
  );

/** Options of {@link pgliteBroker}: a folder (absent: in memory, gone with the process) or a database of yours. */
export type PgliteBrokerOptions = StoreOptions &
  (
    | { readonly folder?: string; readonly database?: undefined }
    /** An open PGlite. It is not closed with the broker. */
    | { readonly database: PGliteDatabase; readonly folder?: undefined }
  );

/** {@link StoreOptions}, checked and complete. */
export interface StoreSettings {
  readonly schema: string;
  readonly migrate: boolean;
  readonly succeededMs: number | null;
  readonly failedMs: number | null;
  readonly maxPayloadBytes: number;
  readonly pollMs: number;
  readonly operationTimeoutMs: number;
  readonly clock: Clock;
}

const storeOptions = [
  'schema',
  'migrate',
  'retention',
  'maxPayloadBytes',
  'pollInterval',
  'operationTimeout',
  'clock',
] as const;

/** @throws ValidationError naming the option */
export function checkPostgresOptions(options: PostgresBrokerOptions, caller: string): void {
  checkKnownOptions(options, ['url', 'client', 'pool', 'poolSize', 'pooler', ...storeOptions], caller);
  const given = [options.url, options.client, options.pool].filter((way) => way !== undefined);
  if (given.length !== 1) {
    throw new ValidationError(`${caller} needs exactly one of url, client and pool`, { option: 'url' });
  }
  const url: unknown = options.url;
  if (url !== undefined && typeof url !== 'string') {
    throw new ValidationError(`url must be a string; got ${kindOf(url)}`, { option: 'url' });
  }
  if (options.pool !== undefined && typeof options.pool.connect !== 'function') {
    throw new ValidationError("pool must be a Pool of 'pg'", { option: 'pool' });
  }
  if (options.poolSize !== undefined) checkInteger(options.poolSize, 'poolSize', 1, 1_000);
  if (options.pool !== undefined && options.poolSize !== undefined) {
    throw new ValidationError('poolSize is for connections of the broker; a pool of yours has its own size', {
      option: 'poolSize',
    });
  }
  if (options.pooler !== undefined && typeof options.pooler !== 'boolean' && options.pooler !== 'auto') {
    throw new ValidationError("pooler must be true, false or 'auto'", { option: 'pooler' });
  }
}

/** @throws ValidationError naming the option */
export function checkPgliteOptions(options: PgliteBrokerOptions): void {
  checkKnownOptions(options, ['folder', 'database', ...storeOptions], 'pgliteBroker');
  if (options.folder !== undefined && options.database !== undefined) {
    throw new ValidationError('pgliteBroker takes a folder or a database, not both', { option: 'folder' });
  }
  if (options.folder !== undefined && (typeof options.folder !== 'string' || options.folder === '')) {
    throw new ValidationError('folder must be a path', { option: 'folder' });
  }
  if (options.database !== undefined && typeof options.database.query !== 'function') {
    throw new ValidationError("database must be a PGlite of '@electric-sql/pglite'", { option: 'database' });
  }
}

/** @throws ValidationError naming the option */
export function readStoreOptions(options: StoreOptions): StoreSettings {
  const retention: RetentionOptions =
    options.retention === false ? { succeeded: false, failed: false } : (options.retention ?? {});
  checkKnownOptions(retention, ['succeeded', 'failed'], 'retention');
  const { migrate = true } = options;
  if (typeof migrate !== 'boolean') {
    throw new ValidationError(`migrate must be true or false; got ${kindOf(migrate)}`, { option: 'migrate' });
  }
  return {
    schema: checkSchema(options.schema ?? 'millrace'),
    migrate,
    succeededMs: keptMs(retention.succeeded ?? '7d', 'retention.succeeded'),
    failedMs: keptMs(retention.failed ?? '30d', 'retention.failed'),
    maxPayloadBytes: checkInteger(options.maxPayloadBytes ?? 1_048_576, 'maxPayloadBytes', 1, 268_435_456),
    pollMs: atLeast(10, parseDuration(options.pollInterval ?? '1s', 'pollInterval'), 'pollInterval'),
    operationTimeoutMs: atLeast(
      100,
      parseDuration(options.operationTimeout ?? '10s', 'operationTimeout'),
      'operationTimeout',
    ),
    clock: options.clock ?? systemClock,
  };
}

function checkSchema(schema: unknown): string {
  const name = checkName(schema, 'schema');
  if (Buffer.byteLength(name) > 63 || /^pg_/i.test(name)) {
    throw new ValidationError("schema must be at most 63 bytes and not begin with 'pg_'", { option: 'schema' });
  }
  return name;
}

function keptMs(value: Duration | false, option: string): number | null {
  return value === false ? null : parseDuration(value, option);
}

function atLeast(least: number, ms: number, option: string): number {
  return checkInteger(ms, option, least, 2_147_483_647);
}

const urlOptions: Readonly<Record<string, (text: string) => unknown>> = {
  schema: (text) => text,
  migrate: readBoolean,
  pollInterval: (text) => text,
  operationTimeout: (text) => text,
  maxPayloadBytes: Number,
  poolSize: Number,
  pooler: (text) => (text === 'auto' ? text : readBoolean(text)),
};

/**
 * Takes our options out of the parameters of a URL. What is written like one of ours but is none is refused; the
 * rest is the driver's.
 * @throws ConfigurationError naming the parameter
 */
export function takeUrlOptions(parameters: URLSearchParams, known: readonly string[]): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const name of [...new Set(parameters.keys())]) {
    const read = known.includes(name) ? urlOptions[name] : undefined;
    if (read !== undefined) {
      options[name] = read(parameters.get(name) ?? '');
      parameters.delete(name);
      continue;
    }
    // The driver's parameters are lower case; ours are camel case.
    const ours = /[A-Z]/.test(name) || known.some((option) => option.toLowerCase() === name.toLowerCase());
    if (ours) {
      throw new ConfigurationError(`the URL has an unknown parameter '${name}'; known are ${known.join(', ')}`, {
        option: 'url',
        reason: 'unknown-option',
      });
    }
  }
  return options;
}

/** Parameters a PostgreSQL URL may hold for us. */
export const postgresUrlOptions: readonly string[] = Object.keys(urlOptions);
/** Parameters a PGlite URL may hold. */
export const pgliteUrlOptions: readonly string[] = postgresUrlOptions.filter(
  (name) => name !== 'poolSize' && name !== 'pooler',
);

function readBoolean(text: string): unknown {
  if (text === 'true' || text === '1' || text === '') return true;
  return text === 'false' || text === '0' ? false : text;
}
