import type { Lease, SettleOp, SettleOutcome, TaskOperation, TaskReport } from '@millrace/core';
import { taskListLimits } from '@millrace/core';
import { between, type Due, later, mayHaveCome } from '../instant.ts';
import type { Occasion } from '../operation.ts';
import type { ModelRules } from '../rules.ts';
import { type ModelError, type ModelState, type ModelTask, withTask } from '../state.ts';
import { inTurn, partOf, type Step } from '../step.ts';
import { variantsOf } from './background.ts';
import { endRun, type RunEnd } from './end-run.ts';

const operationOf: Readonly<Record<SettleOp['type'], TaskOperation>> = {
  complete: 'complete',
  retry: 'retry',
  fail: 'fail',
  release: 'release',
  snooze: 'snooze',
  pause: 'settlePause',
  cancel: 'settleCancel',
};

/** Ends runs, each as far as its lease is still the one the task was given out with. */
export function applySettle(
  state: ModelState,
  session: string,
  operations: readonly SettleOp[],
  occasion: Occasion,
  rules: ModelRules,
  observed?: readonly SettleOutcome[],
): Step<SettleOutcome[]>[] {
  const settleOne = (at: ModelState, operation: SettleOp, index: number): Step<SettleOutcome>[] =>
    asHolder(at, session, operation.lease, occasion, rules, (task) =>
      endRun(task, runEnd(task, operation, partOf(occasion, index)), occasion.now),
    );
  return inTurn(state, operations, settleOne, observed, isSame);
}

/** Keeps what holders report. */
export function applyReport(
  state: ModelState,
  session: string,
  reports: readonly TaskReport[],
  occasion: Occasion,
  rules: ModelRules,
  observed?: readonly SettleOutcome[],
): Step<SettleOutcome[]>[] {
  const reportOne = (at: ModelState, report: TaskReport): Step<SettleOutcome>[] =>
    asHolder(at, session, report.lease, occasion, rules, (task) => ({
      ...task,
      progress: report.progress ?? task.progress,
      checkpoint: report.checkpoint ?? task.checkpoint,
      log: [...task.log, ...(report.log ?? []).map((line) => line.message)].slice(-taskListLimits.log),
      begun: task.begun || report.begun === true,
    }));
  return inTurn(state, reports, reportOne, observed, isSame);
}

function isSame(expected: SettleOutcome, observed: unknown): boolean {
  return expected === observed;
}

/**
 * What only the holder may do. A lease that was used, replaced, or never given out is stale. So is any lease of a
 * session that is lost; while a session is silent for too long without knowing, both may be (LSE-15).
 */
function asHolder(
  state: ModelState,
  session: string,
  lease: Lease,
  occasion: Occasion,
  rules: ModelRules,
  effect: (task: ModelTask) => ModelTask | undefined,
): Step<SettleOutcome>[] {
  const task = state.tasks.get(lease.taskId);
  const holder = state.sessions.get(session);
  const isHeld =
    task?.state === 'running' &&
    task.holder === session &&
    lease.sessionId === session &&
    task.fence === lease.fence &&
    task.attempt === lease.attempt;
  const stale: Step<SettleOutcome> = { outcome: 'stale', state };
  if (!isHeld || holder === undefined || holder.state === 'lost' || holder.state === 'ended') return [stale];
  // Running is the first of what the task may be by now, and the only one in which the lease holds.
  const after = withTask(state, task.id, effect(task));
  const steps: Step<SettleOutcome>[] = [{ outcome: 'applied', state: after }];
  const isLate = holder.deadline !== undefined && mayHaveCome(holder.deadline, occasion.now);
  if (isLate || variantsOf(state, task, occasion.now, rules).length > 1) steps.push(stale);
  if (rules.mayLoseAnswers) steps.push({ outcome: 'unknown', state: after }, { outcome: 'unknown', state });
  return steps;
}

function runEnd(task: ModelTask, operation: SettleOp, occasion: Occasion): RunEnd {
  const name = operationOf[operation.type];
  if (operation.type === 'complete') {
    return operation.output === undefined ? { operation: name } : { operation: name, output: operation.output };
  }
  if (operation.type === 'retry') {
    return { operation: name, due: dueIn(operation.delayMs, occasion), error: errorOf(task, operation.failure) };
  }
  if (operation.type === 'fail') return { operation: name, error: errorOf(task, operation.failure) };
  if (operation.type === 'snooze') return { operation: name, due: dueIn(operation.delayMs, occasion) };
  if (operation.type === 'release') {
    // Due at once: from when it was due before, or from now on.
    return { operation: name, due: { ...between(task.due, occasion.now), step: undefined, delayMs: 0 } };
  }
  return { operation: name };
}

function dueIn(delayMs: number, { now, step }: Occasion): Due {
  return { ...later(now, delayMs), step, delayMs };
}

function errorOf(task: ModelTask, { kind, name, message }: ModelErrorSource): ModelError {
  return { attempt: task.attempt, kind, name, message };
}

type ModelErrorSource = Required<Pick<ModelError, 'kind' | 'name' | 'message'>>;
