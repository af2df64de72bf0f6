import type { Clock, TimerHandle } from '@millrace/core';
import { reconnectDelay } from '@millrace/core/adapter';
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import type { Client, Driver } from './driver.ts';
import type { RedisBrokerOptions } from './options.ts';
import { clusterNodesOf, connectionOf, parseUrl } from './url.ts';

/** Makes a client that is not connected yet. */
export type MakeClient = (driver: Driver, name: string) => Client;

type OwnOptions = RedisOptions & { readonly replyMapping: 'legacy' };
type OwnClusterOptions = ClusterOptions & {
  readonly redisOptions: NonNullable<ClusterOptions['redisOptions']> & { readonly replyMapping: 'legacy' };
};

/**
 * What every connection of ours has, whatever the caller's options say. Nothing is queued here or sent twice behind our
 * back: ioredis would repeat a command whose answer was lost, and then say what became of the repetition.
 */
function ownOptions(name: string, connectTimeout: number): OwnOptions {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: null,
    enableAutoPipelining: false,
    // RESP 2 is what every server since 6.2 speaks, and is read faster.
    protocol: 2,
    replyMapping: 'legacy',
    keyPrefix: '',
    stringNumbers: false,
    connectionName: name,
    disableClientInfo: true,
    connectTimeout,
    sentinelCommandTimeout: connectTimeout,
    // An old master that lives takes writes for seconds after another has its place, and throws them away.
    failoverDetector: true,
    // A dead link does not say goodbye.
    disconnectTimeout: 200,
    retryStrategy: pauseBefore,
  };
}

/** A machine that is gone does not refuse. Another one may have its place by the next attempt. */
const longestConnectMs = 3_000;

/** Sessions are short-lived: whoever waits long after the server is back has lost its tasks by then. */
const longestPauseMs = 1_000;

function pauseBefore(attempt: number): number {
  return Math.min(reconnectDelay(attempt), longestPauseMs * (0.5 + Math.random() / 2));
}

function ownClusterOptions(name: string, connectTimeout: number, given: ClusterOptions = {}): OwnClusterOptions {
  const { retryStrategy: _none, enableOfflineQueue: _neither, ...redisOptions } = ownOptions(name, connectTimeout);
  return {
    slotsRefreshInterval: 5_000,
    // The driver gives a node one second to tell who has which slots, whatever else it may take.
    slotsRefreshTimeout: connectTimeout,
    ...given,
    lazyConnect: true,
    enableOfflineQueue: false,
    scaleReads: 'master',
    // A closed connection is ours to judge: what was sent may have been applied.
    retryDelayOnFailover: 0,
    // Refusals are repeated by us, who know the deadline.
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: 1,
    clusterRetryStrategy: pauseBefore,
    keyPrefix: '',
    redisOptions: { ...given.redisOptions, ...redisOptions },
  };
}

/** Clients that were ended for good. */
const left = new WeakSet<Client>();
const ignore = (): void => {};

/** Makes a client try again where the driver would not. */
export function keepTrying(client: Client, timeoutMs: number, clock: Clock): void {
  leaveSilentServers(client, timeoutMs, clock);
  let failures = 0;
  client.on('ready', () => {
    failures = 0;
  });
  // ioredis gives up when it hears of a failover while it is asking the Sentinels for the master. Nobody may call then.
  client.on('end', () => {
    failures += 1;
    clock.setTimer(() => {
      if (!left.has(client) && client.status === 'end') client.connect().catch(ignore);
    }, pauseBefore(failures));
  });
}

/**
 * A server may take a connection and then say nothing, as one that is frozen does. Where only one server can be meant,
 * trying again leads to it as well, so it is waited for.
 */
function leaveSilentServers(client: Client, timeoutMs: number, clock: Clock): void {
  if (!client.isCluster && !(client as Redis).options.sentinels) return;
  let timer: TimerHandle | undefined;
  const heard = (): void => {
    if (timer !== undefined) clock.clearTimer(timer);
    timer = undefined;
  };
  client.on('connect', () => {
    heard();
    timer = clock.setTimer(() => client.disconnect(true), Math.min(timeoutMs, longestConnectMs));
  });
  for (const event of ['ready', 'close', 'end']) client.on(event, heard);
}

/** Ends a client for good. */
export function disconnect(client: Client): void {
  left.add(client);
  // One that has just been connecting would begin to watch the Sentinels, and never stop.
  if (!client.isCluster) (client as Redis).options.failoverDetector = false;
  client.disconnect();
}

/** The way to a server that the options describe. @throws ConfigurationError for a URL that is none */
export function clientMaker(options: RedisBrokerOptions, operationTimeoutMs: number): MakeClient {
  const connectTimeout = Math.min(operationTimeoutMs, longestConnectMs);
  const own = (name: string): OwnOptions => ownOptions(name, connectTimeout);
  if ('connect' in options && options.connect !== undefined) {
    const { connect } = options;
    return () => connect();
  }
  if ('client' in options && options.client !== undefined) {
    const { client } = options;
    return (_driver, name) =>
      client.isCluster
        ? (client as Cluster).duplicate([], ownClusterOptions(name, connectTimeout, client.options as ClusterOptions))
        : ((client as Redis).duplicate(own(name)) as Redis);
  }
  if ('cluster' in options && options.cluster !== undefined) {
    const { nodes, options: given } = options.cluster;
    return (driver, name) => new driver.Cluster([...nodes], ownClusterOptions(name, connectTimeout, given));
  }
  if ('connection' in options && options.connection !== undefined) {
    const { connection } = options;
    return (driver, name) => new driver.Redis({ ...connection, ...own(name) });
  }
  const address = parseUrl((options as { readonly url: string }).url);
  if (address.topology === 'cluster') {
    const nodes = clusterNodesOf(address);
    const given: ClusterOptions = { redisOptions: address.options };
    return (driver, name) => new driver.Cluster(nodes, ownClusterOptions(name, connectTimeout, given));
  }
  const connection = connectionOf(address);
  return (driver, name) => new driver.Redis({ ...connection, ...own(name) });
}
