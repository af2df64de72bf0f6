import { type Capabilities, ConfigurationError } from '@millrace/core';
import type { StoreSettings } from './options.ts';

/** What was found out about the server when it was opened. */
export interface ServerFacts {
  /** `redis 7.0.15`, `valkey 8.0.1`. */
  readonly server: string;
  readonly durability: Capabilities['durability'];
}

/** What the facts are read from. */
export interface ServerAnswers {
  /** Answers to INFO, one per master. */
  readonly info: readonly string[];
  /** Answers to CONFIG GET appendfsync, one per master; absent where the server does not tell. */
  readonly appendfsync: readonly (string | undefined)[];
  readonly cluster: boolean;
}

const oldest: readonly [number, number] = [6, 2];
const withWaitAof: readonly [number, number] = [7, 2];
const where = { op: 'open', adapter: 'redis' } as const;

/**
 * Reads what servers say of themselves. Durability is what they promise at least: what cannot be found out counts as
 * none.
 * @throws ConfigurationError when a server will not do
 */
export function readServerFacts(answers: ServerAnswers, settings: StoreSettings): ServerFacts {
  const servers = answers.info.map(parseInfo);
  for (const info of servers) checkServer(info, settings);
  if (answers.cluster && (settings.replicas > 0 || settings.disk)) {
    throw refusal(
      'durability cannot be asked of a cluster: WAIT and WAITAOF speak to one node only; leave the option out',
      'cluster',
    );
  }
  if (settings.disk) for (const info of servers) checkWaitAof(info);
  const onDisk = answers.info.length > 0 && servers.every((info, index) => syncs(info, answers.appendfsync[index]));
  const durability = settings.replicas > 0 ? 'replicated' : onDisk || settings.disk ? 'node' : 'none';
  const [first] = servers;
  const version = first?.get('valkey_version') ?? first?.get('redis_version') ?? 'unknown';
  return { server: `${first?.get('server_name') ?? 'redis'} ${version}`, durability };
}

type Info = ReadonlyMap<string, string>;

function parseInfo(text: string): Info {
  const pairs = text.split('\r\n').map((line) => line.split(/:(.*)/s, 2) as [string, string]);
  return new Map(pairs.filter(([, value]) => value !== undefined));
}

function checkServer(info: Info, settings: StoreSettings): void {
  const version = info.get('redis_version') ?? '0';
  if (!isAtLeast(version, oldest)) {
    throw refusal(`open: the server is older than Redis ${oldest.join('.')} (it is ${version})`, 'server-too-old');
  }
  const policy = info.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction' && !settings.allowEviction) {
    throw refusal(
      `open: maxmemory-policy is ${policy}, with which a full server may throw tasks away without a word; ` +
        'set it to noeviction (CONFIG SET maxmemory-policy noeviction), or pass allowEviction: true to accept the loss',
      'eviction',
    );
  }
}

function checkWaitAof(info: Info): void {
  const version = info.get('redis_version') ?? '0';
  if (!isAtLeast(version, withWaitAof)) {
    throw refusal(`durability.disk needs WAITAOF, which Redis ${version} lacks; 7.2 has it`, 'server-too-old');
  }
  if (info.get('aof_enabled') !== '1') {
    throw refusal('durability.disk needs the append-only file; set appendonly yes', 'no-aof');
  }
}

/** Whether an answered write is on the server's disk. */
function syncs(info: Info, appendfsync: string | undefined): boolean {
  return info.get('aof_enabled') === '1' && appendfsync === 'always';
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ours = 0, least = 0] = version.split('.').map(Number);
  return ours > major || (ours === major && least >= minor);
}

function refusal(message: string, reason: string): ConfigurationError {
  return new ConfigurationError(message, { ...where, reason });
}
