import { type ClaimRequest, type Delivery, transition } from '@millrace/core';
import { hasCome, type Instant, isNoLater, mayHaveCome } from '../instant.ts';
import type { ModelOutcome, Occasion } from '../operation.ts';
import type { ModelRules } from '../rules.ts';
import { type ModelState, type ModelTask, withTask } from '../state.ts';
import type { Step } from '../step.ts';
import { type Variant, variantsOf } from './background.ts';

/** What a task that may be given out looks like. */
interface Candidate {
  readonly task: ModelTask;
  /** Surely due, surely not expired, and nothing can have happened to it by itself. */
  readonly certain: boolean;
}

/**
 * What a claim may deliver. Without `observed`: what a broker does that keeps the order as far as it claims to, and
 * where it does not, every choice among the first few. With `observed`: whether that was legal, and what follows.
 */
export function applyClaim(
  state: ModelState,
  session: string,
  request: ClaimRequest,
  occasion: Occasion,
  rules: ModelRules,
  observed?: ModelOutcome,
): Step[] {
  const holder = state.sessions.get(session);
  if (holder === undefined || holder.state === 'ended') return [{ outcome: error('CLOSED'), state }];
  if (holder.state === 'lost') return [{ outcome: error('LEASE_LOST'), state }];
  const refusals: Step[] =
    holder.deadline !== undefined && mayHaveCome(holder.deadline, occasion.now)
      ? [{ outcome: error('LEASE_LOST'), state }]
      : [];
  const candidates = candidatesOf(state, request, occasion.now, rules);
  if (observed === undefined) {
    return [...refusals, ...choices(candidates, request.limit, rules).map((chosen) => deliver(state, session, chosen))];
  }
  if (observed.type !== 'claim') return refusals;
  const given = observed.deliveries.map((delivery) =>
    candidates.find(({ task }) => task.id === delivery.lease.taskId && task.attempt + 1 === delivery.lease.attempt),
  );
  const chosen = given.filter((candidate) => candidate !== undefined);
  const ids = new Set(chosen.map(({ task }) => task.id));
  if (chosen.length < given.length || ids.size < given.length || given.length > request.limit) return refusals;
  if (!isLegalChoice(chosen, candidates, request.limit, rules)) return refusals;
  const fences = observed.deliveries.map((delivery) => delivery.lease.fence);
  if (chosen.some(({ task }, index) => (fences[index] ?? 0) <= task.fence)) return refusals;
  return [...refusals, deliver(state, session, chosen, fences)];
}

function error(code: 'CLOSED' | 'LEASE_LOST'): ModelOutcome {
  return { type: 'error', code, message: '' };
}

function candidatesOf(state: ModelState, request: ClaimRequest, now: Instant, rules: ModelRules): Candidate[] {
  const candidates: Candidate[] = [];
  for (const task of state.tasks.values()) {
    if (!request.queues.includes(task.queue) || state.pausedQueues.has(task.queue)) continue;
    const variants = variantsOf(state, task, now, rules);
    for (const variant of variants) {
      if (!isClaimable(variant, request.names, now)) continue;
      const certain = variants.length === 1 && hasCome(variant.due, now);
      candidates.push({ task: variant, certain });
    }
  }
  return candidates;
}

function isClaimable(task: Variant, names: readonly string[], now: Instant): task is ModelTask {
  if (task === undefined || transition(task.state, 'claim') === undefined) return false;
  if (!names.includes(task.content.name) || !mayHaveCome(task.due, now)) return false;
  return task.expiry === undefined || !hasCome(task.expiry, now);
}

/** Nothing certain is passed over: neither for want of room, nor by something that comes after it. */
function isLegalChoice(
  chosen: readonly Candidate[],
  candidates: readonly Candidate[],
  limit: number,
  rules: ModelRules,
): boolean {
  const ids = new Set(chosen.map(({ task }) => task.id));
  const passedOver = candidates.filter(({ task, certain }) => certain && !ids.has(task.id));
  if (rules.claimsAll && chosen.length < limit && passedOver.length > 0) return false;
  return passedOver.every((first) => chosen.every(({ task }) => !comesBefore(first.task, task, rules)));
}

/** Whether the broker's order puts a task surely before another one of the same queue. */
function comesBefore(first: ModelTask, second: ModelTask, rules: ModelRules): boolean {
  if (first.queue !== second.queue) return false;
  const { priority, order, groups } = rules.capabilities;
  const [one, other] = [first.content.priority, second.content.priority];
  if (one !== other) return priority.strict && one > other;
  // Fair sharing between groups takes turns.
  if (order !== 'fifo' || (groups && first.content.group !== second.content.group)) return false;
  if (first.due.to < second.due.from) return true;
  return first.index < second.index && isNoLater(first.due, second.due);
}

/** Ways of choosing that are tried when nothing was observed. */
const mostChoices = 24;

function choices(candidates: readonly Candidate[], limit: number, rules: ModelRules): Candidate[][] {
  const byId = new Map<string, Candidate>();
  for (const candidate of candidates) byId.set(candidate.task.id, candidate);
  let ways: Candidate[][] = [[]];
  for (let count = 0; count < Math.min(limit, byId.size); count++) {
    ways = ways.flatMap((way) => {
      const rest = [...byId.values()].filter((candidate) => !way.includes(candidate));
      const first = rest.filter(({ task }) => !rest.some((other) => comesBefore(other.task, task, rules)));
      return first.map((candidate) => [...way, candidate]);
    });
    ways = ways.slice(0, mostChoices);
  }
  return ways.filter((way) => isLegalChoice(way, candidates, limit, rules));
}

function deliver(state: ModelState, session: string, chosen: readonly Candidate[], fences?: readonly number[]): Step {
  let next = state;
  const deliveries: Delivery[] = [];
  for (const [index, { task }] of chosen.entries()) {
    const running: ModelTask = {
      ...task,
      state: 'running',
      attempt: task.attempt + 1,
      fence: fences?.[index] ?? task.fence + 1,
      holder: session,
      begun: false,
      requested: undefined,
      worker: state.sessions.get(session)?.worker,
      keyHeld: task.keyHeld && task.content.keyUntil !== 'started',
    };
    next = withTask(next, task.id, running);
    deliveries.push(deliveryOf(running, session));
  }
  return { outcome: { type: 'claim', deliveries }, state: next };
}

function deliveryOf(task: ModelTask, sessionId: string): Delivery {
  const { name, headers, priority, maxAttempts, version, input, timeoutMs, key, group, owner } = task.content;
  return {
    lease: { taskId: task.id, attempt: task.attempt, fence: task.fence, sessionId },
    name,
    queue: task.queue,
    headers,
    priority,
    maxAttempts,
    version,
    createdAt: task.created.from,
    runAt: task.due.from,
    ...(input !== undefined && { input }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(task.checkpoint !== undefined && { checkpoint: task.checkpoint }),
    ...(key !== undefined && { key }),
    ...(group !== undefined && { group }),
    ...(owner !== undefined && { owner }),
  };
}
