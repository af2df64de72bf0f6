import { type FailureKind, type Lease, type SettleOp, type TaskReport, transition } from '@millrace/core';
import type { Both, Command, LeaseSpec } from './command.ts';
import type { ModelOperation } from './operation.ts';
import { heldBy } from './rules/sessions.ts';
import type { ModelRules } from './rules.ts';
import type { Scale } from './scale.ts';
import type { ModelSession, ModelState } from './state.ts';
import { at, failureKinds, limits, newTask, plainSpec, priorities, queueNames, taskNames } from './vocabulary.ts';

/** What commands are resolved against: what there is, and what there ever was. */
export interface Surroundings {
  readonly state: ModelState;
  readonly rules: ModelRules;
  readonly scale: Scale;
  /** Ids used so far, in any way. */
  readonly ids: readonly string[];
  /** Leases given out so far. */
  readonly leases: readonly Lease[];
}

/**
 * Makes calls of the contract from a command. None when there is nothing it could be about, or the broker does not
 * claim what it needs.
 */
export function resolve(command: Command, around: Surroundings): ModelOperation[] {
  if (command.type === 'crash') return resolveCrash(command, around);
  const operation = resolveOne(command, around);
  return operation === undefined ? [] : [operation];
}

function resolveOne(command: Exclude<Command, { type: 'crash' }>, around: Surroundings): ModelOperation | undefined {
  const { state, rules, scale, ids } = around;
  const { tasks, queues } = rules.capabilities;
  switch (command.type) {
    case 'enqueue':
      return {
        type: 'enqueue',
        tasks: command.tasks.map((spec, index) => newTask(`t${ids.length + index}`, spec, rules, scale)),
      };
    case 'repeat': {
      const id = at(ids, command.task);
      if (id === undefined || !rules.capabilities.idempotentIds) return undefined;
      const spec = command.spec ?? { ...plainSpec, name: command.task % 2 };
      return { type: 'enqueue', tasks: [newTask(id, spec, rules, scale)] };
    }
    case 'claim':
      return resolveClaim(command, around);
    case 'settle':
      return resolveSettle(command, around);
    case 'report':
      return resolveReport(command, around);
    case 'control':
      return resolveControl(command, around);
    case 'queue':
      return resolveQueue(command, rules);
    case 'get':
      return tasks.get && ids.length > 0
        ? { type: 'get', ids: command.tasks.map((task) => at(ids, task) as string) }
        : undefined;
    case 'count':
      if (!tasks.count || queues.counts !== 'exact') return undefined;
      return { type: 'count', filter: { queues: [at(queueNames, command.queue) as string], states: command.states } };
    case 'list':
      if (!tasks.list) return undefined;
      return { type: 'list', filter: { queues: [at(queueNames, command.queue) as string] }, limit: command.limit };
    case 'advance': {
      const ms = at(scale.advances, command.time);
      return ms === undefined ? undefined : { type: 'advance', ms };
    }
    case 'openSession':
      return openSession(state, scale);
    case 'endSession':
    case 'freeze':
    case 'thaw':
      return resolveSession(command, around);
    default:
      return { type: command.type };
  }
}

/** Opens a session under the next free name. */
export function openSession(state: ModelState, scale: Scale): ModelOperation {
  const session = `s${state.sessions.size}`;
  return { type: 'openSession', session, ttlMs: scale.ttlMs, worker: `w${state.sessions.size}@host` };
}

function both<T>(list: readonly T[], which: Both): T[] {
  return which === 2 ? [...list] : list.slice(which, which + 1);
}

function liveSessions(state: ModelState): ModelSession[] {
  return [...state.sessions.values()].filter((session) => session.state === 'live');
}

function resolveClaim(command: Extract<Command, { type: 'claim' }>, around: Surroundings): ModelOperation | undefined {
  const { state, scale, rules } = around;
  const sessions = command.any ? [...state.sessions.values()] : liveSessions(state);
  const session = at(sessions, command.session);
  if (session === undefined) return openSession(state, scale);
  // Most claims that find nothing tell nothing.
  if (command.eager && !isAnyDue(state)) return undefined;
  const names = rules.capabilities.claimByName ? both(taskNames, command.names) : [...taskNames];
  const limit = Math.min(at(limits, command.limit) as number, rules.capabilities.batch.maxClaim);
  return {
    type: 'claim',
    session: session.id,
    request: { queues: both(queueNames, command.queues), names, limit, waitMs: 0 },
  };
}

/** Whether anything waits in a queue that is not paused. It may be delayed; then time has to pass. */
function isAnyDue(state: ModelState): boolean {
  return [...state.tasks.values()].some(
    (task) =>
      transition(task.state, 'claim') !== undefined && !state.pausedQueues.has(task.queue) && task.due.delayMs === 0,
  );
}

function findLease(spec: LeaseSpec, { state, leases }: Surroundings): Lease | undefined {
  const held = leases.filter((lease) => {
    const task = state.tasks.get(lease.taskId);
    return task?.state === 'running' && task.fence === lease.fence && task.holder === lease.sessionId;
  });
  const lease = at(spec.held ? held : leases, spec.pick);
  return lease && { ...lease, fence: lease.fence + spec.forge };
}

