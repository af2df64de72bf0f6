import type { CheckContext } from '../check-context.ts';
import type { HistoryEvent } from '../event.ts';
import { push, type TaskHistory } from '../task-history.ts';

interface Run {
  readonly task: TaskHistory;
  readonly start: HistoryEvent;
  /** The end, or the last sign of life of its process. */
  readonly end: number;
}

/** H19 and H20: how many handlers run at once, and how fast they start. Checked when the options bound them. */
export function checkLimits(context: CheckContext): void {
  const { concurrency, rate } = context.options;
  if (concurrency === undefined && rate === undefined) return;
  const runs = runsOf(context);
  const { perRole, perQueue, fleet } = concurrency ?? {};
  if (fleet !== undefined) checkOverlap(runs, fleet, 'in the fleet', context);
  if (perRole !== undefined) {
    for (const [role, own] of by(runs, (run) => run.start.role)) checkOverlap(own, perRole, `of ${role}`, context);
  }
  if (perQueue !== undefined) {
    for (const [queue, own] of by(runs, (run) => run.start.queue ?? '')) {
      checkOverlap(own, perQueue, `of queue ${queue}`, context);
    }
  }
  if (rate !== undefined) checkRate(runs, rate.limit, rate.perMs * 1_000, context);
}

function runsOf(context: CheckContext): Run[] {
  const runs: Run[] = [];
  for (const task of context.timeline.tasks) {
    for (const start of task.marks) {
      if (start.op !== 'start') continue;
      const end = task.marks.find((mark) => mark.op === 'end' && mark.fence === start.fence && mark.pid === start.pid);
      runs.push({ task, start, end: end?.t ?? context.timeline.lastSeen.get(start.pid) ?? start.t });
    }
  }
  return runs.sort((a, b) => a.start.t - b.start.t);
}

function by<T>(items: readonly T[], name: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(name(item), push(groups.get(name(item)) ?? [], item));
  return groups;
}

function checkOverlap(runs: readonly Run[], limit: number, where: string, context: CheckContext): void {
  let active: Run[] = [];
  for (const run of runs) {
    context.saw('H19');
    active = active.filter((other) => other.end > run.start.t);
    active.push(run);
    if (active.length <= limit) continue;
    const steps = active.slice(0, -1).map((other) => ({ what: other.start }));
    context.fail('H19', run.task, [
      ...steps,
      { what: run.start, wrong: `handler ${active.length} of at most ${limit} ${where}` },
    ]);
  }
}

function checkRate(runs: readonly Run[], limit: number, window: number, context: CheckContext): void {
  for (const [index, run] of runs.entries()) {
    context.saw('H20');
    const first = runs[index - limit];
    if (first === undefined || run.start.t - first.start.t >= window) continue;
    const within = Math.round((run.start.t - first.start.t) / 1_000);
    context.fail('H20', run.task, [
      { what: first.start },
      { what: run.start, wrong: `start ${limit + 1} within ${within} ms; ${limit} are allowed` },
    ]);
  }
}
