import type { Capabilities, QueueStats, QueueStore } from '@millrace/core';
import { checkName, doneInPart } from '@millrace/core/adapter';
import { textArray } from './array-literal.ts';
import type { Cell, Database, Statement, Value } from './connection.ts';
import { isStorable } from './filter.ts';
import { workMessage } from './notify.ts';
import type { Statements } from './statements.ts';

/** What a queue store needs of the broker it belongs to. */
export interface QueueStoreOwner {
  readonly database: Database;
  readonly statements: Statements;
  readonly channel: string;
  readonly requireOpen: (op: string) => Capabilities;
  /** Queues in which something may be due now. */
  readonly onWork: (queues: readonly string[]) => void;
}

/** Most tasks removed by one statement. */
const mostInStatement = 5_000;

/** Administration of queues. */
export class PostgresQueueStore implements QueueStore {
  readonly #owner: QueueStoreOwner;

  constructor(owner: QueueStoreOwner) {
    this.#owner = owner;
  }

  async stats(queues?: readonly string[]): Promise<QueueStats[]> {
    const { database, statements, requireOpen } = this.#owner;
    requireOpen('queues.stats');
    const wanted = queues === undefined ? null : textArray(queues.filter(isStorable));
    const rows = await database.query(statements.queueStats, [wanted], { op: 'queues.stats', writes: false });
    const known = new Map(rows.map((row) => [String(row[0]), statsOf(row)]));
    return queues === undefined
      ? [...known.values()]
      : queues.map((queue) => known.get(queue) ?? statsOf([queue, false, 0, 0, 0, 0, 0, null]));
  }

  async pause(queue: string): Promise<void> {
    this.#owner.requireOpen('queues.pause');
    await this.#setPaused('queues.pause', checkName(queue, 'queue'), true);
  }

  async resume(queue: string): Promise<void> {
    this.#owner.requireOpen('queues.resume');
    await this.#setPaused('queues.resume', checkName(queue, 'queue'), false);
    this.#owner.onWork([queue]);
  }

  async purge(queue: string): Promise<number> {
    const { database, statements, requireOpen } = this.#owner;
    requireOpen('queues.purge');
    checkName(queue, 'queue');
    const count = async (statement: Statement, values: readonly Value[]): Promise<number> => {
      const rows = await database.query(statement, values, { op: 'queues.purge' });
      return Number(rows[0]?.[0] ?? 0);
    };
    let purged = await count(statements.purgeResting, [queue]);
    for (;;) {
      const removed = await count(statements.purgeQueue, [queue, mostInStatement]).catch((error: unknown) => {
        throw purged === 0 ? error : doneInPart(error, 'queues.purge');
      });
      purged += removed;
      if (removed < mostInStatement) return purged;
    }
  }

  async #setPaused(op: string, queue: string, paused: boolean): Promise<void> {
    const { database, statements, channel } = this.#owner;
    const values = [queue, paused, channel, paused ? null : workMessage([queue])];
    await database.query(statements.pauseQueue, values, { op, harmless: true });
  }
}

function statsOf(row: readonly Cell[]): QueueStats {
  const [queue, paused, pending, scheduled, retrying, running, pausedTasks, oldest] = row;
  return {
    queue: String(queue),
    paused: paused === true,
    pending: Number(pending),
    scheduled: Number(scheduled),
    retrying: Number(retrying),
    running: Number(running),
    pausedTasks: Number(pausedTasks),
    ...(typeof oldest === 'number' && { oldestPendingMs: oldest }),
  };
}
