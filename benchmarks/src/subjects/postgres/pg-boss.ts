import { PgBoss } from 'pg-boss';
import { sqlProbe } from '../../backends/sql.ts';
import type { Payload } from '../../payload.ts';
import type { Mode, Subject } from '../../subject.ts';

const queue = 'noop';
const unfinished = `from pgboss.job where name = '${queue}' and state < 'completed'`;

/** The fastest of those tried: 500 to 5,000 tasks a fetch, 1 to 4 loops that fetch. */
const fastBatch = 2000;
const mostLoops = 2;

export const pgBoss: Subject = boss({
  name: 'pg-boss',
  settings: {
    fast: `batchSize ${fastBatch}, burstWhenBatchFull, pollingIntervalSeconds 0.5, localConcurrency the concurrency, at most ${mostLoops}`,
    default: 'as it comes: one job every 2 s',
  },
  notify: false,
});

/** The same with its opt-in wake-up; for latency only. */
export const pgBossNotify: Subject = boss({
  name: 'pg-boss (notify)',
  settings: { fast: 'as pg-boss', default: 'useListenNotify, queue with notify; the rest as it comes' },
  notify: true,
});

interface Variant {
  readonly name: string;
  readonly settings: Subject['settings'];
  readonly notify: boolean;
}

function boss({ name, settings, notify }: Variant): Subject {
  async function started(url: string): Promise<PgBoss> {
    const instance = new PgBoss({ connectionString: url, ...(notify && { useListenNotify: true }) });
    instance.on('error', (error) => console.error(error));
    await instance.start();
    return instance;
  }
  return {
    name,
    kind: 'peer',
    batched: true,
    settings,
    guarantees: {
      fence: 'refused by the attempt it fetched',
      history: 'kept for 7 days by default',
      enqueue: 'committed',
      settle: 'committed',
    },
    probe: sqlProbe({
      anyLeft: `select exists (select 1 ${unfinished}) as answer`,
      left: `select count(*)::int as answer ${unfinished}`,
      kept: `select count(*)::int as answer from pgboss.job where name = '${queue}' and state = 'completed'`,
    }),
    async install(url) {
      const instance = await started(url);
      await instance.createQueue(queue, notify ? { notify: true } : {});
      await instance.stop({ graceful: false });
    },
    async producer(url) {
      const instance = await started(url);
      return {
        enqueue: (payload) => instance.send(queue, payload),
        enqueueMany: (payloads) =>
          instance.insert(
            queue,
            payloads.map((data) => ({ data })),
          ),
        close: () => instance.stop({ graceful: false }),
      };
    },
    async worker(url, mode, concurrency, handler) {
      const instance = await started(url);
      await instance.work(queue, tuning(mode, concurrency), async (tasks) => {
        for (const task of tasks) await handler(task.data as Payload);
      });
      return { stop: () => instance.stop({ graceful: true, timeout: 5000 }) };
    },
  };
}

function tuning(mode: Mode, concurrency: number): object {
  if (mode === 'default') return { localConcurrency: concurrency };
  return {
    batchSize: fastBatch,
    burstWhenBatchFull: true,
    pollingIntervalSeconds: 0.5,
    localConcurrency: Math.min(concurrency, mostLoops),
  };
}
