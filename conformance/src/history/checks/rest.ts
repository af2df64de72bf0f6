import type { CheckContext } from '../check-context.ts';
import type { Operation } from '../operation.ts';
import { acceptanceOf } from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';

/** H25, H26, H28: what must add up when everything has come to rest. */
export function checkRest(context: CheckContext): void {
  checkCounts(context);
  checkBatches(context);
  checkResources(context);
}

function checkCounts(context: CheckContext): void {
  const { counts, tasks } = context.timeline;
  if (counts?.args?.counts === undefined) return;
  const found: Record<string, number> = {};
  for (const { final } of tasks) {
    const state = final?.args?.state;
    if (state !== undefined && state !== 'gone') found[state] = (found[state] ?? 0) + 1;
  }
  const unread = tasks.filter(
    (task) => task.final === undefined && task.enqueues.some((each) => acceptanceOf(each, context.timeline) !== 'none'),
  ).length;
  if (unread > 0) {
    context.undecided('H25', `${unread} tasks were not read at the end`);
    return;
  }
  const told = counts.args.counts;
  for (const state of new Set([...Object.keys(told), ...Object.keys(found)])) {
    context.saw('H25');
    const [counted, read] = [told[state] ?? 0, found[state] ?? 0];
    if (counted === read) continue;
    context.fail('H25', undefined, [{ what: counts, wrong: `${counted} ${state} by count, ${read} by their records` }]);
  }
}

function checkBatches(context: CheckContext): void {
  if (!context.options.capabilities.batch.enqueueAtomic) return;
  const batches = new Map<string, { readonly task: TaskHistory; readonly enqueue: Operation }[]>();
  for (const task of context.timeline.tasks) {
    for (const enqueue of task.enqueues) {
      const name = `${enqueue.pid} ${enqueue.args.batch ?? enqueue.seq}`;
      const list = batches.get(name);
      if (list === undefined) batches.set(name, [{ task, enqueue }]);
      else list.push({ task, enqueue });
    }
  }
  for (const parts of batches.values()) {
    if (parts.length === 1) continue;
    context.saw('H26');
    const there = parts.find(({ task, enqueue }) => enqueue.outcome === 'accepted' || isThere(task));
    const missing = parts.find(
      ({ task, enqueue }) => enqueue.outcome === 'rejected' || (enqueue.outcome === 'unknown' && isMissing(task)),
    );
    if (there === undefined || missing === undefined) continue;
    context.fail('H26', missing.task, [
      { what: there.enqueue },
      { what: missing.enqueue, wrong: `of one atomic batch ${there.task.id} is there and this is not` },
    ]);
  }
}

function isThere(task: TaskHistory): boolean {
  const state = task.final?.args?.state;
  return task.claims.length > 0 || (state !== undefined && state !== 'gone');
}

function isMissing(task: TaskHistory): boolean {
  return task.claims.length === 0 && task.final?.args?.state === 'gone' && task.controls.length === 0;
}

function checkResources(context: CheckContext): void {
  const { resources } = context.timeline;
  const [first] = resources;
  const last = resources.at(-1);
  if (first === undefined || last === undefined || first === last) return;
  for (const [name, held] of Object.entries(last.args?.counts ?? {})) {
    context.saw('H28');
    const before = first.args?.counts?.[name] ?? 0;
    if (held > before)
      context.fail('H28', undefined, [{ what: first }, { what: last, wrong: `${name}: ${before}, then ${held}` }]);
  }
}
