import type { Target } from '../report/targets.ts';
import type { Family } from './family.ts';

const throughput = ['concurrent', 'bulk', 'backlog-1', 'backlog-10', 'backlog-100'];

const targets: readonly Target[] = [
  ...['concurrent', 'backlog-100'].map((workload): Target => ({ kind: 'rate', workload, than: 'raw', atLeast: 0.7 })),
  ...throughput.map((workload): Target => ({ kind: 'rate', workload, than: 'best peer', atLeast: 1 })),
  { kind: 'delays', latenessMs: 1500 },
];

export const amqpFamily: Family = {
  name: 'amqp',
  subjects: {
    raw: async () => (await import('../subjects/amqp/raw.ts')).raw,
    rascal: async () => (await import('../subjects/amqp/rascal.ts')).rascal,
    'rabbitmq-client': async () => (await import('../subjects/amqp/rabbitmq-client.ts')).rabbitmqClient,
    millrace: async () => (await import('../subjects/amqp/millrace.ts')).millrace,
  },
  enqueues: ['concurrent', 'bulk'],
  only: {},
  latency: ['raw', 'rascal', 'rabbitmq-client', 'millrace'],
  growth: [],
  extras: ['delays'],
  tasks: 50_000,
  unbatchedShare: 0.2,
  ceilings: { usual: 'raw' },
  targets,
  packages: ['amqplib', 'rascal', 'rabbitmq-client'],
  notes: [
    'Quorum queues, persistent and mandatory messages, publisher confirms and acks for every subject; queues are deleted and made anew before each run.',
    'The server cannot be asked cheaply what is still unacknowledged: a backlog ends with the last handler here. Afterwards,',
    'when no consumer is left, nothing may have come back to the queue.',
  ],
};
