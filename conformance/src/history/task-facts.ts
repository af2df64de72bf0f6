import { mayRemove } from './lives.ts';
import { mayHaveTaken, type Operation } from './operation.ts';
import type { TaskHistory } from './task-history.ts';
import type { Timeline } from './timeline.ts';

/** Whether a task was stored: surely, perhaps, or not at all. */
export type Acceptance = 'accepted' | 'unknown' | 'none';

/**
 * The enqueue that made the task, if it is known. An id may have been refused before, with other content in another
 * queue, because of a unique key that was taken.
 */
export function acceptedEnqueue(task: TaskHistory): Operation | undefined {
  return task.enqueues.find((enqueue) => enqueue.outcome === 'accepted');
}

/** The enqueue that made the task, or may have. */
export function likelyEnqueue(task: TaskHistory): Operation | undefined {
  return acceptedEnqueue(task) ?? task.enqueues.find((enqueue) => enqueue.outcome === 'unknown');
}

/** Whether one enqueue stored its task, the fate of its transaction included. */
export function acceptanceOf(enqueue: Operation, timeline: Timeline): Acceptance {
  if (enqueue.outcome !== 'accepted' && enqueue.outcome !== 'unknown') return 'none';
  const { tx } = enqueue.args;
  if (tx === undefined) return enqueue.outcome === 'accepted' ? 'accepted' : 'unknown';
  const end = timeline.transactions.get(tx);
  if (end === undefined) return 'unknown';
  if (end.op === 'rollback') return 'none';
  return enqueue.outcome === 'accepted' ? 'accepted' : 'unknown';
}

/** Whether an operation of these may have taken effect at some moment between two others. */
export function mayFallBetween(
  operations: readonly Operation[],
  names: readonly string[],
  from: number,
  to: number,
): boolean {
  for (const operation of operations) {
    if (operation.invoke >= to) return false;
    if (operation.return > from && names.includes(operation.op) && mayHaveTaken(operation)) return true;
  }
  return false;
}

const ends: ReadonlySet<string> = new Set(['complete', 'fail', 'settleCancel']);

/** Whether a settle of this kind ends the task for good. */
export function isEnding(settle: Operation): boolean {
  return ends.has(settle.op);
}

/** Settles that surely ended the task. */
export function appliedEnds(task: TaskHistory): Operation[] {
  return task.settles.filter((settle) => isEnding(settle) && settle.outcome === 'applied');
}

/** Whether the task may have ended, however it did. */
export function mayHaveEnded(task: TaskHistory): boolean {
  const asked = task.controls.some((control) => control.op === 'cancel' && mayHaveTaken(control));
  if (asked || task.settles.some((settle) => isEnding(settle) && mayHaveTaken(settle))) return true;
  if ([...task.enqueues, ...task.replacements].some((enqueue) => enqueue.args.expiresInMs !== undefined)) return true;
  return task.claims.some(({ attempt, answer }) => attempt >= (answer?.args?.maxAttempts ?? Number.POSITIVE_INFINITY));
}

/** Whether the record may be gone: removed, purged, or dropped by retention after the task had ended. */
export function mayBeGone(task: TaskHistory, timeline: Timeline): boolean {
  if (task.succeeded || task.controls.some((control) => mayRemove(control, undefined))) return true;
  const first = likelyEnqueue(task);
  if (
    timeline.queueControls.some((control) => mayRemove(control, first?.queue) && control.return > (first?.invoke ?? 0))
  ) {
    return true;
  }
  return mayHaveEnded(task) && timeline.maintenance.some((maintain) => mayRemove(maintain, undefined));
}

/** Whether the holder surely gave the attempt back. */
export function isUncharged(settle: Operation): boolean {
  return settle.op === 'release' || settle.op === 'snooze' || settle.op === 'settlePause';
}

/** The settles of each lease, by fence. */
export function settlesByFence(task: TaskHistory): Map<number, Operation[]> {
  const byFence = new Map<number, Operation[]>();
  for (const settle of task.settles) {
    const list = byFence.get(settle.fence);
    if (list === undefined) byFence.set(settle.fence, [settle]);
    else list.push(settle);
  }
  return byFence;
}
