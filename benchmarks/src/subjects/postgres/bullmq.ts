import { createPostgresBackend, Queue, runMigrations, Worker } from 'bullmq';
import { sqlProbe, withClient } from '../../backends/sql.ts';
import type { Payload } from '../../payload.ts';
import type { Subject } from '../../subject.ts';

const queueName = 'bench';
const task = 'noop';
/** The fastest of 2, 4, 10 and 20 with 100 enqueues in flight. */
const fastPool = 4;
const unfinished = `from bullmq.job where state not in ('completed', 'failed')`;

export const bullmq: Subject = {
  name: 'bullmq (postgres)',
  kind: 'peer',
  batched: false,
  settings: {
    fast: 'pool of 4 for enqueueing; the worker as it comes (other pools, removeOnComplete: slower here)',
    default: 'as it comes',
  },
  guarantees: {
    fence: 'refused by its lock token',
    history: 'kept by default',
    enqueue: 'committed',
    settle: 'committed',
  },
  probe: sqlProbe({
    anyLeft: `select exists (select 1 ${unfinished}) as answer`,
    left: `select count(*)::int as answer ${unfinished}`,
  }),
  install: (url) => withClient(url, async (client) => void (await runMigrations(client))),
  async producer(url, mode) {
    const max = mode === 'fast' ? { max: fastPool } : {};
    const queue = new Queue(queueName, { connection: { connectionString: url, ...max } }, createPostgresBackend);
    await queue.waitUntilReady();
    return {
      enqueue: (payload) => queue.add(task, payload),
      enqueueMany: (payloads) => queue.addBulk(payloads.map((data) => ({ name: task, data }))),
      close: () => queue.close(),
    };
  },
  async worker(url, _mode, concurrency, handler) {
    const worker = new Worker(
      queueName,
      (job) => handler(job.data as Payload),
      { connection: { connectionString: url }, concurrency },
      createPostgresBackend,
    );
    worker.on('error', (error) => console.error(error));
    return { stop: () => worker.close() };
  },
};
