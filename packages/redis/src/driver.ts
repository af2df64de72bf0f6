import { ConfigurationError } from '@millrace/core';
import type { Cluster, Redis } from 'ioredis';

/** A client of ioredis. */
export type Client = Redis | Cluster;

/** What is used of the package. */
export type Driver = Pick<typeof import('ioredis'), 'Redis' | 'Cluster' | 'Command'>;

/** Whether keys of different queues may lie on different servers. */
export function isCluster(client: Client): client is Cluster {
  return client.isCluster;
}

/** Whether its connections begin with TLS. */
export function isEncrypted(client: Client): boolean {
  const options = isCluster(client) ? client.options.redisOptions : (client as Redis).options;
  return options?.tls !== undefined;
}

/** @throws ConfigurationError when it is not installed */
export async function importDriver(): Promise<Driver> {
  try {
    return await import('ioredis');
  } catch (cause) {
    throw new ConfigurationError("redisBroker needs the package 'ioredis'; run: npm install ioredis", {
      op: 'open',
      adapter: 'redis',
      reason: 'missing-package',
      cause,
    });
  }
}
