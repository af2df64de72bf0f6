import type { CheckContext } from '../check-context.ts';
import type { HistoryEvent } from '../event.ts';
import { mayHaveTaken, type Operation } from '../operation.ts';
import {
  acceptanceOf,
  acceptedEnqueue,
  likelyEnqueue,
  mayBeGone,
  mayFallBetween,
  mayHaveEnded,
} from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';

/** H01, H02, H03, H12: what was accepted is delivered as it was, what was settled stays settled, and nothing else comes. */
export function checkDelivery(task: TaskHistory, context: CheckContext): void {
  checkLoss(task, context);
  checkPhantom(task, context);
  checkLostSettle(task, context);
  checkContent(task, context);
}

function checkLoss(task: TaskHistory, context: CheckContext): void {
  const { timeline } = context;
  const accepted = acceptedEnqueue(task);
  if (accepted === undefined || task.succeeded || acceptanceOf(accepted, timeline) !== 'accepted') return;
  const { final } = task;
  if (final !== undefined) {
    context.saw('H01');
    if (final.args?.state !== 'gone' || mayBeGone(task, timeline)) return;
    context.fail('H01', task, [{ what: accepted }, { what: final, wrong: 'accepted, never removed, and not there' }]);
    return;
  }
  if (mayHaveEnded(task) || mayBeGone(task, timeline)) {
    context.saw('H01');
    return;
  }
  const { drainedAt } = timeline;
  if (drainedAt === undefined) {
    context.undecided('H01', 'the history was not drained');
    return;
  }
  if (mayBeWaiting(task, context, drainedAt)) {
    context.undecided('H01', 'it may still wait, and was not read');
    return;
  }
  context.saw('H01');
  const last = task.claims.at(-1);
  context.fail('H01', task, [
    { what: accepted },
    ...(last === undefined ? [] : [{ what: last }]),
    { what: { t: drainedAt, text: 'drained' }, wrong: 'accepted, never ended, and the drain did not find it' },
  ]);
}

/** Whether the drain may have passed it over for a good reason. */
function mayBeWaiting(task: TaskHistory, context: CheckContext, drainedAt: number): boolean {
  const first = acceptedEnqueue(task);
  const mayPause = (operation: Operation): boolean =>
    (operation.op === 'pause' || operation.op === 'queuePause' || operation.op === 'settlePause') &&
    mayHaveTaken(operation);
  if (task.controls.some(mayPause) || task.settles.some(mayPause)) return true;
  if (context.timeline.queueControls.some((control) => control.queue === first?.queue && mayPause(control)))
    return true;
  const last = task.claims.at(-1);
  const settled =
    last === undefined || task.settles.some((settle) => settle.fence >= last.fence && mayHaveTaken(settle));
  // A run that nobody ended may still go on.
  if (!settled) return true;
  return [...task.enqueues, ...task.replacements, ...task.settles, ...task.controls].some((operation) => {
    const { delayMs } = operation.args;
    return (
      delayMs !== undefined &&
      mayHaveTaken(operation) &&
      (operation.answer?.t ?? operation.invoke) + delayMs * 1_000 >= drainedAt
    );
  });
}

function checkPhantom(task: TaskHistory, context: CheckContext): void {
  const [first] = task.claims;
  if (first === undefined) return;
  context.saw('H02');
  const asked = task.enqueues.find(
    (enqueue) => enqueue.invoke < first.return && acceptanceOf(enqueue, context.timeline) !== 'none',
  );
  if (asked !== undefined) return;
  const rolledBack = task.enqueues.find((enqueue) => enqueue.args.tx !== undefined && mayHaveTaken(enqueue));
  // Then it is H22's to report.
  if (rolledBack !== undefined) return;
  const other = task.enqueues[0];
  context.fail('H02', task, [
    ...(other === undefined ? [] : [{ what: other }]),
    { what: first, wrong: other === undefined ? 'nobody enqueued it' : 'it was not accepted before' },
  ]);
}

function checkLostSettle(task: TaskHistory, context: CheckContext): void {
  const { final } = task;
  if (final === undefined || task.settles.length === 0) return;
  let last: Operation | undefined;
  for (const settle of task.settles) {
    const isEnd = settle.op === 'complete' || settle.op === 'fail' || settle.op === 'settleCancel';
    if (isEnd && settle.outcome === 'applied' && (last === undefined || settle.fence > last.fence)) last = settle;
  }
  if (last === undefined) return;
  if (mayFallBetween(task.controls, ['rerun'], last.invoke, Number.POSITIVE_INFINITY)) {
    context.undecided('H03', 'the task was rerun after it had ended');
    return;
  }
  context.saw('H03');
  const why = contradiction(last, final, task, context);
  if (why !== undefined) context.fail('H03', task, [{ what: last }, { what: final, wrong: why }]);
}

function contradiction(
  settle: Operation,
  final: HistoryEvent,
  task: TaskHistory,
  context: CheckContext,
): string | undefined {
  const { state, output, kind } = final.args ?? {};
  if (state === 'gone')
    return mayBeGone(task, context.timeline) ? undefined : `${settle.op} was applied, the record is gone`;
  const stopped = mayFallBetween(task.controls, ['cancel'], 0, settle.return);
  const expected = settle.op === 'complete' ? 'succeeded' : settle.op === 'fail' ? 'failed' : 'cancelled';
  if (state !== expected && !(stopped && settle.op === 'fail' && state === 'cancelled')) {
    return `${settle.op} was applied, and the task is ${state}`;
  }
  if (settle.op === 'complete' && settle.hash !== undefined && (output ?? '-') !== settle.hash) {
    return 'the output is another one';
  }
  if (state === 'failed' && kind !== undefined && settle.args.kind !== undefined && kind !== settle.args.kind) {
    return `it failed of ${settle.args.kind}, and the record says ${kind}`;
  }
  return undefined;
}

function checkContent(task: TaskHistory, context: CheckContext): void {
  const first = likelyEnqueue(task);
  if (first?.hash === undefined || task.claims.length === 0) return;
  // Content that a later call may have put in its place is legal from that call on.
  const changes = [...task.enqueues, ...task.replacements, ...task.controls].filter(
    (change) => change !== first && change.hash !== undefined && mayHaveTaken(change),
  );
  const contents = changes.length === 0 ? [first] : [first, ...task.replacements];
  for (const claim of task.claims) {
    if (claim.hash === undefined) continue;
    context.saw('H12');
    if (claim.hash === first.hash || changes.some((change) => explains(change, claim, contents))) continue;
    context.fail('H12', task, [{ what: first }, { what: claim, wrong: 'its content is not what was enqueued' }]);
  }
}

/** An update replaces the input only; name and headers stay as some enqueue had them. */
function explains(change: Operation, claim: Operation, contents: readonly Operation[]): boolean {
  if (change.invoke >= claim.return) return false;
  if (change.op !== 'update') return change.hash === claim.hash;
  const [input, rest] = split(claim.hash);
  return input === change.hash && contents.some((content) => split(content.hash)[1] === rest);
}

function split(hash: string | undefined): readonly [string | undefined, string | undefined] {
  const [input, rest] = (hash ?? '').split('.');
  return [input, rest];
}