function resolveSettle(
  command: Extract<Command, { type: 'settle' }>,
  around: Surroundings,
): ModelOperation | undefined {
  const found = command.leases.map((spec) => findLease(spec, around)).filter((lease) => lease !== undefined);
  const [first] = found;
  if (first === undefined) return undefined;
  // A session settles what it was given itself; a batch is of one session.
  const operations = found
    .filter((lease) => lease.sessionId === first.sessionId)
    .map((lease, index) => settleOp(command.how, lease, command.delay, index, around));
  return { type: 'settle', session: first.sessionId, operations };
}

function settleOp(how: SettleOp['type'], lease: Lease, delay: number, index: number, around: Surroundings): SettleOp {
  const delayMs = at(around.scale.delays, delay) ?? 0;
  const kind = at(failureKinds, delay) as FailureKind;
  const failure = { kind, name: 'Error', message: `broke ${lease.taskId}` };
  const task = around.state.tasks.get(lease.taskId);
  // Core never asks for another attempt beyond the last.
  const isLast = task !== undefined && lease.attempt >= task.content.maxAttempts;
  if (how === 'retry' && !isLast) return { type: 'retry', lease, delayMs, failure };
  if (how === 'retry' || how === 'fail') return { type: 'fail', lease, failure };
  if (how === 'snooze') return { type: 'snooze', lease, delayMs };
  if (how === 'complete' && index % 2 === 0) return { type: 'complete', lease, output: `"${lease.taskId} done"` };
  return { type: how, lease };
}

function resolveReport(
  command: Extract<Command, { type: 'report' }>,
  around: Surroundings,
): ModelOperation | undefined {
  const lease = findLease(command.lease, around);
  const { what } = command;
  if (lease === undefined || !around.rules.capabilities.reports[what]) return undefined;
  const text = `"${what} of ${lease.taskId} by ${lease.fence}"`;
  const report: TaskReport =
    what === 'begun'
      ? { lease, begun: true }
      : what === 'log'
        ? { lease, log: [{ level: 'info', message: text, at: 0 }] }
        : { lease, [what]: text };
  return { type: 'report', session: lease.sessionId, reports: [report] };
}

function resolveControl(
  command: Extract<Command, { type: 'control' }>,
  around: Surroundings,
): ModelOperation | undefined {
  const { rules, scale, state } = around;
  const { control } = command;
  const { tasks } = rules.capabilities;
  const claimed = control === 'resume' ? tasks.pause : tasks[control];
  if (claimed === false || (Array.isArray(claimed) && claimed.length === 0)) return undefined;
  const fitting = around.ids.filter((id) => {
    const task = state.tasks.get(id);
    return task !== undefined && transition(task.state, control) !== undefined;
  });
  const from = command.fitting && fitting.length > 0 ? fitting : around.ids;
  // What becomes of an id that is named twice in one call the contract leaves open.
  const ids = [...new Set(command.tasks.map((task) => at(from, task)).filter((id) => id !== undefined))];
  const allowed = ids.filter((id) => {
    const isRunning = state.tasks.get(id)?.state === 'running';
    return typeof claimed === 'boolean' || control === 'resume' || claimed.includes(isRunning ? 'running' : 'waiting');
  });
  if (allowed.length === 0) return undefined;
  if (control === 'reschedule') {
    return { type: 'control', control, ids: allowed, due: { delayMs: at(scale.delays, command.value) ?? 0 } };
  }
  if (control === 'update') {
    const changes =
      command.value % 2 === 0
        ? { priority: at(priorities, command.value) as number }
        : { input: `"updated ${command.value}"` };
    return { type: 'control', control, ids: allowed, changes };
  }
  return { type: 'control', control, ids: allowed };
}

function resolveQueue(command: Extract<Command, { type: 'queue' }>, rules: ModelRules): ModelOperation | undefined {
  const { queues } = rules.capabilities;
  const queue = at(queueNames, command.queue) as string;
  if (command.how === 'stats') return { type: 'queueStats', queue };
  if (command.how === 'purge') return queues.purge ? { type: 'queuePurge', queue } : undefined;
  if (queues.pause !== 'global') return undefined;
  return { type: command.how === 'pause' ? 'queuePause' : 'queueResume', queue };
}

function resolveSession(
  command: Extract<Command, { type: 'endSession' | 'freeze' | 'thaw' }>,
  { state, scale }: Surroundings,
): ModelOperation | undefined {
  const wanted = command.type === 'thaw' ? 'silent' : 'live';
  const session = at(
    [...state.sessions.values()].filter((each) => each.state === wanted),
    command.session,
  );
  if (session === undefined) return undefined;
  if (command.type === 'endSession') return { type: 'endSession', session: session.id, close: command.close };
  return scale.mortal ? { type: command.type, session: session.id } : undefined;
}

function resolveCrash(command: Extract<Command, { type: 'crash' }>, { state, scale }: Surroundings): ModelOperation[] {
  const busy = liveSessions(state).filter((session) => heldBy(state, session.id).length > 0);
  const session = at(busy, command.session);
  if (session === undefined || !scale.mortal) return [];
  return [
    { type: 'freeze', session: session.id },
    { type: 'advance', ms: session.ttlMs },
    ...(command.sweep ? [{ type: 'maintain' } as const] : []),
  ];
}
