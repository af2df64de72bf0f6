import { ConfigurationError } from '@millrace/core';
import type { ClusterNode, RedisOptions } from 'ioredis';

/** What a URL says about the way to a server. */
export interface RedisAddress {
  readonly topology: 'single' | 'sentinel' | 'cluster';
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** Of the master, behind Sentinels. */
  readonly masterName?: string;
  readonly options: RedisOptions;
  readonly parameters: URLSearchParams;
}

/** Parameters of a URL that say where to connect. */
export const addressParameters: readonly string[] = ['db', 'sentinel', 'cluster', 'sentinelPassword'];

const shape =
  /^(redis|rediss|redis\+sentinel|redis\+cluster|rediss\+sentinel|rediss\+cluster):\/\/(?:([^@]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;

/**
 * Reads a URL without ever quoting it: it may hold a password. `redis://host`, `rediss://user:password@host:6380/2`,
 * `redis://a:26379,b:26379?sentinel=mymaster`, `redis://a:7000,b:7000?cluster=true`; `redis+sentinel://a,b/mymaster` and
 * `redis+cluster://a,b` say the same.
 * @throws ConfigurationError
 */
export function parseUrl(url: string): RedisAddress {
  const match = shape.exec(url);
  if (match === null) {
    throw invalid(
      'the URL cannot be read; it should look like redis://user:password@host:6379/0, with special characters escaped as in %40',
    );
  }
  const [, scheme = '', credentials, hosts = '', path = '', query = ''] = match;
  const [protocol, kind] = scheme.toLowerCase().split('+');
  const parameters = new URLSearchParams(query);
  const masterName = kind === 'sentinel' ? decode(path) : (parameters.get('sentinel') ?? undefined);
  const isCluster = kind === 'cluster' || ['true', '1', ''].includes(parameters.get('cluster') ?? 'false');
  if (masterName !== undefined && isCluster) throw invalid('the URL asks for Sentinel and for a cluster; choose one');
  if (masterName === '') throw invalid('the URL lacks the name of the master: redis+sentinel://host:26379/mymaster');
  const topology = isCluster ? 'cluster' : masterName === undefined ? 'single' : 'sentinel';
  const nodes = hosts.split(',').map((host) => readHost(host, topology === 'sentinel' ? 26_379 : 6_379));
  if (topology === 'single' && nodes.length > 1) {
    throw invalid('the URL names several hosts; add ?cluster=true or ?sentinel=<name of the master>');
  }
  const db = readDatabase(kind === 'sentinel' ? '' : path, parameters.get('db'));
  if (topology === 'cluster' && db !== 0) throw invalid('a cluster has database 0 only');
  return {
    topology,
    nodes,
    ...(masterName !== undefined && { masterName }),
    options: {
      ...readCredentials(credentials),
      ...(db !== 0 && { db }),
      ...(protocol === 'rediss' && { tls: {} }),
      ...(parameters.get('sentinelPassword') !== null && {
        sentinelPassword: parameters.get('sentinelPassword') as string,
      }),
    },
    parameters,
  };
}

/** What ioredis is told to connect to an address that is no cluster. */
export function connectionOf(address: RedisAddress): RedisOptions {
  const [first] = address.nodes;
  const { tls } = address.options;
  if (address.topology === 'single') return { ...address.options, ...first };
  return {
    ...address.options,
    sentinels: address.nodes.map((node) => ({ ...node })),
    name: address.masterName as string,
    ...(tls !== undefined && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
  };
}

/** What ioredis is told to connect to a cluster. */
export function clusterNodesOf(address: RedisAddress): ClusterNode[] {
  return address.nodes.map((node) => ({ ...node }));
}

function readHost(text: string, defaultPort: number): { readonly host: string; readonly port: number } {
  const match = /^(\[[^\]]+\]|[^:[\]]*)(?::(\d{1,5}))?$/.exec(text);
  const host = decode(match?.[1]?.replace(/^\[|\]$/g, '') ?? '');
  const port = Number(match?.[2] ?? defaultPort);
  if (match === null || port < 1 || port > 65_535) throw invalid('a host of the URL cannot be read; write host:port');
  return { host: host === '' ? 'localhost' : host, port };
}

function readDatabase(path: string, parameter: string | null): number {
  const text = parameter ?? path;
  if (text === '') return 0;
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw invalid('the path of the URL must be the number of a database, such as /0');
}

function readCredentials(credentials: string | undefined): { username?: string; password?: string } {
  if (credentials === undefined || credentials === '') return {};
  const colon = credentials.indexOf(':');
  // `redis://secret@host` is how some write a password alone; a user without one makes no sense.
  const [user, password] = colon < 0 ? ['', credentials] : [credentials.slice(0, colon), credentials.slice(colon + 1)];
  return { ...(user !== '' && { username: decode(user) }), password: decode(password) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('the URL holds a percent sign that begins no escape; write %25');
  }
}

function invalid(message: string): ConfigurationError {
  return new ConfigurationError(message, { option: 'url', reason: 'invalid-url' });
}
