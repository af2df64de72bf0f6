import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { redisProbe } from '../../backends/redis.ts';
import type { Payload } from '../../payload.ts';
import type { Subject } from '../../subject.ts';

const queueName = 'bench';
const task = 'noop';
/** The fastest of 10, 100 and 1,000 tasks a call, calls one after the other or at once. */
const bulkSize = 100;
const states = ['wait', 'active', 'prioritized', 'delayed', 'paused'];

/** As BullMQ itself would make it; native modules have to bring the client. */
const connect = (url: string): Redis => new Redis(url, { maxRetriesPerRequest: null });

export const bullmq: Subject = {
  name: 'bullmq',
  kind: 'peer',
  batched: false,
  settings: {
    fast: `bulk as ten addBulk of ${bulkSize} at once (a third faster than one of 1000); removeOnComplete; the rest as it comes (enableAutoPipelining: slower with 100 in flight)`,
    default: 'as it comes',
  },
  guarantees: {
    fence: 'refused by its lock token',
    history: 'kept for ever by default; removed here for throughput',
    enqueue: 'in memory, on disk within a second',
    settle: 'in memory, on disk within a second',
  },
  install: async () => {},
  probe: redisProbe(async (redis) => {
    const lengths = await Promise.all(
      states.map((state) => {
        const key = `bull:${queueName}:${state}`;
        return state === 'delayed' || state === 'prioritized' ? redis.zcard(key) : redis.llen(key);
      }),
    );
    return lengths.reduce((sum, length) => sum + length, 0);
  }),
  async producer(url, mode) {
    const connection = connect(url);
    const options = mode === 'fast' ? { defaultJobOptions: { removeOnComplete: true } } : {};
    const queue = new Queue(queueName, { connection, ...options });
    await queue.waitUntilReady();
    return {
      enqueue: (payload) => queue.add(task, payload),
      enqueueMany: (payloads) =>
        Promise.all(
          inParts(payloads, bulkSize).map((part) => queue.addBulk(part.map((data) => ({ name: task, data })))),
        ),
      close: async () => {
        await queue.close();
        connection.disconnect();
      },
    };
  },
  async worker(url, mode, concurrency, handler) {
    const connection = connect(url);
    const options = mode === 'fast' ? { removeOnComplete: { count: 0 } } : {};
    const worker = new Worker(queueName, (job) => handler(job.data as Payload), {
      connection,
      concurrency,
      ...options,
    });
    worker.on('error', (error) => console.error(error));
    return {
      stop: async () => {
        await worker.close();
        connection.disconnect();
      },
    };
  },
};

const inParts = <T>(list: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, part) => list.slice(part * size, (part + 1) * size));
