// The lanes of `npm test -- --only a,b`: which files belong to each, and which servers they need; tools/test.mjs starts
// those. vitest.config.mjs makes one vitest project of those that compute and one of those that wait, because each project
// reads and translates all sources for itself. What computes comes first, about as many files at once as there are
// processors: more would only hinder each other. What waits for servers, processes and clocks can be many at once. Files
// leave nothing behind in their process, so the next one need not load everything anew.

/** @type {Record<string, { include: string[], servers: string[], timeoutMs: number, computes?: boolean }>} */
export const lanes = {
  unit: {
    include: [
      'packages/*/src/**/*.test.ts',
      'conformance/src/**/*.test.ts',
      'conformance/test/**/*.test.ts',
      'benchmarks/src/**/*.test.ts',
      'tools/*.test.mjs',
      'tools/!(runners)/**/*.test.mjs',
    ],
    servers: [],
    timeoutMs: 30_000,
    computes: true,
  },
  // The packaged suite under other test runners; fetches them from npm when they are not there yet.
  runners: { include: ['tools/runners/*.test.mjs'], servers: [], timeoutMs: 60_000, computes: true },
  memory: { include: ['packages/memory/test/**/*.test.ts'], servers: [], timeoutMs: 30_000, computes: true },
  pglite: { include: ['packages/postgres/test/**/pglite*.test.ts'], servers: [], timeoutMs: 60_000, computes: true },
  postgres: {
    include: ['packages/postgres/test/**/!(pglite|fault)*.test.ts'],
    servers: ['postgres', 'pgbouncer'],
    timeoutMs: 60_000,
  },
  faults: {
    include: ['packages/{postgres,redis}/test/**/fault*.test.ts'],
    servers: ['postgres', 'redis'],
    // Some mutants are only noticed at the end of a scenario's patience, which is long where the machine is slow.
    timeoutMs: 600_000,
  },
  amqp: {
    include: ['packages/amqp/test/**/!(guarded)*.test.ts', 'examples/amqp-wire/test/**/*.test.ts'],
    servers: ['rabbitmq'],
    timeoutMs: 180_000,
  },
  // RabbitMQ with a store beside it.
  'amqp-guard': {
    include: ['packages/amqp/test/guarded*.test.ts'],
    servers: ['postgres', 'redis', 'rabbitmq'],
    timeoutMs: 180_000,
  },
  redis: {
    include: ['packages/redis/test/**/!(fault)*.test.ts'],
    servers: ['redis'],
    timeoutMs: 60_000,
  },
  examples: {
    include: ['examples/!(amqp-wire)/test/**/*.test.ts'],
    servers: ['postgres', 'redis', 'rabbitmq'],
    timeoutMs: 120_000,
  },
};

/** Where tools/test.mjs says which lanes were chosen. */
export const CHOSEN_LANES = 'MILLRACE_TEST_LANES';

/** The vitest projects that lanes make up. */
export function projectsOf(names) {
  const projects = [
    { name: 'computes', lanes: names.filter((name) => lanes[name].computes) },
    { name: 'waits', lanes: names.filter((name) => !lanes[name].computes) },
  ];
  return projects
    .filter((project) => project.lanes.length > 0)
    .map((project) => ({
      name: project.name,
      include: project.lanes.flatMap((name) => lanes[name].include),
      timeoutMs: Math.max(...project.lanes.map((name) => lanes[name].timeoutMs)),
    }));
}
