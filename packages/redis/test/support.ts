import { randomBytes } from 'node:crypto';
import type { Session, SessionSignal } from '@millrace/core';
import { Redis } from 'ioredis';
import { afterEach, onTestFinished } from 'vitest';
import { type RedisBroker, redisBroker, type StoreOptions } from '../src/index.ts';
import { keysOf, serverUrl, withServers } from './harness.ts';
import { startServer } from './private-server.ts';

/** A prefix of its own; what is stored under it is gone after the test. */
export function newPrefix(url: string = serverUrl): string {
  const prefix = `t_${randomBytes(6).toString('hex')}`;
  onTestFinished(() =>
    withServers(url, async (servers) => {
      for (const server of servers) for (const key of await keysOf(server, prefix)) await server.unlink(key);
    }),
  );
  return prefix;
}

/** The address of a server of this test's own. @throws Error without the program to start one */
export async function ownServer(settings: readonly string[] = []): Promise<string> {
  const server = await startServer(settings);
  if (server === undefined) throw new Error('this test needs redis-server on the PATH');
  onTestFinished(() => server.close());
  return `redis://127.0.0.1:${server.place.port}`;
}

/** A broker that is closed after the test. */
export function newBroker(options: StoreOptions & { readonly url?: string } = {}): RedisBroker {
  const url = options.url ?? serverUrl;
  const broker = redisBroker({ url, prefix: options.prefix ?? newPrefix(url), ...options });
  onTestFinished(() => broker.close());
  return broker;
}

/** A session that is ended with its broker. */
export function openSession(broker: RedisBroker, ttlMs = 60_000, signals: SessionSignal[] = []): Promise<Session> {
  return broker.openSession({ instance: 'test', host: 'here', ttlMs, onSignal: (signal) => signals.push(signal) });
}

/** A client that no broker knows of, gone after the test. */
export function newClient(url: string = serverUrl): Redis {
  const client = new Redis(url, { protocol: 2 });
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

/** Waits until `check` holds. */
export async function until(check: () => boolean | Promise<boolean>, what: string, withinMs = 15_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What a call rejects with. */
export async function rejectionOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => {
      throw new Error('it resolved');
    },
    (error: unknown) => error,
  );
}

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

/** Fails a test after which something was rejected that nobody handled. */
export function watchUnhandled(): void {
  afterEach(() => {
    const found = unhandled.splice(0);
    if (found.length > 0) throw new Error('an unhandled rejection', { cause: found[0] });
  });
}
