import type { OverdueRequest, OverdueTask } from '@millrace/core';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { QueueRegistry } from './queue-registry.ts';

/** What looking for overdue tasks works with. */
export interface OverdueContext {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly registry: QueueRegistry;
}

/** Tasks that wait although they are due, per queue the one that has been due longest first. */
export async function findOverdue(
  { connection, keys, registry }: OverdueContext,
  { dueForMs, limit }: OverdueRequest,
): Promise<OverdueTask[]> {
  const args = [String(dueForMs), String(limit)];
  // It promotes what is due, which may happen any number of times.
  const call = { op: 'overdue', writes: false };
  const queues = await registry.read('overdue');
  const found = await Promise.all(
    queues.map(async (queue) => {
      const reply = (await connection.run('findOverdue', keys.queue(queue), args, call)) as string[];
      return readTasks(reply, queue);
    }),
  );
  return found.flat();
}

function readTasks(reply: readonly string[], queue: string): OverdueTask[] {
  const tasks: OverdueTask[] = [];
  for (let at = 0; at < reply.length; at += 2) {
    const text = reply[at + 1] as string;
    tasks.push({ id: text.slice(1), name: reply[at] as string, queue, priority: Number(text[0]) });
  }
  return tasks;
}
