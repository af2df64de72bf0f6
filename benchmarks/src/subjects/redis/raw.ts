import { redisProbe } from '../../backends/redis.ts';
import type { Payload } from '../../payload.ts';
import type { Handler, Producer, RunningWorker, Subject } from '../../subject.ts';
import { coalescing } from '../coalescing.ts';
import { keepRunning, pause, runAll } from '../runners.ts';
import { archiveAndClaim, deleteAndClaim, keys } from './raw-scripts.ts';
import { noBatch, openRawStore, type RawStore } from './raw-store.ts';

/** Tasks a script call: more gains little, and holds other clients up. */
const claimBatch = 500;
const flushes = { inFlight: 2, limit: 500 };
const idleMs = 5;

const common: Pick<Subject, 'kind' | 'guarantees' | 'install' | 'probe'> = {
  kind: 'ceiling',
  guarantees: {
    fence: 'refused by its fence',
    history: 'deleted',
    enqueue: 'in memory, on disk within a second',
    settle: 'in memory, on disk within a second',
  },
  install: async () => {},
  probe: redisProbe((redis) => redis.hlen(keys.tasks)),
};

/** A script call a task, which settles it and claims the next: what careful code without batching reaches. */
export const rawSingle: Subject = {
  ...common,
  name: 'raw:single',
  batched: false,
  settings: {
    fast: 'a script call to add a task, and one to settle it and claim the next on each of as many loops as the concurrency',
    default: 'the same with one loop that waits for tasks in BLPOP',
  },
  async producer(url): Promise<Producer> {
    const store = await openRawStore(url);
    return {
      enqueue: (payload) => store.add([encode(payload)]),
      enqueueMany: (payloads) => store.add(payloads.map(encode)),
      close: store.close,
    };
  },
  worker: (url, mode, concurrency, handler) =>
    mode === 'default' ? waitingWorker(url, handler) : singleWorker(url, concurrency, handler),
};

/** Batches at every station; a finished task is deleted. */
export const rawLua: Subject = batching('raw:lua', 'deleted', deleteAndClaim, {});

/** Batches at every station; a finished task is kept. */
export const rawLuaArchive: Subject = batching('raw:lua-arch', 'kept, found by time', archiveAndClaim, {
  probe: redisProbe(
    (redis) => redis.hlen(keys.tasks),
    (redis) => redis.hlen(keys.finished),
  ),
});

function batching(name: string, history: string, script: string, other: Partial<Pick<Subject, 'probe'>>): Subject {
  return {
    ...common,
    ...other,
    name,
    batched: true,
    guarantees: { ...common.guarantees, history },
    settings: {
      fast: `enqueues coalesced, at most ${flushes.limit} a call, ${flushes.inFlight} calls in flight; one call settles ${claimBatch} and claims as many, one batch ahead; a finished task is ${history}`,
      default: 'the same',
    },
    async producer(url): Promise<Producer> {
      const store = await openRawStore(url);
      const enqueue = coalescing(store.add, flushes);
      return {
        enqueue: (payload) => enqueue(encode(payload)),
        enqueueMany: (payloads) => store.add(payloads.map(encode)),
        close: store.close,
      };
    },
    worker: async (url, _mode, concurrency, handler) =>
      batchWorker(await openRawStore(url, script), concurrency, handler),
  };
}

function batchWorker(store: RawStore, concurrency: number, handler: Handler): RunningWorker {
  const loop = async (running: () => boolean): Promise<void> => {
    let done = noBatch;
    let next = store.exchange(noBatch, claimBatch);
    while (running()) {
      const batch = await next;
      // While these run, the ones before are settled and the ones after fetched.
      next = store.exchange(done, claimBatch);
      await runAll(batch.payloads, concurrency, (payload) => handler(decode(payload)));
      if (batch.ids.length === 0 && done.ids.length === 0) await pause(idleMs);
      done = batch;
    }
    await next;
    await store.exchange(done, 0);
  };
  return keepRunning(1, loop, store.close);
}

async function singleWorker(url: string, concurrency: number, handler: Handler): Promise<RunningWorker> {
  const store = await openRawStore(url);
  const loop = async (running: () => boolean): Promise<void> => {
    let done = noBatch;
    while (running()) {
      done = await store.exchange(done, 1);
      for (const payload of done.payloads) await handler(decode(payload));
      if (done.ids.length === 0) await pause(idleMs);
    }
    await store.exchange(done, 0);
  };
  return keepRunning(concurrency, loop, store.close);
}

/** One connection waits, another settles. */
async function waitingWorker(url: string, handler: Handler): Promise<RunningWorker> {
  const [waiting, settling] = [await openRawStore(url), await openRawStore(url)];
  const loop = async (running: () => boolean): Promise<void> => {
    while (running()) {
      const batch = await waiting.claimBlocking().catch(() => noBatch);
      for (const payload of batch.payloads) await handler(decode(payload));
      await settling.exchange(batch, 0);
    }
  };
  const worker = keepRunning(1, loop, settling.close);
  return {
    stop: () => {
      const stopped = worker.stop();
      waiting.disconnect();
      return stopped;
    },
  };
}

const encode = (payload: Payload): string => JSON.stringify(payload);
const decode = (payload: string): Payload => JSON.parse(payload) as Payload;
