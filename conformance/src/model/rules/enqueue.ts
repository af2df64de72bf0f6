import { type EnqueueOutcome, type NewTask, priorityRange, transition, ValidationError } from '@millrace/core';
import { between, type Due, type Instant, later } from '../instant.ts';
import type { Occasion } from '../operation.ts';
import type { ModelRules } from '../rules.ts';
import { type ModelState, type ModelTask, withTask } from '../state.ts';
import { inTurn, partOf, type Step } from '../step.ts';
import { variantsOf } from './background.ts';

/** Enqueues a batch: one task after the other, or nothing at all where batches are atomic and one is invalid. */
export function applyEnqueue(
  state: ModelState,
  tasks: readonly NewTask[],
  occasion: Occasion,
  rules: ModelRules,
  observed?: readonly EnqueueOutcome[],
): Step<EnqueueOutcome[]>[] {
  if (rules.capabilities.batch.enqueueAtomic && tasks.some((task) => !isValid(task))) {
    return [{ outcome: tasks.map(() => rejected), state }];
  }
  return inTurn(
    state,
    tasks,
    (at, task, index) => enqueueOne(at, task, partOf(occasion, index), rules),
    observed,
    isSameOutcome,
  );
}

const rejected: EnqueueOutcome = { status: 'rejected', error: new ValidationError('priority is out of range') };

function isValid(task: NewTask): boolean {
  return task.priority >= priorityRange.lowest && task.priority <= priorityRange.highest;
}

function enqueueOne(state: ModelState, task: NewTask, occasion: Occasion, rules: ModelRules): Step<EnqueueOutcome>[] {
  if (!isValid(task)) return [{ outcome: rejected, state }];
  const existing = state.tasks.get(task.id);
  if (existing === undefined) return placeByKey(state, task, occasion, rules);
  return variantsOf(state, existing, occasion.now, rules).flatMap((variant): Step<EnqueueOutcome>[] => {
    if (variant === undefined) return placeByKey(withTask(state, task.id, undefined), task, occasion, rules);
    return [{ outcome: { status: 'duplicate', existingId: task.id }, state }];
  });
}

function placeByKey(state: ModelState, task: NewTask, occasion: Occasion, rules: ModelRules): Step<EnqueueOutcome>[] {
  const owner = task.key === undefined ? undefined : ownerOf(state, task.queue, task.key);
  if (owner === undefined) return [accept(state, task, occasion)];
  return variantsOf(state, owner, occasion.now, rules).flatMap((variant): Step<EnqueueOutcome>[] => {
    const seen = withTask(state, owner.id, variant);
    if (variant === undefined || !variant.keyHeld) return [accept(seen, task, occasion)];
    if (task.onConflict !== 'replace' || transition(variant.state, 'update') === undefined) {
      // Nothing came of it, so it stays open what the owner had become by itself.
      return [{ outcome: { status: 'duplicate', existingId: owner.id }, state }];
    }
    const replaced = replace(variant, task, occasion);
    return [{ outcome: { status: 'replaced', existingId: owner.id }, state: withTask(seen, owner.id, replaced) }];
  });
}

/** Who holds a unique key. */
export function ownerOf(state: ModelState, queue: string, key: string): ModelTask | undefined {
  for (const task of state.tasks.values()) {
    if (task.keyHeld && task.queue === queue && task.content.key === key) return task;
  }
  return undefined;
}

function accept(state: ModelState, task: NewTask, occasion: Occasion): Step<EnqueueOutcome> {
  const created: ModelTask = {
    id: task.id,
    queue: task.queue,
    index: state.created,
    state: 'pending',
    content: task,
    created: occasion.now,
    due: dueOf(task, occasion),
    expiry: expiryOf(task, occasion.now),
    attempt: 0,
    fence: 0,
    keyHeld: task.key !== undefined,
    checkpoint: undefined,
    progress: undefined,
    output: undefined,
    errors: [],
    log: [],
    failure: undefined,
    requested: undefined,
    holder: undefined,
    begun: false,
    worker: undefined,
    ended: undefined,
  };
  return {
    outcome: { status: 'accepted' },
    state: { ...withTask(state, task.id, created), created: state.created + 1 },
  };
}

/** The waiting owner of the key gets the new content, and stays who and where it is. */
function replace(owner: ModelTask, task: NewTask, occasion: Occasion): ModelTask {
  return {
    ...owner,
    content: { ...task, id: owner.id },
    created: between(owner.created, occasion.now),
    due: dueOf(task, occasion),
    expiry: expiryOf(task, occasion.now),
    checkpoint: undefined,
    progress: undefined,
  };
}

function dueOf(task: NewTask, { now, step }: Occasion): Due {
  // An instant that has passed means now; which of the two is kept is the broker's affair.
  if (task.runAt !== undefined) {
    const { runAt } = task;
    const isPast = runAt <= now.from;
    return { from: runAt, to: isPast ? now.to : runAt, step: undefined, delayMs: 0 };
  }
  return { ...later(now, task.delayMs), step, delayMs: task.delayMs };
}

function expiryOf(task: NewTask, now: Instant): Instant | undefined {
  return task.expiresInMs === undefined ? undefined : later(now, task.expiresInMs);
}

function isSameOutcome(expected: EnqueueOutcome, observed: unknown): boolean {
  const seen = observed as EnqueueOutcome | undefined;
  if (seen?.status !== expected.status) return false;
  if (seen.status === 'rejected' || seen.status === 'accepted') return true;
  return 'existingId' in expected && seen.existingId === expected.existingId;
}
