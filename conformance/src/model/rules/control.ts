import { type ControlOutcome, isTerminal, type StopRequest, transition } from '@millrace/core';
import { later } from '../instant.ts';
import type { ModelOperation, Occasion } from '../operation.ts';
import type { ModelRules } from '../rules.ts';
import { type ModelState, type ModelTask, withTask } from '../state.ts';
import { inTurn, partOf, type Step } from '../step.ts';
import { variantsOf } from './background.ts';
import { ownerOf } from './enqueue.ts';

type Control = Extract<ModelOperation, { readonly type: 'control' }>;

/** What users do to tasks by id, one after the other. */
export function applyControl(
  state: ModelState,
  operation: Control,
  occasion: Occasion,
  rules: ModelRules,
  observed?: readonly ControlOutcome[],
): Step<ControlOutcome[]>[] {
  return inTurn(
    state,
    operation.ids,
    (at, id, index) => controlOne(at, id, operation, partOf(occasion, index), rules),
    observed,
    (expected, seen) => expected === seen,
  );
}

function controlOne(
  state: ModelState,
  id: string,
  operation: Control,
  occasion: Occasion,
  rules: ModelRules,
): Step<ControlOutcome>[] {
  const task = state.tasks.get(id);
  if (task === undefined) return [{ outcome: 'not-found', state }];
  return variantsOf(state, task, occasion.now, rules).map((variant): Step<ControlOutcome> => {
    const seen = withTask(state, id, variant);
    if (variant === undefined) return { outcome: 'not-found', state: seen };
    const to = transition(variant.state, operation.control);
    // Refused without effect: what the task had become by itself stays open, as far as it is refused there too.
    if (to === undefined || (operation.control === 'rerun' && isKeyTaken(state, variant))) {
      return { outcome: 'refused', state: seen };
    }
    if (to === 'request') return { outcome: 'requested', state: withTask(state, id, request(variant, operation)) };
    if (to === 'gone') return { outcome: 'applied', state: withTask(state, id, undefined) };
    const moved = to === 'kept' || to === 'scheduled' || to === 'removing' ? variant : { ...variant, state: to };
    return { outcome: 'applied', state: withTask(state, id, effectOf(moved, operation, occasion)) };
  });
}

const strength: Readonly<Record<StopRequest, number>> = { pause: 1, cancel: 2, remove: 3 };

/** A weaker request does not take the place of a stronger one. */
function request(task: ModelTask, operation: Control): ModelTask {
  const asked = operation.control as StopRequest;
  const isStronger = task.requested === undefined || strength[asked] > strength[task.requested];
  return isStronger ? { ...task, requested: asked } : task;
}

function isKeyTaken(state: ModelState, task: ModelTask): boolean {
  const owner = task.content.key === undefined ? undefined : ownerOf(state, task.queue, task.content.key);
  return owner !== undefined && owner.id !== task.id;
}

function effectOf(task: ModelTask, operation: Control, { now, step }: Occasion): ModelTask {
  if (operation.control === 'reschedule') {
    const { due } = operation;
    if ('at' in due) return { ...task, due: { from: due.at, to: due.at, step: undefined, delayMs: 0 } };
    return { ...task, due: { ...later(now, due.delayMs), step, delayMs: due.delayMs } };
  }
  if (operation.control === 'update') return { ...task, content: { ...task.content, ...operation.changes } };
  if (operation.control === 'rerun') {
    return {
      ...task,
      attempt: 0,
      due: { ...now, step, delayMs: 0 },
      // An instant that has passed would end it again before it could run.
      expiry: task.expiry !== undefined && task.expiry.from <= now.to ? undefined : task.expiry,
      keyHeld: task.content.key !== undefined,
      checkpoint: undefined,
      progress: undefined,
      output: undefined,
      failure: undefined,
      ended: undefined,
    };
  }
  return isTerminal(task.state) ? { ...task, keyHeld: false, ended: now } : task;
}
