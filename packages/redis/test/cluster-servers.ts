import type { LocalServer } from '@millrace/conformance';
import { startServer } from './private-server.ts';
import { ask } from './sentinel-servers.ts';
import { until } from './support.ts';

/** A cluster of one's own: three masters, and a replica of the first. */
export interface ClusterServers {
  /** Names every node. */
  readonly url: string;
  readonly masters: readonly [LocalServer, LocalServer, LocalServer];
  readonly replica: LocalServer;
  /** The master a key lies on, as the slots were dealt out in the beginning. */
  masterOf(key: string): Promise<LocalServer>;
  /** Moves the slot of a key, with all that is in it. */
  moveSlot(key: string, from: LocalServer, to: LocalServer): Promise<void>;
  close(): Promise<void>;
}

const slots = 16_384;
const portIsOfNoUse = /port number too high|port number is too high|address already in use|could not create server/i;
const nodeTimeoutMs = 1_000;

/**
 * Starts a cluster that goes on with what is left when a part is gone. It keeps everything on disk, and is gone with
 * the test.
 */
export async function startCluster(): Promise<ClusterServers> {
  const settings = [
    ...['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeoutMs)],
    ...['--cluster-require-full-coverage', 'no', '--cluster-replica-validity-factor', '0'],
    ...['--appendonly', 'yes', '--appendfsync', 'always', '--repl-diskless-sync-delay', '0'],
  ];
  const start = async (): Promise<LocalServer> => {
    for (;;) {
      try {
        const server = await startServer(settings);
        if (server === undefined) throw new Error('this test needs redis-server on the PATH');
        return server;
      } catch (error) {
        // The port is a random one, and nodes also need the one 10,000 above.
        if (!portIsOfNoUse.test((error as Error).message)) throw error;
      }
    }
  };
  const servers = await Promise.all([start(), start(), start(), start()]);
  const [first, second, third, replica] = servers as [LocalServer, LocalServer, LocalServer, LocalServer];
  const masters = [first, second, third] as const;
  for (const [index, { place }] of masters.entries()) {
    await ask(place.port, 'cluster', 'set-config-epoch', String(index + 1));
    const [from, to] = [Math.floor((slots * index) / 3), Math.floor((slots * (index + 1)) / 3) - 1];
    await ask(place.port, 'cluster', 'addslotsrange', String(from), String(to));
    await ask(first.place.port, 'cluster', 'meet', '127.0.0.1', String(place.port));
  }
  await ask(first.place.port, 'cluster', 'meet', '127.0.0.1', String(replica.place.port));
  const knows = async (port: number): Promise<boolean> => {
    const info = await ask(port, 'cluster', 'info');
    return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:4');
  };
  for (const { place } of servers) await until(() => knows(place.port), 'a cluster');
  await ask(replica.place.port, 'cluster', 'replicate', await ask(first.place.port, 'cluster', 'myid'));
  await until(async () => (await ask(first.place.port, 'info', 'replication')).includes('state=online'), 'the replica');
  const listed = async (port: number): Promise<boolean> =>
    JSON.stringify(await ask(port, 'cluster', 'slots')).includes(`${replica.place.port}`);
  for (const { place } of masters) await until(() => listed(place.port), 'the replica, known to all');
  return {
    url: `redis+cluster://${servers.map(({ place }) => `127.0.0.1:${place.port}`).join(',')}`,
    masters,
    replica,
    masterOf: async (key) => masters[Math.floor((((await slotOf(second, key)) + 1) * 3 - 1) / slots)] as LocalServer,
    moveSlot: async (key, from, to) => moveSlot(await slotOf(from, key), from, to, masters),
    close: async () => void (await Promise.all(servers.map((server) => server.close()))),
  };
}

async function slotOf({ place }: LocalServer, key: string): Promise<number> {
  return Number(await ask(place.port, 'cluster', 'keyslot', key));
}

async function moveSlot(slot: number, from: LocalServer, to: LocalServer, all: readonly LocalServer[]): Promise<void> {
  const [source, target] = [from.place.port, to.place.port];
  const [sourceId, targetId] = [await ask(source, 'cluster', 'myid'), await ask(target, 'cluster', 'myid')];
  await ask(target, 'cluster', 'setslot', String(slot), 'importing', sourceId);
  await ask(source, 'cluster', 'setslot', String(slot), 'migrating', targetId);
  for (;;) {
    const keys = await ask(source, 'cluster', 'getkeysinslot', String(slot), '3');
    if (keys.length === 0) break;
    await ask(source, 'migrate', '127.0.0.1', String(target), '', '0', '5000', 'keys', ...keys);
  }
  // The new owner first: whoever is sent there must not be sent back.
  for (const { place } of [to, from, ...all.filter((each) => each !== to && each !== from)]) {
    await ask(place.port, 'cluster', 'setslot', String(slot), 'node', targetId);
  }
}
