import type { CheckContext } from '../check-context.ts';
import { mayHaveTaken, type Operation, took } from '../operation.ts';
import { mayFallBetween } from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';

/** H13 and the per-task part of H14: what was stopped stays stopped until somebody says otherwise. */
export function checkControl(task: TaskHistory, context: CheckContext): void {
  for (const control of task.controls) {
    if (!took(control)) continue;
    if (control.op === 'cancel' || control.op === 'remove') {
      context.saw('H13');
      checkStopped('H13', control, ['rerun'], task, context);
      if (control.outcome === 'requested') checkTold(control, task, context);
    } else if (control.op === 'pause') {
      context.saw('H14');
      checkStopped('H14', control, ['resume', 'rerun'], task, context);
    }
  }
}

function checkStopped(
  id: 'H13' | 'H14',
  control: Operation,
  undoneBy: readonly string[],
  task: TaskHistory,
  context: CheckContext,
): void {
  for (let index = task.claims.length - 1; index >= 0; index--) {
    const claim = task.claims[index] as Operation;
    if (claim.return < control.return) return;
    if (claim.invoke <= control.return || mayFallBetween(task.controls, undoneBy, control.invoke, claim.return))
      continue;
    // After a remove request the holder may have finished its work; the record then stays, and may be rerun.
    if (control.op === 'remove' && control.outcome === 'requested' && endedSince(task, control)) continue;
    context.fail(id, task, [{ what: control }, { what: claim, wrong: `${control.op} had been ${control.outcome}` }]);
  }
}

function endedSince(task: TaskHistory, control: Operation): boolean {
  return task.settles.some(
    (settle) => settle.op === 'complete' && mayHaveTaken(settle) && settle.return > control.invoke,
  );
}

/** The holder must hear of it, unless its run ends before that. */
function checkTold(control: Operation, task: TaskHistory, context: CheckContext): void {
  const { signalWithinMs } = context.options;
  if (signalWithinMs === undefined) return;
  const latest = control.return + signalWithinMs * 1_000;
  const holder = task.claims.findLast((claim) => claim.return <= control.return);
  if (holder === undefined) return;
  const session = context.timeline.sessions.get(holder.answer?.args?.session ?? '');
  const gone = Math.min(
    session?.lostAt ?? Number.POSITIVE_INFINITY,
    session?.end?.invoke ?? Number.POSITIVE_INFINITY,
    session?.close?.invoke ?? Number.POSITIVE_INFINITY,
    context.timeline.lastSeen.get(holder.pid) ?? Number.POSITIVE_INFINITY,
    ...context.timeline.faults.map((fault) => (fault.args?.faultPhase === 'heal' ? Number.POSITIVE_INFINITY : fault.t)),
    ...task.settles.filter((settle) => settle.fence === holder.fence).map((settle) => settle.invoke),
  );
  const told = task.marks.find(
    (mark) => mark.op === 'signal' && mark.fence === holder.fence && mark.t >= control.invoke,
  );
  if (told !== undefined && told.t <= latest) return;
  if (gone <= latest) return;
  context.fail('H13', task, [
    { what: holder },
    { what: control },
    told === undefined
      ? { what: { t: latest, text: `${signalWithinMs} ms later` }, wrong: 'its holder was never told' }
      : { what: told, wrong: `told ${Math.round((told.t - latest) / 1_000)} ms too late` },
  ]);
}

/** The per-queue part of H14. */
export function checkQueuePauses(context: CheckContext): void {
  const { queueControls, tasks } = context.timeline;
  const grace = (context.options.pauseGraceMs ?? 0) * 1_000;
  const spans: { readonly pause: Operation; readonly from: number; readonly to: number }[] = [];
  for (const pause of queueControls) {
    if (pause.op !== 'queuePause' || !took(pause)) continue;
    const undone = queueControls.filter(
      (each) =>
        each.op === 'queueResume' && each.queue === pause.queue && mayHaveTaken(each) && each.return > pause.invoke,
    );
    const to = Math.min(Number.POSITIVE_INFINITY, ...undone.map((each) => each.invoke));
    context.saw('H14');
    spans.push({ pause, from: pause.return + grace, to });
  }
  if (spans.length === 0) return;
  for (const task of tasks) {
    for (const claim of task.claims) {
      const span = spans.find(
        ({ pause, from, to }) => pause.queue === claim.queue && claim.invoke > from && claim.return < to,
      );
      if (span === undefined) continue;
      context.fail('H14', task, [{ what: span.pause }, { what: claim, wrong: `queue ${claim.queue} was paused` }]);
    }
  }
}
