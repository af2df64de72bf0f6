import { type MaintenanceBudget, type MaintenanceReport, type TaskFailure, taskListLimits } from '@millrace/core';
import type { CallOptions, Database, Row, Statement, Value } from './connection.ts';
import type { StoreSettings } from './options.ts';
import type { Statements } from './statements.ts';

/** What maintenance works with. */
export interface MaintenanceContext {
  readonly database: Database;
  readonly statements: Statements;
  readonly settings: StoreSettings;
  /** Queues that have work again. */
  readonly onWork: (queues: readonly string[]) => void;
}

/** Most rows moved by one statement: it holds their locks until its end. */
const mostInStatement = 1_000;
/** Every step may be done twice without harm, on any number of nodes. */
const call: CallOptions = { op: 'maintain', harmless: true };

const lost: TaskFailure = {
  kind: 'lost',
  name: 'LeaseLostError',
  message: 'the worker fell silent while it ran the task',
};
const expired: TaskFailure = { kind: 'expired', name: 'ExpiredError', message: 'it was not started in time' };
/** reclaim-tasks.sql adds the worker, and the brace. */
const openLost = JSON.stringify(lost).slice(0, -1);

/** One round: takes tasks back from silent sessions, ends expired tasks, removes old ones. */
export async function maintainStore(
  context: MaintenanceContext,
  budget: MaintenanceBudget,
): Promise<MaintenanceReport> {
  const { database, statements, settings } = context;
  const { succeededMs, failedMs } = settings;
  const [row] = await database.query(statements.lookForWork, [succeededMs, failedMs], { ...call, writes: false });
  const [hasSessions, hasExpired, hasDone, hasDead] = row ?? [];
  const reclaimed = hasSessions === true ? await reclaim(context, budget) : nothing;
  const ended =
    hasExpired === true
      ? await repeatFor(budget, (limit) =>
          countOf(database, statements.expireTasks, [limit, JSON.stringify(expired), taskListLimits.errors]),
        )
      : nothing;
  let pruned = nothing;
  if (hasDone === true) {
    pruned = await repeatFor(budget, (limit) => countOf(database, statements.pruneDone, [succeededMs, limit]));
  }
  if (hasDead === true && pruned.done < budget.maxTasks) {
    const left = { ...budget, maxTasks: budget.maxTasks - pruned.done };
    const dead = await repeatFor(left, (limit) => countOf(database, statements.pruneDead, [failedMs, limit]));
    pruned = { done: pruned.done + dead.done, more: pruned.more || dead.more };
  }
  return {
    reclaimed: reclaimed.done,
    expired: ended.done,
    pruned: pruned.done,
    more: reclaimed.more || ended.more || pruned.more,
  };
}

interface Progress {
  readonly done: number;
  readonly more: boolean;
}

const nothing: Progress = { done: 0, more: false };

/** Close, then take back, then forget: each a statement of its own, so that each sees what the one before left. */
async function reclaim(context: MaintenanceContext, budget: MaintenanceBudget): Promise<Progress> {
  const { database, statements, onWork } = context;
  await database.query(statements.closeSessions, [], call);
  const queues = new Set<string>();
  const reclaimed = await repeatFor(budget, async (limit) => {
    const rows = await database.query(statements.reclaimTasks, [limit, openLost, taskListLimits.errors], call);
    for (const [queue] of rows) if (typeof queue === 'string') queues.add(queue);
    return rows.length;
  });
  if (queues.size > 0) onWork([...queues]);
  await database.query(statements.deleteSessions, [], call);
  return reclaimed;
}

async function repeatFor(budget: MaintenanceBudget, step: (limit: number) => Promise<number>): Promise<Progress> {
  let done = 0;
  while (done < budget.maxTasks) {
    if (budget.signal?.aborted === true) return { done, more: true };
    const limit = Math.min(mostInStatement, budget.maxTasks - done);
    const moved = await step(limit);
    done += moved;
    if (moved < limit) return { done, more: false };
  }
  return { done, more: true };
}

async function countOf(database: Database, statement: Statement, values: readonly Value[]): Promise<number> {
  const [row]: readonly Row[] = await database.query(statement, values, call);
  return Number(row?.[0] ?? 0);
}
