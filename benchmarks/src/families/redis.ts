import type { Target } from '../report/targets.ts';
import type { Family } from './family.ts';

const throughput = ['concurrent', 'bulk', 'backlog-1', 'backlog-10', 'backlog-100'];

const targets: readonly Target[] = [
  ...throughput.map((workload): Target => ({ kind: 'rate', workload, than: 'bee-queue', atLeast: 1 })),
  ...throughput.map((workload): Target => ({ kind: 'rate', workload, than: 'bullmq', atLeast: 3 })),
  ...throughput.map((workload): Target => ({ kind: 'rate', workload, than: 'raw:lua', atLeast: 0.5 })),
  { kind: 'latency', than: 'bullmq' },
  { kind: 'claim', atMost: 1.5 },
];

export const redisFamily: Family = {
  name: 'redis',
  subjects: {
    'raw:single': async () => (await import('../subjects/redis/raw.ts')).rawSingle,
    'raw:lua': async () => (await import('../subjects/redis/raw.ts')).rawLua,
    'raw:lua-arch': async () => (await import('../subjects/redis/raw.ts')).rawLuaArchive,
    bullmq: async () => (await import('../subjects/redis/bullmq.ts')).bullmq,
    'bee-queue': async () => (await import('../subjects/redis/bee-queue.ts')).beeQueue,
    millrace: async () => (await import('../subjects/redis/millrace.ts')).millrace,
  },
  enqueues: ['sequential', 'concurrent', 'bulk'],
  // Enqueues as the other does.
  only: { 'raw:lua-arch': ['backlog'] },
  latency: ['raw:single', 'bullmq', 'bee-queue', 'millrace'],
  growth: ['raw:lua', 'bullmq', 'bee-queue', 'millrace'],
  extras: ['memory', 'claim'],
  tasks: 100_000,
  unbatchedShare: 0.2,
  ceilings: { usual: 'raw:lua', sequential: 'raw:single', latency: 'raw:single' },
  targets,
  packages: ['bullmq', 'bee-queue', 'ioredis'],
  notes: [
    'The database is emptied before each run, and the append-only file rewritten before the clock starts; no rewrite runs later.',
    'glide-mq, named as a peer in our plans, is not on the npm registry and is therefore not measured.',
  ],
};
