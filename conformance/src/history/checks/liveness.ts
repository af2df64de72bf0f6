import type { CheckContext } from '../check-context.ts';
import type { HistoryEvent } from '../event.ts';
import { mayHaveTaken, type Operation } from '../operation.ts';
import { acceptedEnqueue } from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';

/** H11 and H27: what is due starts, and what a dead worker held starts again. Checked when the options bound them. */
export function checkLiveness(context: CheckContext): void {
  const { startWithinMs, recoverWithinMs } = context.options;
  if (startWithinMs !== undefined) checkForgotten(context, startWithinMs * 1_000);
  if (recoverWithinMs !== undefined) checkRecovery(context, recoverWithinMs * 1_000);
}

/** Of H11: a claim that asked for the task, for longer than the bound, all while the task was due, and got nothing. */
function checkForgotten(context: CheckContext, bound: number): void {
  const longClaims = context.timeline.emptyClaims.filter((claim) => claim.return - claim.invoke > bound);
  for (const task of context.timeline.tasks) {
    if (task.unclear) continue;
    const enqueue = acceptedEnqueue(task);
    if (enqueue === undefined || enqueue.args.tx !== undefined) continue;
    context.saw('H11');
    if (longClaims.length === 0) continue;
    const due = enqueue.return + (enqueue.args.delayMs ?? 0) * 1_000 + context.precision;
    const until = Math.min(
      task.claims[0]?.invoke ?? Number.POSITIVE_INFINITY,
      task.controls[0]?.invoke ?? Number.POSITIVE_INFINITY,
      task.replacements[0]?.invoke ?? Number.POSITIVE_INFINITY,
      enqueue.args.expiresInMs === undefined
        ? Number.POSITIVE_INFINITY
        : enqueue.invoke + enqueue.args.expiresInMs * 1_000,
    );
    if (until - due <= bound) continue;
    const idle = longClaims.find((claim) => claim.return < until && wouldTake(claim, enqueue, due, bound, context));
    if (idle === undefined) continue;
    const waited = Math.round((idle.return - Math.max(due, idle.invoke)) / 1_000);
    context.fail('H11', task, [
      { what: enqueue },
      { what: idle, wrong: `asked ${waited} ms for a task that was due all the time` },
    ]);
  }
}

function wouldTake(claim: Operation, enqueue: Operation, due: number, bound: number, context: CheckContext): boolean {
  const from = Math.max(claim.invoke, due);
  if (claim.return - from <= bound) return false;
  const { queues, names } = claim.args;
  if (queues?.includes(enqueue.queue ?? '') !== true || names?.includes(enqueue.args.name ?? '') !== true) return false;
  const { timeline } = context;
  if (timeline.hiddenClaims.some((hidden) => hidden.invoke < claim.return && hidden.return > due)) return false;
  const paused = timeline.queueControls.some(
    (control) => control.queue === enqueue.queue && mayHaveTaken(control) && control.invoke < claim.return,
  );
  return !paused && !isBrokenWithin(timeline.faults, from, claim.return);
}

/** Whether a fault was active at some time of a span. */
function isBrokenWithin(faults: readonly HistoryEvent[], from: number, to: number): boolean {
  const active = new Map<string, number>();
  for (const fault of faults) {
    const name = `${fault.args?.fault} ${fault.args?.detail ?? ''}`;
    if (fault.args?.faultPhase === 'start') active.set(name, fault.t);
    else if (fault.args?.faultPhase === 'instant' && fault.t >= from && fault.t <= to) return true;
    else {
      const started = active.get(name);
      active.delete(name);
      if (started !== undefined && started <= to && fault.t >= from) return true;
    }
  }
  return [...active.values()].some((started) => started <= to);
}

const deadly: ReadonlySet<string> = new Set(['kill', 'freeze', 'crash', 'exit']);

function checkRecovery(context: CheckContext, bound: number): void {
  const { timeline } = context;
  const deaths = timeline.faults.filter(
    ({ args }) =>
      deadly.has(args?.fault ?? '') && args?.faultPhase !== 'heal' && (args?.target ?? args?.session) !== undefined,
  );
  if (deaths.length === 0) return;
  const sweep = context.options.capabilities.session.sweepMs * 1_000;
  for (const task of timeline.tasks) {
    for (const [index, claim] of task.claims.entries()) {
      const session = timeline.sessions.get(claim.answer?.args?.session ?? '');
      if (session?.ttlMs === undefined) continue;
      const death = deaths.find(
        ({ t, args }) => t > claim.return && (args?.target === session.pid || args?.session === session.id),
      );
      if (death === undefined || wasLetGo(task, claim, death.t)) continue;
      const latest = death.t + session.ttlMs * 1_000 + sweep + bound;
      const again = task.claims[index + 1];
      // Nobody else may have wanted it: without a later claim, loss is H01's to find.
      if (again === undefined) continue;
      context.saw('H27');
      if (again.return <= latest) continue;
      const late = Math.round((again.return - latest) / 1_000);
      context.fail('H27', task, [{ what: claim }, { what: death }, { what: again, wrong: `${late} ms too late` }]);
    }
  }
}

function wasLetGo(task: TaskHistory, claim: Operation, at: number): boolean {
  return task.settles.some((settle) => settle.fence === claim.fence && settle.invoke < at);
}
