import pg from 'pg';
import type { Payload } from '../../payload.ts';
import type { Producer } from '../../subject.ts';
import { coalescing } from '../coalescing.ts';
import { insertMany, insertOne } from './raw-schema.ts';

const poolSize = 10;
const flushesInFlight = 2;
const flushLimit = 1000;
const [queue, name] = ['bench', 'noop'];

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
  const enqueue = coalescing((payloads) => insert(pool, payloads), { inFlight: flushesInFlight, limit: flushLimit });
  return {
    enqueue: (payload) => enqueue(encode(payload)),
    enqueueMany: (payloads) => insert(pool, payloads.map(encode)),
    close: () => pool.end(),
  };
}

const encode = (payload: Payload): string => JSON.stringify(payload);

function insert(pool: pg.Pool, payloads: readonly string[]): Promise<unknown> {
  return pool.query({ name: 'many', text: insertMany, values: [queue, name, payloads] });
}
