// The lanes of `npm test -- --only a,b`: which files belong to each, and which servers they need; tools/test.mjs starts
// those. vitest.config.mjs makes one vitest project of each, or of all that name the same one. `computes`: its tests wait
// for little but the processor; they come first, as many files at once as there are processors: more would only hinder
// each other. The others wait for servers, processes and clocks. `isolate: false`: its files leave nothing behind in
// their process, so the next one of the project need not load everything anew.

/** @type {Record<string, { include: string[], servers: string[], timeoutMs: number, project?: string, isolate?: boolean, computes?: boolean }>} */
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
    isolate: false,
    computes: true,
  },
  // The packaged suite under other test runners; fetches them from npm when they are not there yet.
  runners: { include: ['tools/runners/*.test.mjs'], servers: [], timeoutMs: 60_000, computes: true },
  memory: { include: ['packages/memory/test/**/*.test.ts'], servers: [], timeoutMs: 30_000, computes: true },
  pglite: {
    include: ['packages/postgres/test/**/pglite*.test.ts'],
    servers: [],
    timeoutMs: 60_000,
    computes: true,
  },
  postgres: {
    include: ['packages/postgres/test/**/!(pglite|fault)*.test.ts'],
    servers: ['postgres', 'pgbouncer'],
    timeoutMs: 60_000,
    project: 'servers',
    isolate: false,
  },
  faults: {
    include: ['packages/{postgres,redis}/test/**/fault*.test.ts'],
    servers: ['postgres', 'redis'],
    // Some mutants are only noticed at the end of a scenario's patience.
    timeoutMs: 300_000,
    project: 'servers',
    isolate: false,
  },
  amqp: {
    include: ['packages/amqp/test/**/!(guarded)*.test.ts', 'examples/amqp-wire/test/**/*.test.ts'],
    servers: ['rabbitmq'],
    timeoutMs: 180_000,
    project: 'servers',
    isolate: false,
  },
  // RabbitMQ with a store beside it.
  'amqp-guard': {
    include: ['packages/amqp/test/guarded*.test.ts'],
    servers: ['postgres', 'redis', 'rabbitmq'],
    timeoutMs: 180_000,
    project: 'servers',
    isolate: false,
  },
  redis: {
    include: ['packages/redis/test/**/!(fault)*.test.ts'],
    servers: ['redis'],
    timeoutMs: 60_000,
    project: 'servers',
    isolate: false,
  },
  examples: {
    include: ['examples/!(amqp-wire)/test/**/*.test.ts'],
    servers: ['postgres', 'redis', 'rabbitmq'],
    timeoutMs: 120_000,
  },
};

/** Where tools/test.mjs says which lanes were chosen. */
export const CHOSEN_LANES = 'MILLRACE_TEST_LANES';

/** One vitest project for each name that lanes have in common. */
export function projectsOf(names) {
  const projects = new Map();
  for (const name of names) {
    const { project = name, include, timeoutMs, isolate, computes = false } = lanes[name];
    const known = projects.get(project);
    projects.set(project, {
      name: project,
      include: [...(known?.include ?? []), ...include],
      timeoutMs: Math.max(known?.timeoutMs ?? 0, timeoutMs),
      isolate,
      computes,
    });
  }
  return [...projects.values()];
}
