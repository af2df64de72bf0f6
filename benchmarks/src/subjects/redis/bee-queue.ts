import BeeQueue from 'bee-queue';
import { redisProbe } from '../../backends/redis.ts';
import type { Payload } from '../../payload.ts';
import type { Mode, Subject } from '../../subject.ts';

const queueName = 'bench';
const key = (name: string): string => `bq:${queueName}:${name}`;

/** What its README advises for speed; `activateDelayedJobs` is off as it comes. */
const fast = {
  getEvents: false,
  sendEvents: false,
  storeJobs: false,
  removeOnSuccess: true,
  activateDelayedJobs: false,
};
const tuning = (mode: Mode): object => (mode === 'fast' ? fast : {});

export const beeQueue: Subject = {
  name: 'bee-queue',
  kind: 'peer',
  batched: false,
  settings: {
    fast: 'saveAll; isWorker false for the producer; getEvents, sendEvents, storeJobs and activateDelayedJobs off, removeOnSuccess on',
    default: 'as it comes; isWorker false for the producer',
  },
  guarantees: {
    fence: 'can still finish it',
    history: 'kept for ever by default; removed here for throughput',
    enqueue: 'in memory, on disk within a second',
    settle: 'in memory, on disk within a second',
  },
  install: async () => {},
  probe: redisProbe(async (redis) => (await redis.llen(key('waiting'))) + (await redis.llen(key('active')))),
  async producer(url, mode) {
    const queue = new BeeQueue(queueName, { redis: { url }, isWorker: false, ...tuning(mode) });
    await queue.ready();
    return {
      enqueue: (payload) => queue.createJob(payload).save(),
      async enqueueMany(payloads) {
        const errors = await queue.saveAll(payloads.map((payload) => queue.createJob(payload)));
        for (const error of errors.values()) throw error;
      },
      close: () => queue.close(),
    };
  },
  async worker(url, mode, concurrency, handler) {
    const queue = new BeeQueue(queueName, { redis: { url }, ...tuning(mode) });
    queue.on('error', (error) => console.error(error));
    queue.process(concurrency, (job) => handler(job.data as Payload));
    return { stop: () => queue.close() };
  },
};
