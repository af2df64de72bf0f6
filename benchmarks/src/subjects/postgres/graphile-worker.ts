import { Logger, makeWorkerUtils, run, runMigrations } from 'graphile-worker';
import { sqlProbe } from '../../backends/sql.ts';
import type { Payload } from '../../payload.ts';
import type { Mode, Subject } from '../../subject.ts';

const task = 'noop';
const jobs = 'graphile_worker._private_jobs';

// Says nothing; that it is not even asked for every task, see child-process.ts.
const logger = new Logger(() => () => {});

/** https://worker.graphile.org/docs/performance, with a larger local queue than its own benchmark: faster still here. */
const batching = { localQueue: { size: 2000 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };

export const graphileWorker: Subject = {
  name: 'graphile-worker',
  kind: 'peer',
  batched: true,
  settings: {
    fast: 'localQueue.size 2000, completeJobBatchDelay 0, failJobBatchDelay 0, maxPoolSize concurrency + 1, at least 10, at most 25',
    default: 'as it comes',
  },
  guarantees: {
    fence: 'can still finish it: deletes by id alone',
    history: 'deleted',
    enqueue: 'committed',
    settle: 'committed, after a batch was gathered',
  },
  probe: sqlProbe({
    anyLeft: `select exists (select 1 from ${jobs}) as answer`,
    left: `select count(*)::int as answer from ${jobs}`,
  }),
  install: (url) => runMigrations({ connectionString: url, logger }),
  async producer(url) {
    const tools = await makeWorkerUtils({ connectionString: url, logger });
    return {
      enqueue: (payload) => tools.addJob(task, payload),
      enqueueMany: (payloads) => tools.addJobs(payloads.map((payload) => ({ identifier: task, payload }))),
      close: async () => tools.release(),
    };
  },
  async worker(url, mode, concurrency, handler) {
    const runner = await run({
      preset: { worker: { connectionString: url, concurrentJobs: concurrency, logger, ...tuning(mode, concurrency) } },
      taskList: { [task]: (payload) => handler(payload as Payload) },
      noHandleSignals: true,
    });
    return { stop: () => runner.stop() };
  },
};

function tuning(mode: Mode, concurrency: number): object {
  if (mode === 'default') return {};
  return { ...batching, maxPoolSize: Math.max(10, Math.min(25, concurrency + 1)) };
}
