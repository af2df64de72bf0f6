import { buildTimeline } from './build-timeline.ts';
import type { HistoryEvent } from './event.ts';
import { mayRemove } from './lives.ts';
import { mayHaveTaken, type Operation } from './operation.ts';
import { likelyEnqueue } from './task-facts.ts';
import type { TaskHistory } from './task-history.ts';
import { type Background, type TaskRegister, taskModel } from './task-register.ts';
import type { Timeline } from './timeline.ts';
import { linearize, mostConcurrentCalls } from './wgl.ts';
import type { WitnessStep } from './witness.ts';

/** Calls of one task that overlap and cannot have happened one after the other. */
export interface ContentionFailure {
  readonly task: string;
  readonly steps: readonly WitnessStep[];
}

/** What came of searching the contended parts of a history. */
export interface ContentionReport {
  readonly status: 'pass' | 'fail' | 'unknown';
  /** Groups of overlapping calls that were put in order. */
  readonly groups: number;
  /** Calls in the largest of them. */
  readonly largest: number;
  /** Tasks left out because too many of their calls overlap, or a claim may have had them without anybody's knowing. */
  readonly undecided: number;
  readonly failures: readonly ContentionFailure[];
}

/**
 * Looks whether the calls about each task can be put in an order that a single copy of it would have allowed: what
 * claims, settles, cancels and reads answered must fit together also where they overlap (CAN-04, CAN-05, LSE-15).
 */
export function checkContention(events: readonly HistoryEvent[]): ContentionReport {
  const timeline = buildTimeline(events);
  let groups = 0;
  let largest = 0;
  let undecided = 0;
  const failures: ContentionFailure[] = [];
  for (const task of timeline.tasks) {
    const found = checkTask(task, timeline);
    if (found === undefined) undecided += 1;
    else {
      groups += found.groups;
      largest = Math.max(largest, found.largest);
      if (found.failure !== undefined) failures.push(found.failure);
    }
  }
  const status = failures.length > 0 ? 'fail' : undecided > 0 || groups === 0 ? 'unknown' : 'pass';
  return { status, groups, largest, undecided, failures };
}

interface TaskOrder {
  readonly groups: number;
  readonly largest: number;
  readonly failure?: ContentionFailure;
}

function checkTask(task: TaskHistory, timeline: Timeline): TaskOrder | undefined {
  const calls = callsOf(task, timeline);
  if (!overlap(calls)) return { groups: 0, largest: 0 };
  if (task.unclear || task.enqueues.some((each) => each.args.tx !== undefined)) return undefined;
  if (calls.filter((call) => call.op === 'claim' && call.outcome === 'unknown').length > mostHiddenClaims)
    return undefined;
  const background = backgroundOf(task, timeline);
  let states: readonly TaskRegister[] | undefined;
  /** Calls nobody knows the fate of may still take effect later. */
  let open: Operation[] = [];
  let groups = 0;
  let largest = 0;
  for (const cluster of clustersOf(calls)) {
    const group = [...open, ...cluster];
    if (group.length > mostConcurrentCalls) return undefined;
    const found = linearize(
      group.map((operation) => ({ invoke: operation.invoke, return: operation.return, input: operation })),
      taskModel(background, states),
    );
    if (found.verdict === 'fail') {
      return { groups, largest, failure: failureOf(task, calls, group, found.longest) };
    }
    if (group.length > 1) groups += 1;
    largest = Math.max(largest, group.length);
    states = found.states;
    open = group.filter((operation) => operation.return === Number.POSITIVE_INFINITY);
  }
  return { groups, largest };
}

/** Claims without an answer that are tried for one task. Each of them may have had it, at any time. */
const mostHiddenClaims = 3;

function callsOf(task: TaskHistory, timeline: Timeline): Operation[] {
  const queue = likelyEnqueue(task)?.queue;
  const purges = timeline.queueControls.filter(
    (control) => control.op === 'queuePurge' && control.queue === queue && mayHaveTaken(control),
  );
  const own = [...task.enqueues, ...task.claims, ...task.settles, ...task.controls, ...task.reads];
  const last = Math.max(...own.map((call) => call.invoke));
  const hidden = timeline.hiddenClaims.filter(
    ({ invoke, args }) =>
      invoke < last && args.queues?.includes(queue ?? '') !== false && args.ids?.includes(task.id) !== false,
  );
  const all = [...own, ...purges, ...hidden];
  // What was refused as a whole did nothing and says nothing.
  return all.filter((call) => !call.outcome.startsWith('error:')).sort((a, b) => a.invoke - b.invoke);
}

function overlap(calls: readonly Operation[]): boolean {
  let latest = Number.NEGATIVE_INFINITY;
  for (const call of calls) {
    if (call.invoke <= latest) return true;
    latest = Math.max(latest, call.return);
  }
  return false;
}

/** Calls that overlap, directly or through others. */
function clustersOf(calls: readonly Operation[]): Operation[][] {
  const clusters: Operation[][] = [];
  let until = Number.NEGATIVE_INFINITY;
  for (const call of calls) {
    if (call.invoke <= until) clusters.at(-1)?.push(call);
    else clusters.push([call]);
    if (call.return !== Number.POSITIVE_INFINITY) until = Math.max(until, call.return);
  }
  return clusters;
}

function backgroundOf(task: TaskHistory, timeline: Timeline): Background {
  const broken = timeline.faults.length > 0;
  // What a session holds without having handed it to anybody it gives back by itself (FLT-05).
  const hiddenSessions = new Set(timeline.hiddenClaims.map((claim) => claim.args.session ?? ''));
  return {
    mayLose: (id) => {
      const session = timeline.sessions.get(id);
      if (session === undefined || broken || hiddenSessions.has(id)) return true;
      return session.lostAt !== Number.POSITIVE_INFINITY || session.end !== undefined || session.close !== undefined;
    },
    mayExpire: [...task.enqueues, ...task.replacements].some((enqueue) => enqueue.args.expiresInMs !== undefined),
    mayVanish: timeline.maintenance.some((maintain) => mayRemove(maintain, undefined)),
  };
}

function failureOf(
  task: TaskHistory,
  calls: readonly Operation[],
  group: readonly Operation[],
  longest: readonly number[],
): ContentionFailure {
  // What came before is told by the last call that was certain.
  const before = calls.filter((call) => call.return < Math.min(...group.map((each) => each.invoke))).at(-1);
  const stuck = group.map((operation, index): WitnessStep => {
    const wrong = 'no order of these calls explains this answer';
    return longest.includes(index) || operation.outcome === 'unknown'
      ? { what: operation }
      : { what: operation, wrong };
  });
  return { task: task.id, steps: [...(before === undefined ? [] : [{ what: before }]), ...stuck] };
}
