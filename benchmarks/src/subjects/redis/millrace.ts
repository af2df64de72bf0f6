import { type Adapter, type Broker, connect } from '@millrace/core';
import * as loaded from '@millrace/redis';
import { Redis } from 'ioredis';
import type { Probe, Subject } from '../../subject.ts';
import { adapterOf, millraceWith } from '../millrace.ts';

// Looked for when it is used: a report can be made without it.
const adapter = (): Adapter => adapterOf('@millrace/redis', loaded);

export const millrace: Subject = millraceWith(adapter, {
  settings: 'fenced settles, history kept',
  guarantees: {
    fence: 'refused by its fence',
    history: 'kept, with result and attempts',
    enqueue: 'in memory, on disk within a second',
    settle: 'in memory, on disk within a second',
  },
  async probe(url): Promise<Probe> {
    const broker = await connect(url, { adapters: [adapter()] });
    const redis = new Redis(url);
    return {
      anyLeft: async () => (await unfinished(broker)) > 0,
      left: () => unfinished(broker),
      async kept() {
        const queues = await redis.keys('millrace:{*}:meta');
        const counts = await Promise.all(queues.map((queue) => redis.hget(queue, 'done')));
        return counts.reduce((sum, count) => sum + Number(count ?? 0), 0);
      },
      keptAtMost: 100_000,
      async close() {
        await redis.quit();
        await broker.close();
      },
    };
  },
});

/** Tasks in any state but the terminal ones, over all queues. */
async function unfinished(broker: Broker<unknown>): Promise<number> {
  const queues = await broker.queues.stats();
  return queues.reduce(
    (sum, { pending = 0, scheduled = 0, retrying = 0, running = 0, pausedTasks = 0 }) =>
      sum + pending + scheduled + retrying + running + pausedTasks,
    0,
  );
}
