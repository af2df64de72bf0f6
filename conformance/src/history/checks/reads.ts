import { isTerminal, type TaskState, transitions } from '@millrace/core';
import type { CheckContext } from '../check-context.ts';
import { mayHaveTaken, type Operation } from '../operation.ts';
import { acceptedEnqueue, mayBeGone, mayFallBetween } from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';

/** H23 and H24: what reads and events show follows the state machine and the calls that were answered. */
export function checkReads(task: TaskHistory, context: CheckContext): void {
  checkVisibility(task, context);
  checkEdges(task, context);
  checkSettledReads(task, context);
  checkEvents(task, context);
}

function stateOf(read: Operation): TaskState | 'gone' | undefined {
  return read.answer?.args?.state;
}

/** Read your writes: an accepted task is there, a task nobody enqueued is not. */
function checkVisibility(task: TaskHistory, context: CheckContext): void {
  const accepted = acceptedEnqueue(task);
  for (const read of task.reads) {
    const state = stateOf(read);
    if (state === undefined) continue;
    context.saw('H23');
    if (state !== 'gone') {
      if (task.enqueues.some((enqueue) => mayHaveTaken(enqueue) && enqueue.invoke < read.return)) continue;
      context.fail('H23', task, [{ what: read, wrong: 'it shows a task that nobody enqueued' }]);
    } else if (accepted !== undefined && accepted.args.tx === undefined && accepted.return < read.invoke) {
      if (mayBeGone(task, context.timeline)) continue;
      context.fail('H23', task, [{ what: accepted }, { what: read, wrong: 'it does not show an accepted task' }]);
    }
  }
}

function checkEdges(task: TaskHistory, context: CheckContext): void {
  let before: Operation | undefined;
  for (const read of task.reads) {
    const state = stateOf(read);
    if (state === undefined || state === 'gone') continue;
    if (before !== undefined && before.return <= read.invoke) {
      context.saw('H23');
      const wrong = edgeProblem(before, read, task);
      if (wrong !== undefined) context.fail('H23', task, [{ what: before }, { what: read, wrong }]);
    }
    if (before === undefined || read.return >= before.return) before = read;
  }
}

function edgeProblem(before: Operation, after: Operation, task: TaskHistory): string | undefined {
  const from = stateOf(before) as TaskState;
  const to = stateOf(after) as TaskState;
  const [older, newer] = [before.answer?.fence ?? 0, after.answer?.fence ?? 0];
  if (newer < older) return `its fence went back from ${older} to ${newer}`;
  if (isTerminal(from) && mayFallBetween(task.controls, ['rerun'], before.invoke, after.return)) return undefined;
  if (isTerminal(from) && (to !== from || newer !== older)) return `it had ended as ${from}`;
  if (newer === older && !reachable(from).has(to)) return `no way leads from ${from} to ${to} without a claim`;
  return undefined;
}

const reachableFrom = new Map<TaskState, ReadonlySet<TaskState>>();

/** States a task may come to without being claimed or rerun. */
function reachable(from: TaskState): ReadonlySet<TaskState> {
  const known = reachableFrom.get(from);
  if (known !== undefined) return known;
  const found = new Set<TaskState>([from]);
  for (const state of found) {
    // A scheduled task falls due by itself, and a due one may be put off.
    if (state === 'scheduled') found.add('pending');
    if (state === 'pending') found.add('scheduled');
    for (const [operation, edges] of Object.entries(transitions)) {
      const to = operation === 'claim' || operation === 'rerun' ? undefined : edges[state];
      if (to !== undefined && to !== 'request' && to !== 'gone' && to !== 'kept') found.add(to);
    }
    // A stop that was asked for takes the place of where a holder's call leads.
    if (state === 'running') for (const stopped of ['paused', 'cancelled'] as const) found.add(stopped);
  }
  reachableFrom.set(from, found);
  return found;
}

/** A read after an applied settle shows at least that. */
function checkSettledReads(task: TaskHistory, context: CheckContext): void {
  if (task.reads.length === 0) return;
  for (const settle of task.settles) {
    if (settle.outcome !== 'applied') continue;
    for (const read of task.reads) {
      const { answer } = read;
      if (read.invoke < settle.return || answer === undefined) continue;
      context.saw('H23');
      if (stateOf(read) !== 'running' || (answer.fence ?? 0) > settle.fence) continue;
      context.fail('H23', task, [{ what: settle }, { what: read, wrong: 'it still shows the run that was settled' }]);
    }
  }
}

function checkEvents(task: TaskHistory, context: CheckContext): void {
  const { final } = task;
  const state = final?.args?.state;
  if (final === undefined || state === undefined || state === 'gone' || !isTerminal(state)) return;
  const told = task.marks.filter((mark) => mark.op === 'taskEvent');
  if (told.length === 0) return;
  context.saw('H24');
  const ends = told.filter((event) => event.args?.state === state);
  if (ends.length === 0) {
    const last = told.at(-1);
    context.fail('H24', task, [
      ...(last === undefined ? [] : [{ what: last }]),
      { what: final, wrong: `its end as ${state} was never told` },
    ]);
  }
}
