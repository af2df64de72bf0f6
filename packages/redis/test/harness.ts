import type { BrokerHarness, Hooks, Target } from '@millrace/conformance';
import { Cluster, Redis } from 'ioredis';
import { type RedisBroker, redisBroker, type StoreOptions } from '../src/index.ts';
import { clusterNodesOf, parseUrl } from '../src/url.ts';

/** The server the test run started, or the one the environment names. */
export const serverUrl: string = process.env.MILLRACE_TEST_REDIS_URL ?? '';

/** A prefix per namespace. */
export function brokerAt(target: Target, options: StoreOptions = {}): RedisBroker {
  const { url, namespace, clock, callTimeoutMs } = target;
  return redisBroker({
    url,
    prefix: namespace,
    clock,
    ...(callTimeoutMs !== undefined && { operationTimeout: callTimeoutMs }),
    ...options,
  });
}

/** The driver's second for finding the nodes is short in a process that is busy with a dozen scenarios. */
const patientMs = 10_000;

/** Runs `work` with clients that no broker knows of, one per server. */
export async function withServers<T>(url: string, work: (servers: readonly Redis[]) => Promise<T>): Promise<T> {
  const address = parseUrl(url);
  if (address.topology !== 'cluster') {
    const client = new Redis(url, { protocol: 2 });
    client.on('error', () => {});
    try {
      return await work([client]);
    } finally {
      client.disconnect();
    }
  }
  const cluster = new Cluster(clusterNodesOf(address), {
    redisOptions: { ...address.options, protocol: 2, replyMapping: 'legacy' },
    slotsRefreshTimeout: patientMs,
    lazyConnect: true,
  });
  cluster.on('error', () => {});
  await cluster.connect();
  try {
    return await work(cluster.nodes('master'));
  } finally {
    cluster.disconnect();
  }
}

/** Runs `work` with a client that finds the server of a key by itself. */
export async function withCluster<T>(url: string, work: (client: Redis | Cluster) => Promise<T>): Promise<T> {
  const address = parseUrl(url);
  if (address.topology !== 'cluster') return withServers(url, ([server]) => work(server as Redis));
  const cluster = new Cluster(clusterNodesOf(address), {
    redisOptions: { ...address.options, protocol: 2, replyMapping: 'legacy' },
    slotsRefreshTimeout: patientMs,
  });
  cluster.on('error', () => {});
  try {
    return await work(cluster);
  } finally {
    cluster.disconnect();
  }
}

/** Keys of a prefix on one server. */
export async function keysOf(server: Redis, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of server.scanStream({ match: `${prefix}:*`, count: 1_000 })) keys.push(...(page as string[]));
  return keys;
}

async function drop(url: string, prefix: string): Promise<void> {
  const keys = await withServers(url, (servers) => Promise.all(servers.map((server) => keysOf(server, prefix))));
  // By whoever has them now: a slot may move meanwhile, in a test beside this one.
  await withCluster(url, async (client) => {
    for (const key of new Set(keys.flat())) await client.unlink(key);
  });
}

/** Makes everything stored under a prefix older: what was due in a while is due now. */
export async function travel(url: string, prefix: string, ms: number): Promise<void> {
  await withServers(url, async (servers) => {
    for (const server of servers) {
      for (const key of await keysOf(server, prefix)) await shiftKey(server, key, Math.round(ms));
    }
  });
}

const shiftedSets = /:(later|backoff|expiry|done|dead|session|asleep)$/;
/** Characters of a first run, which has when it started where others have when it was due. */
const shortRun = 69;

async function shiftKey(server: Redis, key: string, ms: number): Promise<void> {
  if (shiftedSets.test(key) || key.includes(':ready:')) {
    for (const member of await server.zrange(key, '0', '-1')) await server.zincrby(key, -ms, member);
  } else if (key.includes(':fresh:')) {
    const entries = await server.lrange(key, '0', '-1');
    for (const [index, entry] of entries.entries()) {
      await server.lset(key, String(index), entry.slice(0, 12) + shifted13(entry.slice(12, 25), ms) + entry.slice(25));
    }
  } else if (key.endsWith(':task')) {
    for (const [id, text] of Object.entries(await server.hgetall(key))) {
      let shifted = text.slice(0, 12) + shifted13(text.slice(12, 25), ms) + text.slice(25);
      if (text[26] === 't') {
        shifted =
          shifted.slice(0, 29) + shifted17(text.slice(29, 46), ms) + shifted17(text.slice(46, 63), ms) + text.slice(63);
      }
      await server.hset(key, id, shifted);
    }
  } else if (key.endsWith(':run')) {
    for (const [id, text] of Object.entries(await server.hgetall(key))) {
      if (text.length === shortRun) {
        await server.hset(key, id, text.slice(0, 43) + shifted13(text.slice(43, 56), ms) + text.slice(56));
        continue;
      }
      const times =
        shifted17(text.slice(43, 60), ms) + shifted13(text.slice(60, 73), ms) + shifted13(text.slice(73, 86), ms);
      await server.hset(key, id, text.slice(0, 43) + times + text.slice(86));
    }
  }
}

