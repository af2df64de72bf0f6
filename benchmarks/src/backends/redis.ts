import { Redis } from 'ioredis';
import type { Probe } from '../subject.ts';
import type { Backend } from './backend.ts';

/** The same for every subject: an append-only file, written to disk once a second, no snapshots of the data set. */
const wanted = { appendonly: 'yes', appendfsync: 'everysec', save: '', 'auto-aof-rewrite-percentage': '0' };
const told = ['appendonly', 'appendfsync', 'save', 'maxmemory', 'maxmemory-policy'];
const pollMs = 20;

/** One database, emptied before each run. What its settings were is put back at the end. */
export async function redisBackend(url: string): Promise<Backend> {
  const redis = new Redis(url);
  // Emptying a database that somebody uses would be a bad way to say that the address is wrong.
  const found = await redis.dbsize();
  if (found > 0) {
    redis.disconnect();
    throw new Error(`the Redis database is not empty (${found} keys); name an empty one: redis://host:6379/9`);
  }
  const before: [string, string][] = [];
  for (const [name, value] of Object.entries(wanted)) {
    before.push([name, (await readSetting(redis, name)) ?? '']);
    await redis.config('SET', name, value);
  }

  return {
    name: 'redis',
    async facts() {
      const info = await readInfo(redis, 'server');
      const settings = await Promise.all(told.map(async (name) => [name, (await readSetting(redis, name)) || 'none']));
      return {
        name: info.has('valkey_version') ? 'Valkey' : 'Redis',
        version: info.get('valkey_version') ?? info.get('redis_version') ?? '?',
        settings: Object.fromEntries(settings),
      };
    },
    serverPid: async () => Number((await readInfo(redis, 'server')).get('process_id')),
    async fresh(_subject, install) {
      await redis.flushdb();
      await rewriteLog(redis);
      await install(url);
      return url;
    },
    settle: () => rewriteLog(redis),
    usedBytes: async () => Number((await readInfo(redis, 'memory')).get('used_memory')),
    async close() {
      await redis.flushdb();
      for (const [name, value] of before) await redis.config('SET', name, value);
      await redis.quit();
    },
  };
}

/** Starts the append-only file anew and waits for it, so that no rewrite falls into a run. */
async function rewriteLog(redis: Redis): Promise<void> {
  const busy = async (): Promise<boolean> => {
    const info = await readInfo(redis, 'persistence');
    return info.get('aof_rewrite_in_progress') === '1' || info.get('aof_rewrite_scheduled') === '1';
  };
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, pollMs));
  while (await busy()) await pause();
  await redis.bgrewriteaof();
  while (await busy()) await pause();
}

async function readInfo(redis: Redis, section: string): Promise<ReadonlyMap<string, string>> {
  const lines = (await redis.info(section)).split('\r\n').filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

async function readSetting(redis: Redis, name: string): Promise<string | undefined> {
  return ((await redis.config('GET', name)) as string[])[1];
}

/** Makes the `probe` of a subject from how many tasks it has that are not finished. */
export function redisProbe(
  unfinished: (redis: Redis) => Promise<number>,
  finished?: (redis: Redis) => Promise<number>,
): (url: string) => Promise<Probe> {
  return async (url) => {
    const redis = new Redis(url);
    return {
      anyLeft: async () => (await unfinished(redis)) > 0,
      left: () => unfinished(redis),
      ...(finished !== undefined && { kept: () => finished(redis) }),
      close: async () => void (await redis.quit()),
    };
  };
}
