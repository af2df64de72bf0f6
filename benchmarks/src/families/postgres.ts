import type { Family } from './family.ts';

const notify = 'pg-boss (notify)';

export const postgresFamily: Family = {
  name: 'postgres',
  subjects: {
    'raw:single': async () => (await import('../subjects/postgres/raw.ts')).rawSingle,
    'raw:batch-del': async () => (await import('../subjects/postgres/raw.ts')).rawDelete,
    'raw:batch-arch': async () => (await import('../subjects/postgres/raw.ts')).rawArchive,
    'graphile-worker': async () => (await import('../subjects/postgres/graphile-worker.ts')).graphileWorker,
    'pg-boss': async () => (await import('../subjects/postgres/pg-boss.ts')).pgBoss,
    [notify]: async () => (await import('../subjects/postgres/pg-boss.ts')).pgBossNotify,
    'bullmq (postgres)': async () => (await import('../subjects/postgres/bullmq.ts')).bullmq,
    millrace: async () => (await import('../subjects/postgres/millrace.ts')).millrace,
  },
  enqueues: ['sequential', 'concurrent', 'bulk'],
  only: {
    [notify]: ['latency'],
    // Enqueues as the other does.
    'raw:batch-del': ['backlog'],
  },
  latency: ['raw:single', 'graphile-worker', 'pg-boss', notify, 'bullmq (postgres)', 'millrace'],
  growth: ['raw:batch-arch', 'graphile-worker', 'millrace'],
  extras: ['claim'],
  tasks: 200_000,
  unbatchedShare: 0.1,
  ceilings: { usual: 'raw:batch-arch', sequential: 'raw:single', latency: 'raw:single' },
  targets: [
    { kind: 'rate', workload: 'concurrent', than: 'best peer', atLeast: 10 },
    { kind: 'rate', workload: 'bulk', than: 'best peer', atLeast: 1.3 },
    { kind: 'rate', workload: 'backlog-1', than: 'graphile-worker', atLeast: 1 },
    { kind: 'rate', workload: 'backlog-10', than: 'graphile-worker', atLeast: 1 },
    { kind: 'rate', workload: 'backlog-100', than: 'graphile-worker', atLeast: 1 },
    { kind: 'rate', workload: 'backlog-100', than: 'raw:batch-arch', atLeast: 0.6 },
    { kind: 'rate', workload: 'sequential', than: 'raw:single', atLeast: 0.85 },
    { kind: 'claim', atMost: 1.5 },
  ],
  packages: ['graphile-worker', 'pg-boss', 'bullmq', 'pg'],
  notes: [
    'Each run has a database of its own, copied from a template, and vacuumed, analysed and checkpointed before it.',
  ],
};
