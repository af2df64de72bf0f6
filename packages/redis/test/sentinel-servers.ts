import path from 'node:path';
import { type LocalServer, localServer } from '@millrace/conformance';
import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import { findProgram, startServer } from './private-server.ts';
import { until } from './support.ts';

/** A master, its replicas, and the Sentinels that watch them. */
export interface SentinelServers {
  /** Names every Sentinel. */
  readonly url: string;
  readonly master: LocalServer;
  readonly replicas: readonly LocalServer[];
  readonly sentinels: readonly LocalServer[];
  /** Port of the master, as the first Sentinel that answers has it. */
  masterPort(): Promise<number>;
}

const masterName = 'line';
const downAfterMs = 500;
const ignore = (): void => {};

/** Servers of the test alone, gone with it. They keep everything on disk. */
export async function startBehindSentinels(replicaCount: number, count: 1 | 3 = 3): Promise<SentinelServers> {
  const program = findProgram();
  if (program === undefined) throw new Error('this test needs redis-server on the PATH');
  const settings = ['--appendonly', 'yes', '--repl-diskless-sync-delay', '0'];
  const start = async (more: readonly string[] = []): Promise<LocalServer> => {
    const server = (await startServer([...settings, ...more])) as LocalServer;
    onTestFinished(() => server.close());
    return server;
  };
  const master = await start();
  const { port } = master.place;
  const replicas = await Promise.all(
    Array.from({ length: replicaCount }, () => start(['--replicaof', '127.0.0.1', String(port)])),
  );
  const online = async (): Promise<number> => (await ask(port, 'info', 'replication')).split('state=online').length - 1;
  await until(async () => (await online()) === replicaCount, 'the replicas online');
  const sentinels = await Promise.all(
    Array.from({ length: count }, () => startSentinel(program, port, count === 1 ? 1 : 2)),
  );
  for (const { place } of sentinels) {
    // They find the replicas, and one another, through the master.
    await until(async () => {
      const facts = pairs(await ask(place.port, 'sentinel', 'master', masterName));
      return facts.get('num-slaves') === String(replicaCount) && facts.get('num-other-sentinels') === String(count - 1);
    }, 'a Sentinel that knows everybody');
  }
  const masterPort = async (): Promise<number> => {
    const answers = sentinels
      .filter(({ pid }) => pid !== undefined)
      .map(({ place }) => ask(place.port, 'sentinel', 'get-master-addr-by-name', masterName));
    return Number(((await Promise.any(answers)) as unknown as string[])[1]);
  };
  const hosts = sentinels.map(({ place }) => `127.0.0.1:${place.port}`).join(',');
  return { url: `redis+sentinel://${hosts}/${masterName}`, master, replicas, sentinels, masterPort };
}

async function startSentinel(program: string, masterPort: number, quorum: number): Promise<LocalServer> {
  const server = await localServer({
    name: 'sentinel',
    // Sentinels write down what they learn, so they need a file of their own.
    prepare: ({ dir, port }) => [
      'sh',
      '-c',
      'printf "%s\\n" "$@" > "$0"',
      path.join(dir, 'sentinel.conf'),
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${dir}`,
      `sentinel monitor ${masterName} 127.0.0.1 ${masterPort} ${quorum}`,
      `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
      `sentinel failover-timeout ${masterName} 2000`,
    ],
    start: ({ dir }) => [program, path.join(dir, 'sentinel.conf'), '--sentinel'],
    ready: 'tcp',
  });
  onTestFinished(() => server.close());
  return server;
}

/** Asks one server something. */
export async function ask(port: number, name: string, ...args: readonly string[]): Promise<string> {
  const client = new Redis(port, '127.0.0.1', { protocol: 2, retryStrategy: () => null, commandTimeout: 2_000 });
  client.on('error', ignore);
  try {
    return (await client.call(name, ...args)) as string;
  } finally {
    client.disconnect();
  }
}

function pairs(flat: unknown): ReadonlyMap<string, string> {
  const texts = flat as readonly string[];
  const map = new Map<string, string>();
  for (let at = 0; at + 1 < texts.length; at += 2) map.set(texts[at] as string, texts[at + 1] as string);
  return map;
}
