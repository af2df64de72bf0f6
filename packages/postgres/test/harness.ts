import type { BrokerHarness, Target } from '@millrace/conformance';
import pg from 'pg';
import { type PostgresBroker, type PostgresTransaction, postgresBroker, type StoreOptions } from '../src/index.ts';

/** The server the test run started, or the one the environment names. */
export const serverUrl: string = process.env.MILLRACE_TEST_POSTGRES_URL ?? '';

/** A schema per namespace. */
export function brokerAt({ url, namespace, clock, callTimeoutMs }: Target, options: StoreOptions = {}): PostgresBroker {
  return postgresBroker({
    client: { connectionString: url, application_name: applicationOf(namespace) },
    schema: namespace,
    clock,
    ...(callTimeoutMs !== undefined && { operationTimeout: callTimeoutMs }),
    ...options,
  });
}

/** What the connections of a namespace are called at the server. */
export function applicationOf(namespace: string): string {
  return `millrace ${namespace}`;
}

/** Text of statements that make everything stored in a schema older: what was due in a while is due now. */
export function travelScript(namespace: string, ms: number): string {
  const shift = (table: string, ...columns: string[]): string =>
    `update "${namespace}".${table} set ${columns.map((column) => `${column} = ${column} - ${Math.round(ms)}`).join(', ')};`;
  return [
    shift('task', 'run_at', 'expires_at', 'created_at', 'started_at'),
    shift('finished', 'run_at', 'expires_at', 'created_at', 'started_at', 'finished_at'),
    shift('session', 'expires_at'),
  ].join('\n');
}

/** Runs `work` with a connection that no broker knows of. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function inTransaction<T>(url: string, body: (transaction: PostgresTransaction) => Promise<T>): Promise<T> {
  return withClient(url, async (client) => {
    await client.query('begin');
    try {
      const result = await body(client);
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
  });
}

/** Runs `body` below a savepoint of a transaction. */
export async function withSavepoint<T>(transaction: PostgresTransaction, body: () => Promise<T>): Promise<T> {
  await transaction.query('savepoint conformance', []);
  try {
    return await body();
  } catch (error) {
    await transaction.query('rollback to savepoint conformance', []);
    throw error;
  }
}

const countConnections = 'select count(*)::integer as count from pg_stat_activity where application_name = $1';

/** The broker on a server, as the conformance suite sees it. */
export function harnessAt(url: string): BrokerHarness {
  const ask = <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => withClient(url, work);
  return {
    name: 'postgres',
    url,
    workerModule: new URL('worker.ts', import.meta.url),
    bundleWorker: true,
    connect: (target) => brokerAt(target),
    drop: ({ namespace }) =>
      ask(async (client) => {
        await client.query(`drop schema if exists "${namespace}" cascade`);
      }),
    hooks: {
      transaction: (target, body) => inTransaction(target.url, body),
      savepoint: (transaction, body) => withSavepoint(transaction as PostgresTransaction, body),
      travel: ({ namespace }, ms) =>
        ask(async (client) => {
          await client.query(travelScript(namespace, ms));
        }),
      corrupt: ({ namespace }, taskId, payload) =>
        ask(async (client) => {
          await client.query(`update "${namespace}".task set input = $2 where id = $1`, [taskId, payload]);
        }),
      dump: ({ namespace }) =>
        ask(async (client) => {
          const { rows } = await client.query(`select * from "${namespace}".record order by id`);
          return rows;
        }),
      resources: ({ namespace }) =>
        ask(async (client) => {
          const { rows } = await client.query(countConnections, [applicationOf(namespace)]);
          const sessions = await client.query(`select count(*)::integer as count from "${namespace}".session`);
          return { connections: Number(rows[0].count), sessions: Number(sessions.rows[0].count) };
        }),
      threadUrl: ({ url, namespace }) => {
        const address = new URL(url);
        address.searchParams.set('schema', namespace);
        return address.href;
      },
      ageAdapter: ({ namespace }) =>
        ask(async (client) => {
          await client.query(`insert into "${namespace}".schema_version (version, name) values (9999, 'of tomorrow')`);
        }),
      killConnections: ({ namespace }) =>
        ask(async (client) => {
          const { rows } = await client.query(
            'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1',
            [applicationOf(namespace)],
          );
          return rows.length;
        }),
    },
    backend: () =>
      ask(async (client) => {
        const { rows } = await client.query('show server_version');
        return { name: 'PostgreSQL', version: String(rows[0].server_version) };
      }),
  };
}

/** The broker on the server of the test run. */
export const harness: BrokerHarness = harnessAt(serverUrl);
