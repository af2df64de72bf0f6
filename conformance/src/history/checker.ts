import { buildTimeline } from './build-timeline.ts';
import { CheckContext, type Verdict } from './check-context.ts';
import type { CheckOptions } from './check-options.ts';
import { checkAttempts } from './checks/attempts.ts';
import { checkCalls } from './checks/calls.ts';
import { checkControl, checkQueuePauses } from './checks/control.ts';
import { checkDelivery } from './checks/delivery.ts';
import { checkGroups } from './checks/groups.ts';
import { checkLimits } from './checks/limits.ts';
import { checkLiveness } from './checks/liveness.ts';
import { checkOrder } from './checks/order.ts';
import { checkOwnership } from './checks/ownership.ts';
import { checkReads } from './checks/reads.ts';
import { checkRest } from './checks/rest.ts';
import { checkTiming } from './checks/timing.ts';
import { checkTransactions } from './checks/transactions.ts';
import { checkIds, checkKeys } from './checks/unique.ts';
import type { HistoryEvent } from './event.ts';
import { findGuarantee, type GuaranteeFound } from './guarantee.ts';
import type { InvariantId } from './invariant.ts';
import type { TaskHistory } from './task-history.ts';
import type { Timeline } from './timeline.ts';

/** Figures of a history. Nothing is filtered out: what ran twice is counted, here and in the checks. */
export interface HistoryCounts {
  readonly events: number;
  /** Tasks that were accepted. */
  readonly accepted: number;
  readonly deliveries: number;
  /** Deliveries of a task that had been delivered before, for whatever reason. */
  readonly redeliveries: number;
  /** Handlers that started although an earlier run of the task had started and nobody had settled it. */
  readonly duplicateRuns: number;
  /** Calls whose outcome is not known. */
  readonly unknown: number;
}

/** What a history shows. */
export interface HistoryReport {
  /** `fail` if any verdict fails, `unknown` if none does and some are. */
  readonly status: Verdict['status'];
  readonly verdicts: readonly Verdict[];
  readonly guarantee: GuaranteeFound;
  readonly counts: HistoryCounts;
  /** Microseconds; witnesses are drawn relative to it. */
  readonly startedAt: number;
  readonly seed?: number | string;
}

/** Invariants that need to know which calls were about which task. */
const perTask: readonly InvariantId[] = [
  'H01',
  'H02',
  'H03',
  'H04',
  'H05',
  'H06',
  'H07',
  'H08',
  'H09',
  'H10',
  'H12',
  'H13',
  'H23',
];

/** Checks a history against every invariant. Looks at each task once; takes about a second for a million events. */
export function checkHistory(events: readonly HistoryEvent[], options: CheckOptions): HistoryReport {
  const timeline = buildTimeline(events);
  const context = new CheckContext(timeline, options);
  for (const task of timeline.tasks) {
    if (task.unclear) {
      for (const id of perTask) context.undecided(id, 'an id may have been used again');
      continue;
    }
    checkDelivery(task, context);
    checkOwnership(task, context);
    checkAttempts(task, context);
    checkTiming(task, context);
    checkControl(task, context);
    checkIds(task, context);
    checkReads(task, context);
    checkTransactions(task, context);
  }
  checkKeys(context);
  checkQueuePauses(context);
  checkOrder(context);
  checkGroups(context);
  checkLiveness(context);
  checkLimits(context);
  checkRest(context);
  checkCalls(context);
  const verdicts = context.verdicts();
  return {
    status: overall(verdicts),
    verdicts,
    guarantee: findGuarantee(verdicts),
    counts: countHistory(timeline),
    startedAt: timeline.firstAt,
    ...(options.seed !== undefined && { seed: options.seed }),
  };
}

function overall(verdicts: readonly Verdict[]): Verdict['status'] {
  if (verdicts.some((verdict) => verdict.status === 'fail')) return 'fail';
  return verdicts.some((verdict) => verdict.status === 'unknown') ? 'unknown' : 'pass';
}

function countHistory(timeline: Timeline): HistoryCounts {
  let accepted = 0;
  let deliveries = 0;
  let redeliveries = 0;
  let duplicateRuns = 0;
  for (const task of timeline.tasks) {
    if (task.enqueues.some((enqueue) => enqueue.outcome === 'accepted')) accepted += 1;
    deliveries += task.claims.length;
    redeliveries += Math.max(0, task.claims.length - 1);
    duplicateRuns += countDuplicateRuns(task);
  }
  const unknown = timeline.calls.filter((call) => call.outcome === 'unknown').length;
  return { events: timeline.events, accepted, deliveries, redeliveries, duplicateRuns, unknown };
}

function countDuplicateRuns(task: TaskHistory): number {
  let open = 0;
  let duplicates = 0;
  for (const start of task.marks) {
    if (start.op !== 'start') continue;
    if (open > 0) duplicates += 1;
    const settled = task.settles.some((settle) => settle.fence === start.fence && settle.outcome === 'applied');
    if (!settled) open += 1;
  }
  return duplicates;
}
