import type { CheckContext } from '../check-context.ts';
import type { Operation } from '../operation.ts';
import { appliedEnds, mayFallBetween, settlesByFence } from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';
import type { Timeline } from '../timeline.ts';

/** H04 to H07: one owner at a time, fences that grow, leases that settle once, ends that are final. */
export function checkOwnership(task: TaskHistory, context: CheckContext): void {
  if (task.claims.length === 0 && task.settles.length === 0) return;
  checkFinality(task, context);
  checkOwners(task, context);
  checkFencing(task, context);
  checkGrowth(task, context);
}

function checkFinality(task: TaskHistory, context: CheckContext): void {
  for (const end of appliedEnds(task)) {
    context.saw('H04');
    // Deliveries come in the order of their return, so the last ones are the first to look at.
    for (let index = task.claims.length - 1; index >= 0; index--) {
      const claim = task.claims[index] as Operation;
      if (claim.return < end.return) break;
      if (claim.invoke <= end.return || mayFallBetween(task.controls, ['rerun'], end.invoke, claim.return)) continue;
      context.fail('H04', task, [{ what: end }, { what: claim, wrong: 'the task had ended, and nobody reran it' }]);
    }
  }
}

/** The time in which a holder surely trusts its lease: from the delivery to the first reason to let go. */
function trustOf(claim: Operation, settles: readonly Operation[], timeline: Timeline): number {
  let end = timeline.lastSeen.get(claim.pid) ?? claim.return;
  for (const settle of settles) end = Math.min(end, settle.invoke);
  const session = timeline.sessions.get(claim.answer?.args?.session ?? '');
  if (session !== undefined) {
    end = Math.min(end, session.lostAt, session.end?.invoke ?? end, session.close?.invoke ?? end);
  }
  for (const fault of timeline.faults) {
    // A process that is frozen, stalled or dead holds nothing for certain. Neither does one whose network is broken.
    const { target, session: hit, faultPhase } = fault.args ?? {};
    const concerns = target === undefined && hit === undefined ? true : target === claim.pid || hit === session?.id;
    if (concerns && faultPhase !== 'heal' && fault.t < end) end = Math.max(fault.t, claim.return);
  }
  return end;
}

function checkOwners(task: TaskHistory, context: CheckContext): void {
  const { claims } = task;
  if (claims.length === 0) return;
  context.saw('H05');
  if (claims.length === 1) return;
  const settles = settlesByFence(task);
  let holder: Operation | undefined;
  let trusted = Number.NEGATIVE_INFINITY;
  for (const claim of claims) {
    if (holder !== undefined && claim.return < trusted) {
      const settle = settles.get(holder.fence)?.[0];
      context.fail('H05', task, [
        { what: holder },
        { what: claim, wrong: 'its first holder was still alive and had not let go' },
        ...(settle === undefined ? [] : [{ what: settle }]),
      ]);
    }
    const end = trustOf(claim, settles.get(claim.fence) ?? [], context.timeline);
    if (end > trusted) {
      holder = claim;
      trusted = end;
    }
  }
}

function checkFencing(task: TaskHistory, context: CheckContext): void {
  const { claims, settles } = task;
  const newest = newestFence(claims);
  const settled = new Map<number, Operation>();
  for (const settle of settles) {
    if (settle.outcome === 'stale') context.saw('H06');
    if (settle.outcome !== 'applied') continue;
    context.saw('H06');
    const first = settled.get(settle.fence);
    if (first === undefined) settled.set(settle.fence, settle);
    else context.fail('H06', task, [{ what: first }, { what: settle, wrong: `fence ${settle.fence} had settled` }]);
    checkStale(settle, newest, task, context);
    const session = context.timeline.sessions.get(settle.args.session ?? '');
    if (session?.end?.outcome === 'ok' && session.end.return < settle.invoke) {
      context.fail('H06', task, [{ what: session.end }, { what: settle, wrong: 'its session had ended' }]);
    }
  }
  for (const report of task.reports) {
    if (report.outcome === 'stale') context.saw('H06');
    if (report.outcome !== 'applied') continue;
    context.saw('H06');
    checkStale(report, newest, task, context);
    const settle = settled.get(report.fence);
    if (settle !== undefined && settle.return < report.invoke) {
      context.fail('H06', task, [{ what: settle }, { what: report, wrong: `fence ${report.fence} had settled` }]);
    }
  }
}

function checkStale(
  operation: Operation,
  newest: (before: number) => Operation | undefined,
  task: TaskHistory,
  context: CheckContext,
): void {
  const newer = newest(operation.invoke);
  const own = task.claims.find((claim) => claim.fence === operation.fence);
  if (newer !== undefined && newer.fence > operation.fence) {
    context.fail('H06', task, [
      ...(own === undefined ? [] : [{ what: own }]),
      { what: newer },
      { what: operation, wrong: `must be stale: fence ${newer.fence} had been given` },
    ]);
  } else if (own === undefined && context.timeline.hiddenClaims.length === 0) {
    context.fail('H06', task, [{ what: operation, wrong: `nobody was given fence ${operation.fence}` }]);
  }
}

/** The highest fence among the deliveries that had returned before a moment. */
function newestFence(claims: readonly Operation[]): (before: number) => Operation | undefined {
  const best: Operation[] = [];
  for (const claim of claims) {
    const last = best.at(-1);
    best.push(last !== undefined && last.fence >= claim.fence ? last : claim);
  }
  return (before) => {
    let low = 0;
    let high = claims.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((claims[middle] as Operation).return < before) low = middle + 1;
      else high = middle;
    }
    return best[low - 1];
  };
}

function checkGrowth(task: TaskHistory, context: CheckContext): void {
  const { claims } = task;
  if (claims.length === 0) return;
  context.saw('H07');
  if (claims.length === 1) return;
  const newest = newestFence(claims);
  const given = new Map<number, Operation>();
  for (const claim of claims) {
    const same = given.get(claim.fence);
    const before = newest(claim.invoke);
    if (same !== undefined) {
      context.fail('H07', task, [{ what: same }, { what: claim, wrong: `fence ${claim.fence} was given twice` }]);
    } else if (before !== undefined && before.fence > claim.fence) {
      context.fail('H07', task, [{ what: before }, { what: claim, wrong: `fence ${before.fence} had been given` }]);
    }
    given.set(claim.fence, claim);
  }
}
