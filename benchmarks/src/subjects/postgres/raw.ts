import { runSql, type SqlChecks, sqlProbe } from '../../backends/sql.ts';
import type { Mode, Producer, Subject } from '../../subject.ts';
import { coalescingProducer, singleProducer } from './raw-producer.ts';
import { insertOne, insertOneAndNotify, rawSchema, settleByArchiving, settleByDeleting } from './raw-schema.ts';
import { batchWorker, listeningWorker, singleWorker } from './raw-worker.ts';

/** Tasks a claim: more gains nothing, and holds more back from other workers. */
const claimBatch = 500;

const checks: SqlChecks = {
  anyLeft: 'select exists (select 1 from tasks) as answer',
  left: 'select count(*)::int as answer from tasks',
};

const guarantees = {
  fence: 'can still finish it',
  enqueue: 'committed',
  settle: 'committed',
};

/** One statement a step: what careful code without batching reaches. */
export const rawSingle: Subject = {
  name: 'raw:single',
  kind: 'ceiling',
  batched: false,
  settings: {
    fast: 'one insert, one claim and one delete a task; pools of 10 and 20, as many worker loops as the concurrency',
    default: 'the same with NOTIFY in each insert and one loop that listens',
  },
  guarantees: { ...guarantees, history: 'deleted' },
  probe: sqlProbe(checks),
  install: (url) => runSql(url, rawSchema),
  producer: async (url, mode) => singleProducer(url, mode === 'default' ? insertOneAndNotify : insertOne),
  worker: async (url, mode, concurrency, handler) =>
    mode === 'default'
      ? listeningWorker(url, settleByDeleting, handler)
      : singleWorker(url, concurrency, settleByDeleting, handler),
};

/** Batches at every station; a finished task is deleted. */
export const rawDelete: Subject = batching('raw:batch-del', settleByDeleting, 'deleted', checks);

/** Batches at every station; a finished task is kept. */
export const rawArchive: Subject = batching('raw:batch-arch', settleByArchiving, 'moved to a history table', {
  ...checks,
  kept: 'select count(*)::int as answer from finished',
});

function batching(name: string, settle: string, history: string, sql: SqlChecks): Subject {
  const settings = `enqueues coalesced, 2 flushes in flight; claims of ${claimBatch}, one ahead; a finished task is ${history} by the settling statement`;
  return {
    name,
    kind: 'ceiling',
    batched: true,
    settings: { fast: settings, default: settings },
    guarantees: { ...guarantees, history },
    probe: sqlProbe(sql),
    install: (url) => runSql(url, rawSchema),
    producer: async (url: string, _mode: Mode): Promise<Producer> => coalescingProducer(url),
    worker: async (url, _mode, concurrency, handler) => batchWorker(url, concurrency, settle, claimBatch, handler),
  };
}
