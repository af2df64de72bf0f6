import type { FailureKind, NewTask, Payload, StopRequest, TaskState } from '@millrace/core';
import type { Due, Instant } from './instant.ts';

/** An entry of a task's errors. What the broker words by itself has neither name nor message here. */
export interface ModelError {
  readonly attempt: number;
  readonly kind: FailureKind;
  readonly name?: string;
  readonly message?: string;
}

/** A task as the rules know it. */
export interface ModelTask {
  readonly id: string;
  readonly queue: string;
  /** Place in the order of creation. */
  readonly index: number;
  /** `scheduled` follows from `due`. */
  readonly state: Exclude<TaskState, 'scheduled' | 'removing'>;
  /** What was enqueued, replaced or updated last. */
  readonly content: NewTask;
  readonly created: Instant;
  readonly due: Due;
  readonly expiry: Instant | undefined;
  readonly attempt: number;
  readonly fence: number;
  /** Whether its unique key is taken by it right now. */
  readonly keyHeld: boolean;
  readonly checkpoint: Payload | undefined;
  readonly progress: Payload | undefined;
  readonly output: Payload | undefined;
  readonly errors: readonly ModelError[];
  /** Messages of its log. */
  readonly log: readonly string[];
  readonly failure: FailureKind | undefined;
  readonly requested: StopRequest | undefined;
  /** The session that runs it. */
  readonly holder: string | undefined;
  readonly begun: boolean;
  /** `instance@host` of who ran it last. */
  readonly worker: string | undefined;
  readonly ended: Instant | undefined;
}

/** A session as the rules know it. */
export interface ModelSession {
  readonly id: string;
  readonly ttlMs: number;
  readonly worker: string;
  /**
   * `silent`: it does not beat any more, and the broker takes its tasks back from `deadline` on. `lost`: the same, and
   * its holder knows. `ended`: it gave back what it had.
   */
  readonly state: 'live' | 'silent' | 'lost' | 'ended';
  /** When it fell silent. */
  readonly silentSince: Instant | undefined;
  /** When the broker may begin, at the latest has to be able, to take its tasks back. */
  readonly deadline: Instant | undefined;
}

/** Everything a broker knows. Plain data; nothing in it is ever changed. */
export interface ModelState {
  readonly tasks: ReadonlyMap<string, ModelTask>;
  readonly sessions: ReadonlyMap<string, ModelSession>;
  readonly pausedQueues: ReadonlySet<string>;
  /** Tasks created so far. */
  readonly created: number;
}

export const emptyState: ModelState = {
  tasks: new Map(),
  sessions: new Map(),
  pausedQueues: new Set(),
  created: 0,
};

/** The state with one task put in, or taken out when there is none any more. */
export function withTask(state: ModelState, id: string, task: ModelTask | undefined): ModelState {
  if (state.tasks.get(id) === task) return state;
  const tasks = new Map(state.tasks);
  if (task === undefined) tasks.delete(id);
  else tasks.set(id, task);
  return { ...state, tasks };
}

export function withSession(state: ModelState, session: ModelSession): ModelState {
  return { ...state, sessions: new Map(state.sessions).set(session.id, session) };
}

/** States everybody sees a task in at a moment: more than one while it is not known whether its time has come. */
export function visibleStates(task: ModelTask, now: Instant): TaskState[] {
  if (task.state !== 'pending' || task.due.to <= now.from) return [task.state];
  return task.due.from > now.to ? ['scheduled'] : ['scheduled', 'pending'];
}
