import { type StopRequest, settledState, type TaskOperation, type TaskState, transition } from '@millrace/core';
import type { Operation } from './operation.ts';
import type { SequentialModel } from './wgl.ts';

/** One task as a single copy of it would be: what its overlapping calls have to agree on. */
export interface TaskRegister {
  readonly state: Exclude<TaskState, 'scheduled' | 'removing'> | 'absent';
  readonly fence: number;
  readonly attempt: number;
  readonly session: string | undefined;
  readonly requested: StopRequest | undefined;
}

const absent: TaskRegister = { state: 'absent', fence: 0, attempt: 0, session: undefined, requested: undefined };

/** What may happen to the task without any call in the history. */
export interface Background {
  /** Whether the holder's session may have been lost, or ended, with the task in its hands. */
  mayLose(session: string): boolean;
  readonly mayExpire: boolean;
  readonly mayVanish: boolean;
}

const settles: ReadonlySet<string> = new Set([
  'complete',
  'retry',
  'fail',
  'release',
  'snooze',
  'settlePause',
  'settleCancel',
]);
const uncharged: ReadonlySet<string> = new Set(['release', 'snooze', 'settlePause']);

/** The sequential model of one task. */
export function taskModel(
  background: Background,
  initial: readonly TaskRegister[] = [absent],
): SequentialModel<TaskRegister, Operation> {
  return {
    initial,
    key: (task) => `${task.state} ${task.fence} ${task.attempt} ${task.session} ${task.requested}`,
    apply: (task, operation) => byItself(task, background).flatMap((each) => step(each, operation, background)),
  };
}

/** What the task may have become by itself. */
function byItself(task: TaskRegister, background: Background): TaskRegister[] {
  const ways = [task];
  for (const way of ways) {
    if (ways.length > 16) break;
    ways.push(...oneByItself(way, background));
  }
  return ways;
}

function oneByItself(task: TaskRegister, background: Background): TaskRegister[] {
  if (task.state === 'running') {
    if (!background.mayLose(task.session ?? '')) return [];
    // Lost, dead of it, or given back: the history does not say which of them the rules were about.
    const lost = ended(task, 'lose');
    return [...lost, ...ended(task, 'fail'), ...ended(task, 'release')];
  }
  const waits = transition(task.state === 'absent' ? 'removing' : task.state, 'expire') !== undefined;
  if (waits && background.mayExpire) return [{ ...task, state: 'failed', session: undefined }];
  const isEnded = task.state === 'succeeded' || task.state === 'failed' || task.state === 'cancelled';
  return isEnded && background.mayVanish ? [absent] : [];
}

function ended(task: TaskRegister, operation: TaskOperation): TaskRegister[] {
  const to = settledState(operation, task.requested);
  if (to === 'gone') return [absent];
  if (to === undefined || to === 'request' || to === 'kept' || to === 'removing') return [];
  const attempt = uncharged.has(operation) ? task.attempt - 1 : task.attempt;
  return [{ ...task, state: to === 'scheduled' ? 'pending' : to, attempt, session: undefined, requested: undefined }];
}

function step(task: TaskRegister, operation: Operation, background: Background): readonly TaskRegister[] {
  const { op, outcome } = operation;
  if (outcome === 'unknown') return unknownStep(task, operation);
  if (op === 'enqueue') return enqueued(task, operation);
  if (op === 'claim') return claimed(task, operation);
  if (settles.has(op)) return settled(task, operation, background);
  if (op === 'get' || op === 'wait') return read(task, operation);
  if (op === 'queuePurge') return purged(task);
  return controlled(task, operation);
}

/** It may have done anything it could have been answered. */
function unknownStep(task: TaskRegister, operation: Operation): TaskRegister[] {
  const { op } = operation;
  if (op === 'enqueue') return task.state === 'absent' ? [{ ...absent, state: 'pending' }, task] : [task];
  if (op === 'get' || op === 'wait') return [task];
  if (op === 'queuePurge') return [...purged(task), task];
  if (op === 'claim') return [...hidden(task, operation), task];
  if (settles.has(op)) {
    return task.state === 'running' && task.fence === operation.fence
      ? [...ended(task, op as TaskOperation), task]
      : [task];
  }
  const to = task.state === 'absent' ? undefined : transition(task.state, op as TaskOperation);
  return to === undefined ? [task] : [...moved(task, op as TaskOperation, to), task];
}

function enqueued(task: TaskRegister, { outcome, task: id, answer }: Operation): TaskRegister[] {
  if (outcome === 'accepted') return task.state === 'absent' ? [{ ...absent, state: 'pending' }] : [];
  if (outcome === 'duplicate' && answer?.args?.existingId === id) return task.state === 'absent' ? [] : [task];
  return [task];
}

function claimed(task: TaskRegister, { fence, attempt, answer }: Operation): TaskRegister[] {
  if (task.state !== 'pending' && task.state !== 'retrying') return [];
  if (fence <= task.fence || attempt !== task.attempt + 1) return [];
  return [{ state: 'running', fence, attempt, session: answer?.args?.session, requested: undefined }];
}

/** A claim that nobody was told the result of may have had the task. Its fence is at least the next. */
function hidden(task: TaskRegister, { args }: Operation): TaskRegister[] {
  if (task.state !== 'pending' && task.state !== 'retrying') return [];
  const { fence, attempt } = task;
  return [{ state: 'running', fence: fence + 1, attempt: attempt + 1, session: args.session, requested: undefined }];
}

function settled(task: TaskRegister, operation: Operation, background: Background): TaskRegister[] {
  const { op, fence, outcome, args } = operation;
  const holds = task.state === 'running' && task.fence === fence;
  if (outcome === 'applied') return holds ? ended(task, op as TaskOperation) : [];
  // A holder that is lost is refused whatever the state.
  return holds && !background.mayLose(args.session ?? '') ? [] : [task];
}

function read(task: TaskRegister, { answer }: Operation): TaskRegister[] {
  const { state } = answer?.args ?? {};
  if (state === 'gone') return task.state === 'absent' ? [task] : [];
  const shown = state === 'scheduled' ? 'pending' : state;
  return shown === task.state && (answer?.fence ?? 0) === task.fence ? [task] : [];
}

function purged(task: TaskRegister): TaskRegister[] {
  const isWaiting = task.state === 'pending' || task.state === 'retrying' || task.state === 'paused';
  return isWaiting ? [absent] : [task];
}

function controlled(task: TaskRegister, { op, outcome }: Operation): TaskRegister[] {
  const operation = op as TaskOperation;
  if (outcome === 'not-found') return task.state === 'absent' ? [task] : [];
  if (task.state === 'absent') return [];
  const to = transition(task.state, operation);
  // A rerun is also refused while somebody else has the unique key.
  if (outcome === 'refused') return to === undefined || operation === 'rerun' ? [task] : [];
  if (to === undefined || (to === 'request') !== (outcome === 'requested')) return [];
  return moved(task, operation, to);
}

const strength: Readonly<Record<StopRequest, number>> = { pause: 1, cancel: 2, remove: 3 };

function moved(
  task: TaskRegister,
  operation: TaskOperation,
  to: NonNullable<ReturnType<typeof transition>>,
): TaskRegister[] {
  if (to === 'gone') return [absent];
  if (to === 'kept' || to === 'scheduled' || to === 'removing') return [task];
  if (to === 'request') {
    const asked = operation as StopRequest;
    const isStronger = task.requested === undefined || strength[asked] > strength[task.requested];
    return [isStronger ? { ...task, requested: asked } : task];
  }
  return [{ ...task, state: to, attempt: operation === 'rerun' ? 0 : task.attempt }];
}
