import type { Hooks, Target } from '@millrace/conformance';
import type { Guard, GuardOptions } from '@millrace/core';
import {
  createMemoryStore,
  type MemoryStore,
  type MemoryTransaction,
  memoryBroker,
  memoryGuard,
} from '@millrace/memory';
import { type PostgresTransaction, postgresGuard } from '@millrace/postgres';
import { redisGuard } from '@millrace/redis';
import { Redis } from 'ioredis';
import pg from 'pg';

/** A store as the tests of a guard see it. */
export interface GuardStore {
  readonly kind: 'memory' | 'postgres' | 'redis';
  /** Its address; empty for the store of this process. */
  readonly url: string;
  /** `url`: another way to it, through a proxy. */
  guard(target: Omit<Target, 'url'> & { readonly url?: string }, options?: GuardOptions): Guard<never>;
  drop(namespace: string): Promise<void>;
  readonly hooks: Hooks;
  /** Absent where a process of its own would have no part in the store. */
  readonly workerModule?: URL;
}

const places = new Map<string, MemoryStore>();

/** A store per namespace, of this process alone. */
export function memoryStoreOf(namespace: string): MemoryStore {
  const store = places.get(namespace) ?? createMemoryStore();
  places.set(namespace, store);
  return store;
}

export const memoryStore: GuardStore = {
  kind: 'memory',
  url: '',
  guard: ({ namespace, clock }, options = {}) => memoryGuard({ store: memoryStoreOf(namespace), clock, ...options }),
  drop: async (namespace) => {
    places.delete(namespace);
  },
  hooks: {
    transaction: async ({ namespace }, body) => {
      const broker = memoryBroker({ store: memoryStoreOf(namespace) });
      await broker.open();
      try {
        return await broker.transaction((transaction: MemoryTransaction) => body(transaction));
      } finally {
        await broker.close();
      }
    },
    dump: async ({ namespace }) => memoryStoreOf(namespace).dump(),
  },
};

/** Runs `work` with a connection that no broker knows of. */
export async function withPostgres<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** A schema per namespace. */
export function postgresStore(url: string): GuardStore {
  return {
    kind: 'postgres',
    url,
    workerModule: new URL('guarded-worker-postgres.ts', import.meta.url),
    guard: ({ url: way = url, namespace, clock, callTimeoutMs }, options = {}) =>
      postgresGuard({
        url: way,
        schema: namespace,
        clock,
        ...(callTimeoutMs !== undefined && { operationTimeout: callTimeoutMs }),
        ...options,
      }) as Guard<never>,
    drop: (namespace) =>
      withPostgres(url, async (client) => {
        await client.query(`drop schema if exists "${namespace}" cascade`);
      }),
    hooks: {
      // Through the proxy, where it is the way to the store that a scenario cuts.
      transaction: ({ url: way }, body) =>
        withPostgres(way.startsWith('postgres') ? way : url, async (client) => {
          await client.query('begin');
          try {
            const result = await body(client satisfies PostgresTransaction);
            await client.query('commit');
            return result;
          } catch (error) {
            await client.query('rollback');
            throw error;
          }
        }),
      savepoint: async (transaction, body) => {
        const { query } = transaction as PostgresTransaction;
        await query.call(transaction, 'savepoint conformance', []);
        try {
          return await body();
        } catch (error) {
          await query.call(transaction, 'rollback to savepoint conformance', []);
          throw error;
        }
      },
      corrupt: ({ namespace }, taskId, payload) =>
        withPostgres(url, async (client) => {
          await client.query(`update "${namespace}".task set input = $2 where id = $1`, [taskId, payload]);
        }),
      dump: ({ namespace }) =>
        withPostgres(url, async (client) => {
          const { rows } = await client.query(`select * from "${namespace}".record order by id`);
          return rows;
        }),
    },
  };
}

/** A prefix per namespace. */
export function redisStore(url: string): GuardStore {
  const withKeys = async (namespace: string, work: (client: Redis, keys: string[]) => Promise<void>): Promise<void> => {
    const client = new Redis(url);
    client.on('error', () => {});
    try {
      for await (const page of client.scanStream({ match: `${namespace}:*`, count: 1_000 })) {
        if ((page as string[]).length > 0) await work(client, page as string[]);
      }
    } finally {
      client.disconnect();
    }
  };
  return {
    kind: 'redis',
    url,
    workerModule: new URL('guarded-worker-redis.ts', import.meta.url),
    guard: ({ url: way = url, namespace, clock, callTimeoutMs }, options = {}) =>
      redisGuard({
        url: way,
        prefix: namespace,
        clock,
        ...(callTimeoutMs !== undefined && { operationTimeout: callTimeoutMs }),
        ...options,
      }),
    drop: (namespace) =>
      withKeys(namespace, async (client, keys) => {
        await client.unlink(...keys);
      }),
    hooks: {
      dump: async ({ namespace }) => {
        const all: Record<string, string> = {};
        await withKeys(namespace, async (client, keys) => {
          for (const key of keys) all[key] = await client.type(key);
        });
        return all;
      },
    },
  };
}

/** The stores of the test run. */
export const guardStores: Readonly<Record<GuardStore['kind'], GuardStore>> = {
  memory: memoryStore,
  postgres: postgresStore(process.env.MILLRACE_TEST_POSTGRES_URL ?? ''),
  redis: redisStore(process.env.MILLRACE_TEST_REDIS_URL ?? ''),
};
