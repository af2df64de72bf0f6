// The lanes of `npm test -- --only a,b`: which files belong to each, and which servers they need.
// vitest.config.mjs makes one vitest project of each; tools/test.mjs starts the servers. `computes`: its tests wait for
// nothing but the processor, so more of them at once than there are processors would only hinder each other. `isolate:
// false`: its files leave nothing behind in their process, so the next one need not load everything anew.

/** @type {Record<string, { include: string[], exclude?: string[], servers: string[], timeoutMs: number, isolate?: boolean, computes?: boolean }>} */
export const lanes = {
  unit: {
    include: [
      'packages/*/src/**/*.test.ts',
      'conformance/src/**/*.test.ts',
      'conformance/test/**/*.test.ts',
      'benchmarks/src/**/*.test.ts',
      'tools/**/*.test.mjs',
    ],
    exclude: ['tools/runners/**'],
    servers: [],
    timeoutMs: 30_000,
    isolate: false,
    computes: true,
  },
  // The packaged suite under other test runners; fetches them from npm when they are not there yet.
  runners: { include: ['tools/runners/*.test.mjs'], servers: [], timeoutMs: 60_000 },
  memory: { include: ['packages/memory/test/**/*.test.ts'], servers: [], timeoutMs: 30_000, computes: true },
  pglite: {
    include: ['packages/postgres/test/**/pglite*.test.ts'],
    servers: [],
    timeoutMs: 60_000,
    computes: true,
  },
  postgres: {
    include: ['packages/postgres/test/**/*.test.ts'],
    exclude: ['packages/postgres/test/**/pglite*.test.ts', 'packages/postgres/test/**/fault*.test.ts'],
    servers: ['postgres', 'pgbouncer'],
    timeoutMs: 60_000,
    isolate: false,
  },
  faults: {
    include: ['packages/{postgres,redis}/test/**/fault*.test.ts'],
    servers: ['postgres', 'redis'],
    // Some mutants are only noticed at the end of a scenario's patience.
    timeoutMs: 300_000,
    isolate: false,
  },
  amqp: {
    include: ['packages/amqp/test/**/*.test.ts', 'examples/amqp-wire/test/**/*.test.ts'],
    exclude: ['packages/amqp/test/guarded*.test.ts'],
    servers: ['rabbitmq'],
    timeoutMs: 180_000,
    isolate: false,
  },
  // RabbitMQ with a store beside it.
  'amqp-guard': {
    include: ['packages/amqp/test/guarded*.test.ts'],
    servers: ['postgres', 'redis', 'rabbitmq'],
    timeoutMs: 180_000,
    isolate: false,
  },
  redis: {
    include: ['packages/redis/test/**/*.test.ts'],
    exclude: ['packages/redis/test/**/fault*.test.ts'],
    servers: ['redis'],
    timeoutMs: 60_000,
    isolate: false,
  },
  examples: {
    include: ['examples/*/test/**/*.test.ts'],
    exclude: ['examples/amqp-wire/**'],
    servers: ['postgres', 'redis', 'rabbitmq'],
    timeoutMs: 120_000,
  },
};
