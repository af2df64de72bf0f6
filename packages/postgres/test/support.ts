import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Session, SessionSignal } from '@millrace/core';
import { afterEach, onTestFinished } from 'vitest';
import { type PostgresBroker, type PostgresBrokerOptions, postgresBroker } from '../src/index.ts';
import { serverUrl, withClient } from './harness.ts';

/** A schema of its own, gone after the test. */
export function newSchema(): string {
  const schema = `t_${randomBytes(6).toString('hex')}`;
  onTestFinished(() =>
    withClient(serverUrl, async (client) => void (await client.query(`drop schema if exists "${schema}" cascade`))),
  );
  return schema;
}

/** A broker that is closed after the test. */
export function newBroker(options: Partial<PostgresBrokerOptions> = {}): PostgresBroker {
  const place = options.url === undefined && options.client === undefined && options.pool === undefined;
  const broker = postgresBroker({
    ...(place && { url: serverUrl }),
    schema: options.schema ?? newSchema(),
    ...options,
  } as PostgresBrokerOptions);
  onTestFinished(() => broker.close());
  return broker;
}

/** A session that is ended with its broker. */
export function openSession(broker: PostgresBroker, ttlMs = 60_000, signals: SessionSignal[] = []): Promise<Session> {
  return broker.openSession({ instance: 'test', host: 'here', ttlMs, onSignal: (signal) => signals.push(signal) });
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

/** A link to the test server whose answers can be stopped. */
export interface Link {
  readonly url: string;
  /** From now on nothing comes back, on old and new connections. */
  swallowAnswers(swallow: boolean): void;
  /** Breaks all connections. */
  cut(): void;
}

export async function newLink(): Promise<Link> {
  const server = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let swallow = false;
  const proxy: Server = createServer((near) => {
    const far = createConnection(Number(server.port), server.hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (chunk) => far.write(chunk));
    far.on('data', (chunk) => {
      if (!swallow) near.write(chunk);
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const url = new URL(serverUrl);
  url.hostname = '127.0.0.1';
  url.port = String((proxy.address() as AddressInfo).port);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    cut();
    proxy.close();
  });
  return {
    url: url.href,
    cut,
    swallowAnswers: (answer) => {
      swallow = answer;
    },
  };
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
