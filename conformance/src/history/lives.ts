import { mayHaveTaken, type Operation } from './operation.ts';
import { TaskHistory } from './task-history.ts';

/**
 * An id may be used again once its task was removed, purged or dropped by retention: then it is another task, with
 * fences and attempts of its own. An id accepted twice without that stays one task, and is found out (H15).
 */
export function splitLives(
  tasks: TaskHistory[],
  queueControls: readonly Operation[],
  maintenance: readonly Operation[],
): TaskHistory[] {
  const split: TaskHistory[] = [];
  for (const task of tasks) {
    if (task.enqueues.length < 2) split.push(task);
    else split.push(...livesOf(task, queueControls, maintenance));
  }
  return split;
}

function livesOf(
  task: TaskHistory,
  queueControls: readonly Operation[],
  maintenance: readonly Operation[],
): TaskHistory[] {
  const made = task.enqueues.filter((enqueue) => enqueue.outcome === 'accepted' || enqueue.outcome === 'unknown');
  const boundaries: number[] = [];
  const [first] = made;
  if (first === undefined) return [task];
  let since = first.invoke;
  for (const enqueue of made.slice(1)) {
    const removed = [...task.controls, ...queueControls, ...maintenance].some(
      (operation) => mayRemove(operation, first.queue) && operation.return > since && operation.invoke < enqueue.return,
    );
    if (!removed) continue;
    if (enqueue.outcome === 'unknown' || isCrowded(task, enqueue)) {
      task.unclear = true;
      return [task];
    }
    boundaries.push(enqueue.invoke);
    since = enqueue.invoke;
  }
  return boundaries.length === 0 ? [task] : cut(task, boundaries);
}

/** Whether other calls overlap the one that made the new task: they may have been about either of the two. */
function isCrowded(task: TaskHistory, enqueue: Operation): boolean {
  return [...task.claims, ...task.settles, ...task.reports, ...task.controls, ...task.reads].some(
    (other) => other.invoke < enqueue.return && other.return > enqueue.invoke,
  );
}

/** Whether a task may be gone because of it. */
export function mayRemove(operation: Operation, queue: string | undefined): boolean {
  if (!mayHaveTaken(operation)) return false;
  if (operation.op === 'remove') return true;
  if (operation.op === 'queuePurge') return operation.queue === queue;
  return operation.op === 'maintain' && prunes(operation);
}

function prunes(operation: Operation): boolean {
  return operation.outcome === 'unknown' || (operation.answer?.args?.counts?.pruned ?? 0) > 0;
}

function cut(task: TaskHistory, boundaries: readonly number[]): TaskHistory[] {
  const lives = [task.id, ...boundaries.map(() => task.id)].map((id) => new TaskHistory(id));
  const lifeAt = (t: number): TaskHistory =>
    lives[boundaries.filter((boundary) => boundary <= t).length] as TaskHistory;
  const spread = <T>(list: readonly T[], at: (item: T) => number, pick: (life: TaskHistory) => T[]): void => {
    for (const item of list) pick(lifeAt(at(item))).push(item);
  };
  for (const life of lives) {
    for (const name of listNames) life[name] = [];
    life.marks = [];
    life.succeeded = life !== lives.at(-1);
  }
  for (const name of listNames) {
    // A claim that waited may have begun before the id was used again; what it delivered, it delivered after.
    const at = name === 'claims' ? (one: Operation) => one.return : (one: Operation) => one.invoke;
    spread(task[name], at, (life) => life[name]);
  }
  spread(
    task.marks,
    (mark) => mark.t,
    (life) => life.marks,
  );
  (lives.at(-1) as TaskHistory).final = task.final;
  return lives;
}

const listNames = ['enqueues', 'replacements', 'claims', 'settles', 'reports', 'controls', 'reads'] as const;
