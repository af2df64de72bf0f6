import type { CheckContext } from '../check-context.ts';
import { mayHaveTaken, type Operation } from '../operation.ts';
import { acceptedEnqueue, isEnding, isUncharged, mayFallBetween, settlesByFence } from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';

/** H08 and H09: attempts are counted, given back ones are used again, and they come to an end. */
export function checkAttempts(task: TaskHistory, context: CheckContext): void {
  checkMaximum(task, context);
  const { claims } = task;
  const [first] = claims;
  if (first === undefined || first.attempt === 0) return;
  // In the order in which they were given, which is that of the fences; where it is not, H07 says so.
  const inTurn = claims.length === 1 ? claims : [...claims].sort((a, b) => a.fence - b.fence);
  checkFirst(inTurn[0] as Operation, task, context);
  if (claims.length === 1) return;
  const settles = settlesByFence(task);
  for (let index = 1; index < inTurn.length; index++) {
    const before = inTurn[index - 1] as Operation;
    const claim = inTurn[index] as Operation;
    if (claim.return < before.invoke) return;
    const allowed = nextAttempts(before, claim, settles.get(before.fence) ?? [], task, context);
    if (allowed === undefined) continue;
    context.saw('H08');
    if (allowed.has(claim.attempt)) continue;
    const settle = settles.get(before.fence)?.find((each) => each.outcome === 'applied');
    context.fail('H08', task, [
      { what: before },
      ...(settle === undefined ? [] : [{ what: settle }]),
      { what: claim, wrong: `attempt ${claim.attempt}; expected ${[...allowed].join(' or ')}` },
    ]);
  }
}

function checkFirst(first: Operation, task: TaskHistory, context: CheckContext): void {
  if (hasHiddenClaim(first, Number.NEGATIVE_INFINITY, context)) return;
  context.saw('H08');
  if (first.attempt !== 1) {
    context.fail('H08', task, [{ what: first, wrong: `its first run is attempt ${first.attempt}` }]);
  }
}

/**
 * Whether some claim that nobody knows the answer of may have had the task since. Where tasks are pushed, a session that
 * was lost may have had it without any claim.
 */
function hasHiddenClaim(claim: Operation, since: number, context: CheckContext): boolean {
  const { hiddenClaims, sessions, lastSeen } = context.timeline;
  if (hiddenClaims.some((hidden) => hidden.invoke < claim.return && hidden.return > since)) return true;
  if (context.options.capabilities.settle.confirmedBy !== 'barrier') return false;
  return [...sessions.values()].some(({ pid, lostAt }) => {
    const overAt = Math.min(lostAt, lastSeen.get(pid) ?? Number.POSITIVE_INFINITY);
    return overAt < claim.return && overAt > since;
  });
}

/** Attempts the next claim may have, or `undefined` when the history leaves that open. */
function nextAttempts(
  before: Operation,
  claim: Operation,
  settles: readonly Operation[],
  task: TaskHistory,
  context: CheckContext,
): ReadonlySet<number> | undefined {
  if (hasHiddenClaim(claim, before.invoke, context)) return undefined;
  const allowed = new Set<number>();
  if (mayFallBetween(task.controls, ['rerun'], before.invoke, claim.return)) allowed.add(1);
  const applied = settles.find((settle) => settle.outcome === 'applied');
  if (applied !== undefined) {
    // A claim after an end without a rerun is H04's to report.
    if (isEnding(applied)) return allowed.size === 0 ? undefined : allowed;
    return allowed.add(isUncharged(applied) ? before.attempt : before.attempt + 1);
  }
  for (const settle of settles) {
    if (mayHaveTaken(settle)) allowed.add(isUncharged(settle) ? before.attempt : before.attempt + 1);
  }
  return addLoss(allowed, before, claim, task, context);
}

/** Nobody settled: the session ended and gave the task back, or it was lost and the attempt counts. */
function addLoss(
  allowed: Set<number>,
  before: Operation,
  claim: Operation,
  task: TaskHistory,
  context: CheckContext,
): ReadonlySet<number> {
  const session = context.timeline.sessions.get(before.answer?.args?.session ?? '');
  const ended = session?.end ?? session?.close;
  const mayHaveEnded = ended !== undefined && ended.invoke < claim.return;
  const surelyEnded = mayHaveEnded && ended.outcome === 'ok' && session?.lostAt === Number.POSITIVE_INFINITY;
  if (mayHaveEnded) allowed.add(before.attempt);
  if (!surelyEnded) {
    allowed.add(before.attempt + 1);
    // LSE-16: the last attempt is not used up by a holder that never began it.
    const begun = task.reports.some(
      (report) => report.fence === before.fence && report.args.begun === true && report.outcome === 'applied',
    );
    const { maxAttempts } = before.answer?.args ?? {};
    if (maxAttempts !== undefined && before.attempt >= maxAttempts && !begun) allowed.add(before.attempt);
  }
  return allowed;
}

function checkMaximum(task: TaskHistory, context: CheckContext): void {
  // New content may allow fewer attempts than the old one had used up; the contract does not say what then.
  if (task.replacements.length > 0) return;
  for (const claim of task.claims) {
    const { maxAttempts } = claim.answer?.args ?? {};
    if (maxAttempts === undefined || claim.attempt === 0) continue;
    context.saw('H09');
    if (claim.attempt > maxAttempts) {
      context.fail('H09', task, [{ what: claim, wrong: `attempt ${claim.attempt} of at most ${maxAttempts}` }]);
    }
  }
  checkLossOfLife(task, context);
}

/** A task may die of being lost on its last attempt only. */
function checkLossOfLife(task: TaskHistory, context: CheckContext): void {
  const { final } = task;
  const enqueue = acceptedEnqueue(task);
  if (final === undefined || enqueue === undefined || final.args?.state !== 'failed' || final.args.kind !== 'lost')
    return;
  // A holder may also settle with this kind; then the core has decided.
  if (task.settles.some((settle) => settle.op === 'fail' && mayHaveTaken(settle))) return;
  context.saw('H09');
  const { maxAttempts } = enqueue.args;
  const attempt = final.attempt ?? 0;
  if (maxAttempts === undefined || attempt < maxAttempts) {
    const last = task.claims.at(-1);
    context.fail('H09', task, [
      ...(last === undefined ? [] : [{ what: last }]),
      { what: final, wrong: `dead of loss after attempt ${attempt} of ${maxAttempts ?? 'any number'}` },
    ]);
  }
}
