import { Redis } from 'ioredis';
import { add, deleteAndClaim, keys } from './raw-scripts.ts';

/** Claimed together, settled together. */
export interface Batch {
  readonly fence: number;
  readonly ids: readonly string[];
  readonly payloads: readonly string[];
}

export const noBatch: Batch = { fence: 0, ids: [], payloads: [] };

/** The two scripts on a connection. */
export interface RawStore {
  add(payloads: readonly string[]): Promise<unknown>;
  /** Settles a batch and claims the next in one call. */
  exchange(done: Batch, limit: number): Promise<Batch>;
  /** Waits until a task is ready and claims it, on a connection that does nothing else. */
  claimBlocking(): Promise<Batch>;
  close(): Promise<void>;
  /** Ends a blocking claim with it. */
  disconnect(): void;
}

const blockSeconds = 2;

export async function openRawStore(url: string, settleAndClaim: string = deleteAndClaim): Promise<RawStore> {
  const redis = new Redis(url);
  const load = async (script: string): Promise<string> => String(await redis.script('LOAD', script));
  const [addSha, exchangeSha] = [await load(add), await load(settleAndClaim)];
  const { next, ready, tasks, running, finished, finishedAt } = keys;
  return {
    add: (payloads) => redis.evalsha(addSha, 3, next, ready, tasks, ...payloads),
    async exchange(done, limit) {
      const answer = await redis.evalsha(
        exchangeSha,
        ...([6, next, ready, tasks, running, finished, finishedAt] as const),
        ...[limit, done.fence, ...done.ids],
      );
      const [fence, settled, ids, payloads] = answer as [number, number, string[], string[]];
      if (settled !== done.ids.length) throw new Error(`raw: ${settled} settled of ${done.ids.length}`);
      return { fence, ids, payloads };
    },
    async claimBlocking() {
      const popped = await redis.blpop(ready, blockSeconds);
      if (popped === null) return noBatch;
      const [, id] = popped;
      const fence = await redis.incr(next);
      const [[, payload] = []] = (await redis.multi().hget(tasks, id).hset(running, id, fence).exec()) ?? [];
      return { fence, ids: [id], payloads: [String(payload)] };
    },
    close: async () => void (await redis.quit()),
    disconnect: () => redis.disconnect(),
  };
}
