import {
  type Clock,
  ConfigurationError,
  type Duration,
  parseDuration,
  systemClock,
  ValidationError,
} from '@millrace/core';
import { checkInteger, checkKnownOptions, checkName, kindOf } from '@millrace/core/adapter';
import type { Cluster, ClusterNode, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { requirePrefix } from './keys.ts';

/** How long, and how many, finished tasks are kept. They live in memory: the counts bound it whatever the load. */
export interface RetentionOptions {
  /** Succeeded and cancelled tasks. Default `'7d'`; `false` keeps them for ever. */
  readonly succeeded?: Duration | false;
  /** Dead tasks. Default `'30d'`; `false` keeps them for ever. */
  readonly failed?: Duration | false;
  /** Most succeeded and cancelled tasks kept per queue, the latest. Default 100,000; `false` has no limit. */
  readonly maxSucceeded?: number | false;
  /** Most dead tasks kept per queue, the latest. Default 100,000; `false` has no limit. */
  readonly maxFailed?: number | false;
}

/** What every write waits for before it is answered. Each costs a round trip to others, or to the disk. */
export interface DurabilityOptions {
  /** Replicas that have received the write (`WAIT`), at least 1. */
  readonly replicas?: number;
  /** The write is on the server's disk (`WAITAOF`): Redis 7.2 with `appendonly yes`. */
  readonly disk?: boolean;
}

/** Options of {@link redisBroker} besides the way to a server. */
export interface StoreOptions {
  /** Begins every key, without braces. Brokers see each other's tasks if they use the same. Default `'millrace'`. */
  readonly prefix?: string;
  /** Default `{ succeeded: '7d', failed: '30d', maxSucceeded: 100_000, maxFailed: 100_000 }`; `false` keeps everything. */
  readonly retention?: RetentionOptions | false;
  /** Largest input with its headers, in bytes of UTF-8. Default 1,048,576. */
  readonly maxPayloadBytes?: number;
  /** Most tasks that may wait in a queue; more are rejected with `BackpressureError`. Default `false`: no limit. */
  readonly maxQueueLength?: number | false;
  /** What a write waits for. Default: the server's answer alone. Not for clusters. */
  readonly durability?: DurabilityOptions;
  /** Work with a server that may throw tasks away when its memory is full. Default `false`: refused when opening. */
  readonly allowEviction?: boolean;
  /** How long an idle worker sleeps at most before it looks for work, whatever it was told. Default `'1s'`. */
  readonly pollInterval?: Duration;
  /** Time limit of every call that does not wait for work. Default `'10s'`. */
  readonly operationTimeout?: Duration;
  /** Time for heartbeats, polls and deadlines; the server's clock decides everything else. Default: the machine's. */
  readonly clock?: Clock;
}

/** Ways to a server, one of them. */
export type ConnectionOptions =
  /** `redis://…`, `rediss://…`; with `?sentinel=<name>` or `?cluster=true` several hosts, divided by commas. */
  | { readonly url: string }
  /** Options of ioredis: a server, or `sentinels` and `name`. */
  | { readonly connection: RedisOptions }
  /** Nodes of a cluster to begin with. */
  | { readonly cluster: { readonly nodes: readonly ClusterNode[]; readonly options?: ClusterOptions } }
  /** A client of yours, as a pattern: connections like it are made, it is not used itself and stays open. */
  | { readonly client: Redis | Cluster }
  /** Makes a client each time it is called. Make it with `lazyConnect`; the broker closes it. */
  | { readonly connect: () => Redis | Cluster };

/** Options of {@link redisBroker}: exactly one of `url`, `connection`, `cluster`, `client` and `connect`. */
export type RedisBrokerOptions = StoreOptions & ConnectionOptions;

/** {@link StoreOptions}, checked and complete. */
export interface StoreSettings {
  readonly prefix: string;
  readonly succeededMs: number | null;
  readonly failedMs: number | null;
  readonly maxSucceeded: number | null;
  readonly maxFailed: number | null;
  readonly maxPayloadBytes: number;
  readonly maxQueueLength: number | null;
  readonly replicas: number;
  readonly disk: boolean;
  readonly allowEviction: boolean;
  readonly pollMs: number;
  readonly operationTimeoutMs: number;
  readonly clock: Clock;
}

const ways = ['url', 'connection', 'cluster', 'client', 'connect'] as const;
const storeOptions = [
  'prefix',
  'retention',
  'maxPayloadBytes',
  'maxQueueLength',
  'durability',
  'allowEviction',
  'pollInterval',
  'operationTimeout',
  'clock',
] as const;

/** @throws ValidationError naming the option */
export function checkRedisOptions(options: RedisBrokerOptions, caller: string): void {
  checkKnownOptions(options, [...ways, ...storeOptions], caller);
  const values = options as Partial<Record<(typeof ways)[number], unknown>>;
  const given = ways.filter((way) => values[way] !== undefined);
  if (given.length !== 1) {
    throw new ValidationError(`${caller} needs exactly one of ${ways.join(', ')}`, { option: 'url' });
  }
  const { url, connection, cluster, client, connect } = values;
  if (url !== undefined && typeof url !== 'string') {
    throw new ValidationError(`url must be a string; got ${kindOf(url)}`, { option: 'url' });
  }
  if (connection !== undefined && (typeof connection !== 'object' || connection === null)) {
    throw new ValidationError(`connection must be options of ioredis; got ${kindOf(connection)}`, {
      option: 'connection',
    });
  }
  if (cluster !== undefined && !isClusterOption(cluster)) {
    throw new ValidationError('cluster must be { nodes: [{ host, port }] } with at least one node', {
      option: 'cluster',
    });
  }
  if (client !== undefined && typeof (client as Partial<Redis>).duplicate !== 'function') {
    throw new ValidationError("client must be a Redis or a Cluster of 'ioredis'", { option: 'client' });
  }
  if (connect !== undefined && typeof connect !== 'function') {
    throw new ValidationError('connect must be a function that returns a client of ioredis', { option: 'connect' });
  }
}

function isClusterOption(value: unknown): boolean {
  const nodes: unknown = (value as { nodes?: unknown } | null)?.nodes;
  return Array.isArray(nodes) && nodes.length > 0;
}

/** @throws ValidationError naming the option */
export function readStoreOptions(options: StoreOptions): StoreSettings {
  const kept = readRetention(options.retention);
  const { replicas, disk } = readDurability(options.durability);
  const { allowEviction } = options;
  if (allowEviction !== undefined && typeof allowEviction !== 'boolean') {
    throw new ValidationError(`allowEviction must be true or false; got ${kindOf(allowEviction)}`, {
      option: 'allowEviction',
    });
  }
  return {
    prefix: requirePrefix(checkName(options.prefix ?? 'millrace', 'prefix')),
    ...kept,
    maxPayloadBytes: checkInteger(options.maxPayloadBytes ?? 1_048_576, 'maxPayloadBytes', 1, 268_435_456),
    maxQueueLength: readCount(options.maxQueueLength ?? false, 'maxQueueLength'),
    replicas,
    disk,
    allowEviction: allowEviction ?? false,
    pollMs: readSpan(options.pollInterval ?? '1s', 'pollInterval'),
    operationTimeoutMs: readSpan(options.operationTimeout ?? '10s', 'operationTimeout'),
    clock: options.clock ?? systemClock,
  };
}

function readRetention(
  retention: RetentionOptions | false = {},
): Pick<StoreSettings, 'succeededMs' | 'failedMs' | 'maxSucceeded' | 'maxFailed'> {
  if (retention === false) return { succeededMs: null, failedMs: null, maxSucceeded: null, maxFailed: null };
  checkKnownOptions(retention, ['succeeded', 'failed', 'maxSucceeded', 'maxFailed'], 'retention');
  const { succeeded = '7d', failed = '30d', maxSucceeded = 100_000, maxFailed = 100_000 } = retention;
  return {
    succeededMs: succeeded === false ? null : parseDuration(succeeded, 'retention.succeeded'),
    failedMs: failed === false ? null : parseDuration(failed, 'retention.failed'),
    maxSucceeded: readCount(maxSucceeded, 'retention.maxSucceeded'),
    maxFailed: readCount(maxFailed, 'retention.maxFailed'),
  };
}

function readCount(value: number | false, option: string): number | null {
  return value === false ? null : checkInteger(value, option, 1, Number.MAX_SAFE_INTEGER);
}

function readDurability(durability: DurabilityOptions = {}): { readonly replicas: number; readonly disk: boolean } {
  checkKnownOptions(durability, ['replicas', 'disk'], 'durability');
  const { replicas, disk = false } = durability;
  if (typeof disk !== 'boolean') {
    throw new ValidationError(`durability.disk must be true or false; got ${kindOf(disk)}`, {
      option: 'durability.disk',
    });
  }
  return { replicas: replicas === undefined ? 0 : checkInteger(replicas, 'durability.replicas', 1, 1_000), disk };
}

function readSpan(value: Duration, option: string): number {
  const ms = parseDuration(value, option);
  if (ms >= 1 && ms <= 2_147_483_647) return ms;
  throw new ValidationError(`${option} must be from 1 ms to 24 days`, { option });
}

/** Parameters of a URL that are options of ours. */
const urlOptions: Readonly<Record<string, (text: string) => unknown>> = {
  prefix: (text) => text,
  maxPayloadBytes: Number,
  maxQueueLength: Number,
  allowEviction: readBoolean,
  pollInterval: (text) => text,
  operationTimeout: (text) => text,
};

/** Takes our parameters out of a URL's; what is left is refused. @throws ConfigurationError naming the parameter */
export function takeUrlOptions(parameters: URLSearchParams, ofTheWay: readonly string[]): StoreOptions {
  const options: Record<string, unknown> = {};
  for (const [name, text] of parameters) {
    const read = urlOptions[name];
    if (read !== undefined && Object.hasOwn(urlOptions, name)) options[name] = read(text);
    else if (!ofTheWay.includes(name)) {
      const known = [...Object.keys(urlOptions), ...ofTheWay].join(', ');
      throw new ConfigurationError(`the URL has an unknown parameter '${name}'; known are ${known}`, {
        option: 'url',
        reason: 'unknown-option',
      });
    }
  }
  return options as StoreOptions;
}

function readBoolean(text: string): unknown {
  if (text === 'true' || text === '1' || text === '') return true;
  return text === 'false' || text === '0' ? false : text;
}
