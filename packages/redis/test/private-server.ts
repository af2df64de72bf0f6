import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { type BrokerHarness, type Hooks, type LocalServer, localServer } from '@millrace/conformance';
import { Redis } from 'ioredis';
import { harnessAt, keysOf, serverUrl, withServers } from './harness.ts';

/** A harness, and what ends its server. */
export interface PrivateHarness {
  readonly harness: BrokerHarness;
  close(): Promise<void>;
}

/** What every answered change survives: a kill of the server, and the loss of power. */
export const alwaysOnDisk: readonly string[] = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** A server of one's own; undefined without the program to start one. */
export async function startServer(settings: readonly string[] = alwaysOnDisk): Promise<LocalServer | undefined> {
  const program = findProgram();
  if (program === undefined) return undefined;
  return localServer({
    name: 'redis',
    start: ({ dir, port }) => [
      program,
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', ...settings],
    ],
    ready: /[Rr]eady to accept connections/,
  });
}

/**
 * The harness on a server of its own, which scenarios may restart, kill and freeze. Without the program to start one,
 * the harness on the server of the test run: then scenarios that need to stop it are not run, and say so.
 */
export async function startPrivateServer(): Promise<PrivateHarness> {
  const server = await startServer();
  if (server === undefined) return { harness: harnessAt('redis', serverUrl), close: async () => {} };
  const url = `redis://127.0.0.1:${server.place.port}`;
  const plain = harnessAt('redis', url);
  const hooks = { ...plain.hooks, impairments: impairmentsAt(url) };
  return { harness: { ...plain, hooks, server }, close: () => server.close() };
}

/** What an administrator can do to a whole server: only to one of our own. */
function impairmentsAt(url: string): NonNullable<Hooks['impairments']> {
  const tell = (...commands: readonly (readonly [string, ...string[]])[]): Promise<void> =>
    withServers(url, async ([server]) => {
      for (const [name, ...args] of commands) await server?.call(name, ...args);
    });
  const configured = async (setting: string, value: string, normal: string): Promise<() => Promise<void>> => {
    await tell(['config', 'set', setting, value]);
    return () => tell(['config', 'set', setting, normal]);
  };
  return {
    'read-only': async () => {
      await tell(['replicaof', '127.0.0.1', '1']);
      return () => tell(['replicaof', 'no', 'one']);
    },
    full: () => configured('maxmemory', '1mb', '0'),
    deleted: async ({ namespace }) => {
      await withServers(url, async ([server]) => {
        if (server !== undefined) for (const key of await keysOf(server, namespace)) await server.unlink(key);
      });
      return async () => {};
    },
    forgotten: async () => {
      await tell(['script', 'flush']);
      return async () => {};
    },
    unsubscribed: async () => {
      await tell(['client', 'kill', 'type', 'pubsub']);
      return async () => {};
    },
    revoked: async () => {
      // Whoever is logged in stays so: that is who lets the others in again.
      const admin = new Redis(url, { protocol: 2 });
      admin.on('error', () => {});
      await admin.config('SET', 'requirepass', 'changed');
      await admin.call('client', 'kill', 'type', 'normal', 'skipme', 'yes');
      await admin.call('client', 'kill', 'type', 'pubsub');
      return async () => {
        await admin.config('SET', 'requirepass', '');
        admin.disconnect();
      };
    },
    crowded: async () => {
      const admin = new Redis(url, { protocol: 2 });
      admin.on('error', () => {});
      const connected = /connected_clients:(\d+)/.exec(await admin.info('clients'))?.[1];
      await admin.config('SET', 'maxclients', String(connected));
      return async () => {
        await admin.config('SET', 'maxclients', '1000');
        admin.disconnect();
      };
    },
  };
}

/** The program of a server: the test run says where it is; else it is on the PATH, or nowhere. */
export function findProgram(): string | undefined {
  const told = process.env.MILLRACE_TEST_REDIS_PROGRAM;
  if (told) return told;
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  return folders.map((folder) => path.join(folder, 'redis-server')).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
