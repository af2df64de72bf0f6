import {
  type Lease,
  type SettleOp,
  type SettleOutcome,
  type TaskOperation,
  type TaskReport,
  taskListLimits,
  ValidationError,
} from '@millrace/core';
import { checkInteger, kindOf } from '@millrace/core/adapter';
import { endRun } from './end-run.ts';
import type { StoreState } from './store.ts';
import type { StoredTask } from './stored-task.ts';

const operationOf: Readonly<Record<SettleOp['type'], TaskOperation>> = {
  complete: 'complete',
  retry: 'retry',
  fail: 'fail',
  release: 'release',
  snooze: 'snooze',
  pause: 'settlePause',
  cancel: 'settleCancel',
};

/** Refuses what no broker could carry out, before any effect. @throws ValidationError */
export function checkSettle(operation: SettleOp): void {
  if (!Object.hasOwn(operationOf, operation.type)) {
    throw new ValidationError(
      `a settle must be one of ${Object.keys(operationOf).join(', ')}; got ${kindOf(operation.type)}`,
      {
        option: 'type',
      },
    );
  }
  if ('delayMs' in operation) checkInteger(operation.delayMs, 'delayMs', 0, Number.MAX_SAFE_INTEGER);
}

/** Ends one run, if the lease is still the one the task was given out with. */
export function settleTask(store: StoreState, sessionId: string, operation: SettleOp): SettleOutcome {
  const task = findHeld(store, sessionId, operation.lease);
  if (task === undefined) return 'stale';
  const { type, lease, ...end } = operation;
  endRun(store, task, { ...end, operation: operationOf[type] });
  return 'applied';
}

/** Keeps what a handler reports while it runs. */
export function reportTask(store: StoreState, sessionId: string, report: TaskReport): SettleOutcome {
  const task = findHeld(store, sessionId, report.lease);
  if (task === undefined) return 'stale';
  if (report.progress !== undefined) task.progress = report.progress;
  if (report.checkpoint !== undefined) task.checkpoint = report.checkpoint;
  if (report.log !== undefined) {
    task.log = [...task.log, ...report.log.map((line) => ({ ...line }))].slice(-taskListLimits.log);
  }
  if (report.begun === true) task.begun = true;
  return 'applied';
}

/**
 * The guard of every operation of a holder. The fence alone tells runs of a task apart; the session keeps one
 * client from settling with a lease it was never given (STM-05).
 */
function findHeld(store: StoreState, sessionId: string, lease: Lease): StoredTask | undefined {
  if (lease.sessionId !== sessionId) return undefined;
  const task = store.find(lease.taskId);
  if (task?.state !== 'running' || task.holder?.id !== sessionId) return undefined;
  return task.fence === lease.fence && task.attempt === lease.attempt ? task : undefined;
}
