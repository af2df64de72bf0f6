import type { CheckContext } from '../check-context.ts';
import { mayHaveTaken, type Operation, took } from '../operation.ts';
import { mayFallBetween } from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';

/** H10: never before it is due, never after it expired. */
export function checkTiming(task: TaskHistory, context: CheckContext): void {
  if (task.claims.length === 0 || task.enqueues.length === 0) return;
  checkEarly(task, context);
  checkExpiry(task, context);
}

const setters: ReadonlySet<string> = new Set(['enqueue', 'retry', 'snooze', 'reschedule']);

/**
 * Which call set the due time last is not always known: of calls that overlap, or whose answer was lost, any may have
 * been. A start is early when it is before the due time of every call that may have been the last.
 */
function checkEarly(task: TaskHistory, context: CheckContext): void {
  const calls = dueCalls(task);
  const isDelayed = calls.some((operation) => (operation.args.delayMs ?? 0) > 0);
  for (const [index, claim] of task.claims.entries()) {
    context.saw('H10');
    // Most tasks are due at once, and nothing can be early then.
    if (!isDelayed) continue;
    const candidates = lastSetters(calls, claim, previousClaim(task.claims, index));
    const dues = candidates.map((operation) => dueOf(operation, context));
    const due = Math.min(...dues);
    if (candidates.length === 0 || claim.return >= due - context.precision) continue;
    const by = Math.ceil((due - claim.return) / 1_000);
    const setter = candidates[dues.indexOf(due)] as Operation;
    context.fail('H10', task, [{ what: setter }, { what: claim, wrong: `${by} ms before it is due` }]);
  }
}

/** The last claim that was surely before; after it the task is due at once unless somebody says otherwise. */
function previousClaim(claims: readonly Operation[], index: number): Operation | undefined {
  const { invoke } = claims[index] as Operation;
  for (let before = index - 1; before >= 0; before--) {
    const claim = claims[before] as Operation;
    if (claim.return <= invoke) return claim;
  }
  return undefined;
}

function lastSetters(calls: readonly Operation[], claim: Operation, previous: Operation | undefined): Operation[] {
  const since = previous?.invoke ?? Number.NEGATIVE_INFINITY;
  const eligible = calls.filter((call) => call.invoke < claim.return && call.return > since);
  if (previous !== undefined) eligible.push(previous);
  let sure = Number.NEGATIVE_INFINITY;
  for (const call of eligible) if (took(call) && call.return < claim.invoke) sure = Math.max(sure, call.invoke);
  return eligible.filter((call) => call.return >= sure);
}

function dueCalls(task: TaskHistory): Operation[] {
  const calls = [...task.enqueues, ...task.replacements, ...task.settles, ...task.controls].filter(
    (operation) => (setters.has(operation.op) || operation.op === 'rerun') && mayHaveTaken(operation),
  );
  return calls.sort((a, b) => a.invoke - b.invoke);
}

function dueOf(operation: Operation, context: CheckContext): number {
  const { delayMs, absolute } = operation.args;
  if (delayMs === undefined || delayMs <= 0) return Number.NEGATIVE_INFINITY;
  const tolerance = absolute === true ? (context.options.clockToleranceMs ?? 1_000) : 0;
  return operation.invoke + (delayMs - tolerance) * 1_000;
}

function checkExpiry(task: TaskHistory, context: CheckContext): void {
  if (task.replacements.length > 0) return;
  const enqueue = task.enqueues.find((each) => each.outcome === 'accepted');
  const { expiresInMs, absolute } = enqueue?.args ?? {};
  if (enqueue === undefined || expiresInMs === undefined) return;
  const tolerance = absolute === true ? (context.options.clockToleranceMs ?? 1_000) : 0;
  const expiry = enqueue.return + (expiresInMs + tolerance) * 1_000 + context.precision;
  for (const claim of task.claims) {
    if (mayFallBetween(task.controls, ['rerun'], 0, claim.return)) continue;
    context.saw('H10');
    if (claim.invoke > expiry) {
      const late = Math.ceil((claim.invoke - expiry) / 1_000);
      context.fail('H10', task, [{ what: enqueue }, { what: claim, wrong: `${late} ms after it expired` }]);
    }
  }
}
