import { randomBytes } from 'node:crypto';
import type { MaintenanceBudget, MaintenanceReport, TaskFailure } from '@millrace/core';
import type { CallOptions, RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { StoreSettings } from './options.ts';
import type { QueueRegistry } from './queue-registry.ts';

/** What maintenance works with. */
export interface MaintenanceContext {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly registry: QueueRegistry;
  readonly settings: StoreSettings;
  /** A queue that has work again. */
  readonly onWork: (queue: string) => void;
}

/** Most tasks of a kind moved by one script: others wait while it runs. */
const mostInScript = 200;
/** Every step may be done twice without harm, on any number of nodes. */
const call: CallOptions = { op: 'maintain', harmless: true };

const lost: TaskFailure = {
  kind: 'lost',
  name: 'LeaseLostError',
  message: 'the worker fell silent while it ran the task',
};
const expired: TaskFailure = { kind: 'expired', name: 'ExpiredError', message: 'it was not started in time' };
/** tend-queue.lua adds the worker, and the brace. */
const openLost = JSON.stringify(lost).slice(0, -1);

/** One round over all queues: promotes, takes tasks back from silent sessions, ends expired ones, removes old ones. */
export async function maintainStore(
  context: MaintenanceContext,
  budget: MaintenanceBudget,
): Promise<MaintenanceReport> {
  const { registry } = context;
  const total = { reclaimed: 0, expired: 0, pruned: 0, more: false };
  const queues = await registry.read('maintain');
  // Where a node of a cluster is down, the queues of the others are tended all the same.
  const looks = await Promise.allSettled(queues.map((queue) => needsTending(context, queue)));
  const needy = queues.filter((_queue, index) => {
    const look = looks[index];
    return look?.status === 'fulfilled' && look.value;
  });
  const failed = looks.find((look) => look.status === 'rejected');
  if (failed !== undefined && needy.length === 0) throw failed.reason;
  // Whoever comes first may use up the budget, so another one begins each time.
  for (const queue of rotated(needy)) {
    for (let more = true; more; ) {
      const left = budget.maxTasks - Math.max(total.reclaimed, total.expired, total.pruned);
      if (left <= 0 || budget.signal?.aborted === true) return { ...total, more: true };
      const done = await tend(context, queue, Math.min(mostInScript, left));
      total.reclaimed += done.reclaimed;
      total.expired += done.expired;
      total.pruned += done.pruned;
      if (done.reclaimed > 0) context.onWork(queue);
      more = done.more;
    }
  }
  return total;
}

async function needsTending({ connection, keys, settings }: MaintenanceContext, queue: string): Promise<boolean> {
  const options = { ...call, writes: false };
  return (await connection.run('lookForMaintenance', keys.queue(queue), retentionOf(settings), options)) === 1;
}

async function tend(
  { connection, keys, settings }: MaintenanceContext,
  queue: string,
  limit: number,
): Promise<MaintenanceReport> {
  const token = randomBytes(12).toString('base64url');
  const args = [String(limit), token, ...retentionOf(settings), openLost, JSON.stringify(expired)];
  const reply = (await connection.run('tendQueue', keys.queue(queue), args, call)) as number[];
  const [reclaimed = 0, ended = 0, pruned = 0, more = 0] = reply;
  return { reclaimed, expired: ended, pruned, more: more === 1 };
}

function retentionOf({ succeededMs, failedMs, maxSucceeded, maxFailed }: StoreSettings): string[] {
  return [succeededMs, failedMs, maxSucceeded, maxFailed].map((value) => String(value ?? -1));
}

function rotated(queues: readonly string[]): readonly string[] {
  const from = Math.floor(Math.random() * queues.length);
  return [...queues.slice(from), ...queues.slice(0, from)];
}
