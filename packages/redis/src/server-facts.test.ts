import { expect, test } from 'vitest';
import { readStoreOptions, type StoreOptions } from './options.ts';
import { readServerFacts } from './server-facts.ts';

const info = (changes: Record<string, string> = {}): string => {
  const facts = { redis_version: '7.2.4', maxmemory_policy: 'noeviction', aof_enabled: '0', ...changes };
  return Object.entries(facts)
    .map(([name, value]) => `${name}:${value}`)
    .join('\r\n');
};

function factsOf(
  servers: readonly string[],
  {
    appendfsync,
    cluster = false,
    options = {},
  }: { appendfsync?: string; cluster?: boolean; options?: StoreOptions } = {},
): ReturnType<typeof readServerFacts> {
  return readServerFacts(
    { info: servers, appendfsync: servers.map(() => appendfsync), cluster },
    readStoreOptions(options),
  );
}

test.each([
  ['without an append-only file', {}, 'always', 'none'],
  ['with one written every second', { aof_enabled: '1' }, 'everysec', 'none'],
  ['with one written at each change', { aof_enabled: '1' }, 'always', 'node'],
  ['when the server does not say', { aof_enabled: '1' }, undefined, 'none'],
])('%s, an accepted task survives: %j, %s', (_what, changes, appendfsync, durability) => {
  expect(factsOf([info(changes)], { ...(appendfsync !== undefined && { appendfsync }) }).durability).toBe(durability);
});

test('a cluster is as durable as its weakest node', () => {
  const onDisk = info({ aof_enabled: '1' });
  expect(factsOf([onDisk, onDisk], { appendfsync: 'always', cluster: true }).durability).toBe('node');
  expect(factsOf([onDisk, info()], { appendfsync: 'always', cluster: true }).durability).toBe('none');
});

test('what is waited for counts', () => {
  expect(factsOf([info()], { options: { durability: { replicas: 1 } } }).durability).toBe('replicated');
  const disk = { options: { durability: { disk: true } } };
  expect(factsOf([info({ aof_enabled: '1' })], disk).durability).toBe('node');
});

test.each([
  ['an old server', [info({ redis_version: '6.0.16' })], {}, 'server-too-old'],
  ['a server that evicts', [info({ maxmemory_policy: 'allkeys-lru' })], {}, 'eviction'],
  ['one node that evicts', [info(), info({ maxmemory_policy: 'volatile-ttl' })], { cluster: true }, 'eviction'],
  ['WAIT on a cluster', [info()], { cluster: true, options: { durability: { replicas: 1 } } }, 'cluster'],
  [
    'WAITAOF before 7.2',
    [info({ redis_version: '7.0.15' })],
    { options: { durability: { disk: true } } },
    'server-too-old',
  ],
  ['WAITAOF without a file', [info()], { options: { durability: { disk: true } } }, 'no-aof'],
] as const)('%s is refused', (_what, servers, about, reason) => {
  expect(() => factsOf(servers, about)).toThrow(expect.objectContaining({ code: 'CONFIGURATION', reason }));
});

test('eviction may be accepted', () => {
  const options = { allowEviction: true };
  expect(factsOf([info({ maxmemory_policy: 'allkeys-lru' })], { options }).durability).toBe('none');
});
