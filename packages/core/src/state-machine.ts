import type { StopRequest } from './task.ts';

/**
 * States of a task. `scheduled` is a pending task whose due time is still ahead; a broker may derive it.
 * `failed` is a dead task: it stays for inspection and rerun until retention removes it.
 */
export type TaskState =
  | 'scheduled'
  | 'pending'
  | 'running'
  | 'retrying'
  | 'paused'
  | 'removing'
  | 'succeeded'
  | 'failed'
  | 'cancelled';

/** Everything that can move a task, grouped by who does it. */
export type TaskOperation =
  // the broker, by itself
  | 'claim'
  | 'expire'
  | 'lose'
  // the holder of the lease
  | 'complete'
  | 'retry'
  | 'fail'
  | 'release'
  | 'snooze'
  | 'settlePause'
  | 'settleCancel'
  // a user
  | 'cancel'
  | 'pause'
  | 'resume'
  | 'rerun'
  | 'reschedule'
  | 'update'
  | 'remove';

/**
 * Where an operation leads: a state; `request` = noted, and the holder is told; `gone` = the record is removed;
 * `kept` = allowed, the state stays. An absent cell means refused without effect.
 */
export type TransitionResult = TaskState | 'request' | 'gone' | 'kept';

const waiting = ['scheduled', 'pending', 'retrying', 'paused'] as const;
const ended = ['succeeded', 'failed', 'cancelled'] as const;

function from(states: readonly TaskState[], to: TransitionResult): Partial<Record<TaskState, TransitionResult>> {
  return Object.fromEntries(states.map((state) => [state, to]));
}

/**
 * The state machine, as data. Legality checks, the documentation's diagram and scenario STM-01 are made from it.
 * Guards are the state and, for the holder's operations, the fence. `release` and `snooze` give the attempt back.
 */
export const transitions: Readonly<Record<TaskOperation, Readonly<Partial<Record<TaskState, TransitionResult>>>>> = {
  claim: { pending: 'running', retrying: 'running' },
  expire: from(waiting, 'failed'),
  lose: { running: 'retrying' },

  complete: { running: 'succeeded' },
  retry: { running: 'retrying' },
  fail: { running: 'failed' },
  release: { running: 'pending' },
  snooze: { running: 'scheduled' },
  settlePause: { running: 'paused' },
  settleCancel: { running: 'cancelled' },

  cancel: { ...from(waiting, 'cancelled'), running: 'request' },
  pause: { scheduled: 'paused', pending: 'paused', retrying: 'paused', running: 'request', paused: 'kept' },
  resume: { paused: 'pending' },
  rerun: from(ended, 'pending'),
  reschedule: from(waiting, 'kept'),
  update: from(waiting, 'kept'),
  remove: { ...from(waiting, 'gone'), ...from(ended, 'gone'), running: 'request' },
};

/** Terminal states: a task stays there until it is rerun, removed or dropped by retention. */
export const terminalStates: ReadonlySet<TaskState> = new Set(ended);

/** Whether a state is one no worker will leave by itself. */
export function isTerminal(state: TaskState): state is 'succeeded' | 'failed' | 'cancelled' {
  return terminalStates.has(state);
}

/** What an operation does to a task in a state, or `undefined` when it is refused without effect. */
export function transition(state: TaskState, operation: TaskOperation): TransitionResult | undefined {
  return transitions[operation][state];
}

/** Operations of a lease holder that do not end the task: a stop request takes their place. */
const yielding: ReadonlySet<TaskOperation> = new Set(['retry', 'release', 'snooze', 'lose']);

/**
 * Where a holder's operation leads when a stop was asked for meanwhile. Work that was finished stays finished:
 * `complete` wins over every request, and a final `fail` wins over a pause.
 */
export function settledState(
  operation: TaskOperation,
  requested: StopRequest | undefined,
): TransitionResult | undefined {
  const plain = transition('running', operation);
  if (requested === undefined || operation === 'complete') return plain;
  if (requested === 'remove') return 'gone';
  if (requested === 'cancel') return 'cancelled';
  return yielding.has(operation) ? 'paused' : plain;
}
