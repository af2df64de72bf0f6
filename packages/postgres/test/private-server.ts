import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type BrokerHarness, type Hooks, type LocalServer, localServer } from '@millrace/conformance';
import pg from 'pg';
import { harnessAt, serverUrl, withClient } from './harness.ts';

/** Where packages of PostgreSQL put its programs. */
const folders = ['/usr/lib/postgresql', '/usr/local/pgsql', '/opt/homebrew/opt'];
const user = 'millrace';
/** What it shares between its processes lies in its folder: shared memory would outlive a server that is killed. */
const settings = [
  'listen_addresses=127.0.0.1',
  'max_connections=200',
  'fsync=on',
  'dynamic_shared_memory_type=mmap',
] as const;

/** A harness, and what ends its server. */
export interface PrivateHarness {
  readonly harness: BrokerHarness;
  close(): Promise<void>;
}

/**
 * A server of one's own; undefined without the programs to start one. Its superuser is `millrace`, without a password.
 * @param more settings. @param hba who may connect, as in pg_hba.conf; default: all of this machine
 */
export async function startServer(more: readonly string[] = [], hba?: string): Promise<LocalServer | undefined> {
  const programs = findPrograms();
  if (programs === undefined) return undefined;
  return localServer({
    name: 'postgres',
    prepare: ({ dir }) => [
      path.join(programs, 'initdb'),
      ...['-D', dir, '-U', user, '--auth=trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    ],
    // Durable, as a real one is; the socket beside the data, where nobody else looks.
    start: ({ dir, port }) => {
      if (hba !== undefined) writeFileSync(path.join(dir, 'pg_hba.conf'), hba);
      const told = [...settings, ...more].flatMap((setting) => ['-c', setting]);
      return [path.join(programs, 'postgres'), '-D', dir, '-p', String(port), '-k', dir, ...told];
    },
    ready: /ready to accept connections/,
    stopSignal: 'SIGINT',
  });
}

/**
 * The harness on a server of its own, which scenarios may restart, kill and freeze. Without the programs to start one,
 * the harness on the server of the test run: then scenarios that need to stop it are not run, and say so.
 */
export async function startPrivateServer(): Promise<PrivateHarness> {
  const server = await startServer();
  if (server === undefined) return { harness: harnessAt(serverUrl), close: async () => {} };
  const url = `postgres://${user}@127.0.0.1:${server.place.port}/postgres`;
  const plain = harnessAt(url);
  const hooks = { ...plain.hooks, impairments: impairmentsAt(url) };
  return { harness: { ...plain, hooks, server }, close: () => server.close() };
}

/** What an administrator can do to a whole server: only to one of our own. */
function impairmentsAt(url: string): NonNullable<Hooks['impairments']> {
  const endAll =
    'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and usename = $1';
  const change = (...statements: readonly string[]): Promise<void> =>
    withClient(url, async (client) => {
      await client.query('set default_transaction_read_only = off');
      for (const statement of statements) await client.query(statement);
      await client.query(endAll, [user]);
    });
  return {
    'read-only': async () => {
      await change(`alter role ${user} set default_transaction_read_only = on`);
      return () => change(`alter role ${user} reset default_transaction_read_only`);
    },
    deleted: async ({ namespace }) => {
      await withClient(url, (client) => client.query(`drop schema "${namespace}" cascade`));
      return async () => {};
    },
    // A table that changed invalidates every plan that was prepared for it.
    forgotten: async ({ namespace }) => {
      const alter = (change: string): Promise<unknown> =>
        withClient(url, (client) => client.query(`alter table "${namespace}".task ${change}`));
      await alter('add column forgotten integer');
      return async () => {
        await alter('drop column forgotten');
      };
    },
    revoked: async () => {
      // Whoever is logged in stays so: that is who lets the others in again.
      const admin = new pg.Client(url);
      admin.on('error', () => {});
      await admin.connect();
      await admin.query(`alter role ${user} nologin`);
      await admin.query(endAll, [user]);
      return async () => {
        await admin.query(`alter role ${user} login`);
        await admin.end();
      };
    },
  };
}

/** The folder of the programs to start a server with. */
export function findPrograms(): string | undefined {
  const versions = folders
    .filter(existsSync)
    .flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`));
  const found = [...versions.sort().reverse(), ...folders].map((folder) => path.join(folder, 'bin'));
  return found.find((folder) => existsSync(path.join(folder, 'initdb')) && existsSync(path.join(folder, 'postgres')));
}