function shifted13(text: string, ms: number): string {
  return text.startsWith('-') ? text : String(Number(text) - ms).padStart(13, '0');
}

function shifted17(text: string, ms: number): string {
  if (text.startsWith('--')) return text;
  const instant = Number(text) - ms;
  return (instant < 0 ? '-' : '+') + String(Math.abs(instant)).padStart(16, '0');
}

/** Overwrites the input of a task. */
async function corrupt(url: string, prefix: string, taskId: string, payload: string): Promise<void> {
  await withServers(url, async (servers) => {
    for (const server of servers) {
      for (const key of await keysOf(server, prefix)) {
        if (!key.endsWith(':task')) continue;
        const text = await server.hget(key, taskId);
        if (text === null) continue;
        const input = text.split('\0').slice(6).join('\0');
        await server.hset(key, taskId, text.slice(0, text.length - input.length) + payload);
      }
    }
  });
}

async function dump(url: string, prefix: string): Promise<unknown> {
  return withServers(url, async (servers) => {
    const stored: Record<string, unknown> = {};
    for (const server of servers) {
      for (const key of await keysOf(server, prefix)) {
        const type = await server.type(key);
        if (type === 'hash') stored[key] = await server.hgetall(key);
        else if (type === 'zset') stored[key] = await server.zrange(key, '0', '-1', 'WITHSCORES');
        else if (type === 'set') stored[key] = await server.smembers(key);
        else if (type === 'list') stored[key] = await server.lrange(key, '0', '-1');
        else stored[key] = await server.get(key);
      }
    }
    return stored;
  });
}

/** Ids of the connections of a namespace at one server. */
async function connectionsOf(server: Redis, prefix: string): Promise<string[]> {
  const clients = String(await server.client('LIST')).split('\n');
  return clients.flatMap((line) =>
    line.includes(` name=millrace:${prefix} `) ? [/^id=(\d+)/.exec(line)?.[1] ?? ''] : [],
  );
}

function hooksAt(url: string): Hooks {
  return {
    travel: ({ namespace }, ms) => travel(url, namespace, ms),
    corrupt: ({ namespace }, taskId, payload) => corrupt(url, namespace, taskId, payload),
    dump: ({ namespace }) => dump(url, namespace),
    ageAdapter: ({ namespace }) =>
      withCluster(url, async (client) => {
        await client.set(`${namespace}:layout`, '999');
      }),
    resources: ({ namespace }) =>
      withServers(url, async (servers) => {
        let connections = 0;
        let sessions = 0;
        for (const server of servers) {
          connections += (await connectionsOf(server, namespace)).length;
          for (const key of await keysOf(server, namespace)) {
            if (key.endsWith(':session')) sessions += await server.zcard(key);
          }
        }
        return { connections, sessions };
      }),
    killConnections: ({ namespace }) =>
      withServers(url, async (servers) => {
        let killed = 0;
        for (const server of servers) {
          for (const id of await connectionsOf(server, namespace)) {
            killed += Number(await server.client('KILL', 'ID', id));
          }
        }
        return killed;
      }),
  };
}

/** The broker on the server at an address, as the conformance suite sees it. */
export function harnessAt(name: string, url: string): BrokerHarness {
  return {
    name,
    url,
    workerModule: new URL('worker.ts', import.meta.url),
    bundleWorker: true,
    connect: (target) => brokerAt(target),
    drop: ({ namespace }) => drop(url, namespace),
    hooks: hooksAt(url),
    backend: () =>
      withServers(url, async ([server]) => {
        const info = String(await server?.info('server'));
        const version = /^(?:valkey|redis)_version:(.*)$/m.exec(info)?.[1]?.trim() ?? 'unknown';
        return { name: info.includes('valkey_version') ? 'Valkey' : 'Redis', version };
      }),
  };
}

export const harness: BrokerHarness = harnessAt('redis', serverUrl);
