import type { ControlOutcome, Lease, SettleOp, TaskOperation, TaskState, TransitionResult } from '@millrace/core';
import { buildFailure } from '../context/builders.ts';
import type { Holder } from '../context/holder.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';

/** Long enough that nothing of it falls due in a scenario. */
export const hourMs = 3_600_000;

/** What a holder may do to its run, in the words of core's table. */
export type HolderOperation = 'complete' | 'retry' | 'fail' | 'release' | 'snooze' | 'settlePause' | 'settleCancel';

/** All of them. */
export const holderOperations: readonly HolderOperation[] = [
  'complete',
  'retry',
  'fail',
  'release',
  'snooze',
  'settlePause',
  'settleCancel',
];

/** What users may do to a task. */
export const userOperations = ['cancel', 'pause', 'resume', 'rerun', 'reschedule', 'update', 'remove'] as const;

/** One of them. */
export type UserOperation = (typeof userOperations)[number];

/** A task that was brought into a state. */
export interface Reached {
  readonly id: string;
  readonly queue: string;
  /** The last lease there was, or a made-up one. */
  readonly lease: Lease;
}

/** Why a cell of the table cannot be looked at on this broker; nothing when it can. */
export function whyDark(
  t: ScenarioContext,
  state: TaskState,
  operation: HolderOperation | UserOperation | 'claim' | 'expire' | 'lose',
): string | undefined {
  const { tasks } = t.capabilities;
  if (state === 'removing') return 'no operation of the contract leads there yet';
  if (state === 'paused' && !tasks.pause.includes('waiting')) return 'tasks.pause.waiting is not claimed';
  if (state === 'cancelled' && !tasks.cancel.includes('waiting')) return 'tasks.cancel.waiting is not claimed';
  if (operation === 'settlePause' && !tasks.pause.includes('running')) return 'tasks.pause.running is not claimed';
  if (operation === 'settleCancel' && !tasks.cancel.includes('running')) return 'tasks.cancel.running is not claimed';
  if (operation === 'lose' && t.harness.ignoresClock === true) return 'the harness ignores target.clock';
  const needed = operation === 'resume' ? 'pause' : operation;
  if (needed === 'cancel' || needed === 'pause') {
    return tasks[needed].length > 0 ? undefined : `tasks.${needed} is not claimed`;
  }
  if (needed === 'rerun' || needed === 'reschedule' || needed === 'update' || needed === 'remove') {
    return tasks[needed] ? undefined : `tasks.${needed} is not claimed`;
  }
  return undefined;
}

/** What the table says, less what this broker does not claim: half a control refuses the other half. */
export function claimedResult(
  t: ScenarioContext,
  state: TaskState,
  operation: UserOperation,
  expected: TransitionResult | undefined,
): TransitionResult | undefined {
  if (operation !== 'cancel' && operation !== 'pause') return expected;
  const claimed: readonly string[] = t.capabilities.tasks[operation];
  return claimed.includes(state === 'running' ? 'running' : 'waiting') ? expected : undefined;
}

let cells = 0;

/** Brings a task into a state, in a queue of its own so that cells do not see each other. */
export async function reach(
  t: ScenarioContext,
  holder: Holder,
  state: TaskState,
  changes: { readonly expiresInMs?: number } = {},
  retryDelayMs: number = hourMs,
): Promise<Reached> {
  cells += 1;
  const queue = `cell-${cells}`;
  const task = await t.enqueue({ queue, delayMs: state === 'scheduled' ? hourMs : 0, ...changes });
  const invented: Lease = { taskId: task.id, attempt: 1, fence: 0, sessionId: holder.session.id };
  const reached = { id: task.id, queue, lease: invented };
  if (state === 'paused') t.equal(await t.tasks.pause([task.id]), ['applied'], 'the pause');
  if (state === 'cancelled') t.equal(await t.tasks.cancel([task.id]), ['applied'], 'the cancel');
  if (['running', 'retrying', 'succeeded', 'failed'].includes(state)) {
    const { lease } = await holder.claimOne({ queues: [queue] });
    if (state === 'retrying') await holder.retry(lease, retryDelayMs);
    if (state === 'succeeded') await holder.complete(lease, '"done"');
    if (state === 'failed') await holder.fail(lease);
    await t.inState(task.id, state, 'the state reached');
    return { ...reached, lease };
  }
  await t.inState(task.id, state, 'the state reached');
  return reached;
}

/** Where a task is, asked of the broker or, without a lookup, of what it still delivers and takes. */
export async function checkState(
  t: ScenarioContext,
  holder: Holder,
  task: Reached,
  expected: TransitionResult | undefined,
  before: TaskState,
): Promise<void> {
  const state = expected === 'request' || expected === 'kept' || expected === undefined ? before : expected;
  if (t.capabilities.tasks.get) {
    const record = await t.find(task.id);
    if (state === 'gone') t.equal(record, undefined, 'a removed task');
    else t.equal(record?.state, state, 'the state');
    return;
  }
  const queues = [task.queue];
  if (state === 'running') {
    t.equal(await holder.complete(task.lease), 'applied', 'a completion of the run that goes on');
    await holder.claimsNothing({ queues });
  } else if (state === 'pending') {
    t.equal((await holder.claimOne({ queues })).lease.taskId, task.id, 'what is delivered next');
  } else {
    await holder.claimsNothing({ queues });
  }
}

/** The settle of that name, in whose delays nothing falls due. */
export function settleOp(operation: HolderOperation, lease: Lease): SettleOp {
  switch (operation) {
    case 'retry':
      return { type: 'retry', lease, delayMs: hourMs, failure: buildFailure() };
    case 'fail':
      return { type: 'fail', lease, failure: buildFailure() };
    case 'snooze':
      return { type: 'snooze', lease, delayMs: hourMs };
    case 'settlePause':
      return { type: 'pause', lease };
    case 'settleCancel':
      return { type: 'cancel', lease };
    default:
      return { type: operation, lease };
  }
}

/** A control operation that keeps the state where the table says so. */
export function control(
  t: ScenarioContext,
  id: string,
  state: TaskState,
  operation: Extract<TaskOperation, UserOperation>,
): Promise<ControlOutcome[]> {
  // A due time that keeps the state: `scheduled` stays ahead, the others stay due.
  if (operation === 'reschedule') return t.tasks.reschedule([id], { delayMs: state === 'scheduled' ? hourMs : 0 });
  if (operation === 'update') return t.tasks.update([id], { priority: 8 });
  return t.tasks[operation]([id]);
}

/** What the caller is answered. */
export function controlOutcome(expected: TransitionResult | undefined): ControlOutcome {
  return expected === undefined ? 'refused' : expected === 'request' ? 'requested' : 'applied';
}
