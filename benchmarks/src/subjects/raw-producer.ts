import pg from 'pg';
import type { Payload } from '../payload.ts';
import type { Producer } from '../subject.ts';
import { insertMany, insertOne } from './raw-schema.ts';

const poolSize = 10;
const flushesInFlight = 2;
const flushLimit = 1000;
const [queue, name] = ['bench', 'noop'];

interface Waiting {
  readonly payload: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One insert a task: what "no batching" means. */
export function singleProducer(url: string, text: string = insertOne): Producer {
  const pool = new pg.Pool({ connectionString: url, max: poolSize });
  return {
    enqueue: (payload) => pool.query({ name: 'one', text, values: [queue, name, encode(payload)] }),
    enqueueMany: (payloads) => insert(pool, payloads.map(encode)),
    close: () => pool.end(),
  };
}

/** Single enqueues that meet while a flush is under way travel together. */
export function coalescingProducer(url: string): Producer {
  const pool = new pg.Pool({ connectionString: url, max: flushesInFlight });
  const waiting: Waiting[] = [];
  let inFlight = 0;

  function flush(): void {
    if (waiting.length === 0 || inFlight === flushesInFlight) return;
    const batch = waiting.splice(0, flushLimit);
    inFlight += 1;
    insert(
      pool,
      batch.map((entry) => entry.payload),
    )
      .then(
        () => {
          for (const entry of batch) entry.resolve();
        },
        (error: unknown) => {
          for (const entry of batch) entry.reject(error);
        },
      )
      .finally(() => {
        inFlight -= 1;
        flush();
      });
  }

  return {
    enqueue: (payload) =>
      new Promise<void>((resolve, reject) => {
        waiting.push({ payload: encode(payload), resolve, reject });
        if (waiting.length === 1) queueMicrotask(flush);
      }),
    enqueueMany: (payloads) => insert(pool, payloads.map(encode)),
    close: () => pool.end(),
  };
}

const encode = (payload: Payload): string => JSON.stringify(payload);

function insert(pool: pg.Pool, payloads: readonly string[]): Promise<unknown> {
  return pool.query({ name: 'many', text: insertMany, values: [queue, name, payloads] });
}
