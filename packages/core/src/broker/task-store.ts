import type { TaskState } from '../state-machine.ts';
import type { Payload, TaskRecord } from '../task.ts';

/** Which tasks; every field given must match. */
export interface TaskFilter {
  readonly ids?: readonly string[];
  readonly queues?: readonly string[];
  readonly names?: readonly string[];
  readonly states?: readonly TaskState[];
  readonly owner?: string;
  readonly group?: string;
  readonly key?: string;
}

/** One page of a listing, newest id first. */
export interface TaskPage {
  readonly tasks: readonly TaskRecord[];
  /** Pass it to get the next page; absent on the last one. A task that is there throughout appears exactly once. */
  readonly cursor?: string;
}

/** What became of a control operation on one task. */
export type ControlOutcome =
  /** Done; the task is in its new state. */
  | 'applied'
  /** The task is running; its holder will be told within one heartbeat. */
  | 'requested'
  /** The task's state does not allow it; nothing changed. */
  | 'refused'
  | 'not-found';

/** Changes to a waiting task. Absent fields stay as they are. */
export interface TaskChanges {
  readonly input?: Payload;
  readonly priority?: number;
  readonly group?: string;
  readonly owner?: string;
}

/** When a task is due: after a span, or at an instant (epoch milliseconds). */
export type DueTime = { readonly delayMs: number } | { readonly at: number };

/** Something that happened to a task. */
export interface TaskEvent {
  readonly taskId: string;
  readonly name: string;
  readonly queue: string;
  readonly state: TaskState;
  readonly attempt: number;
  readonly at: number;
}

/**
 * Lookup and control of stored tasks. Outcomes come in the order of the ids; what the state machine does not allow
 * is answered `refused`. Which operations a broker has is in `capabilities.tasks`; the others throw
 * `UnsupportedError` before any effect.
 */
export interface TaskStore {
  /** Read-your-writes. `undefined` for ids that are not there. */
  get(ids: readonly string[]): Promise<(TaskRecord | undefined)[]>;
  /** Keyset paging. `limit` 1 to 1,000. */
  list(filter: TaskFilter, page: { readonly limit: number; readonly cursor?: string }): Promise<TaskPage>;
  count(filter: TaskFilter): Promise<number>;
  cancel(ids: readonly string[]): Promise<ControlOutcome[]>;
  pause(ids: readonly string[]): Promise<ControlOutcome[]>;
  resume(ids: readonly string[]): Promise<ControlOutcome[]>;
  /** Runs an ended task again: attempts start at 1, the fence keeps growing, errors so far are kept. */
  rerun(ids: readonly string[]): Promise<ControlOutcome[]>;
  reschedule(ids: readonly string[], due: DueTime): Promise<ControlOutcome[]>;
  update(ids: readonly string[], changes: TaskChanges): Promise<ControlOutcome[]>;
  remove(ids: readonly string[]): Promise<ControlOutcome[]>;
  /** Resolves when each task has ended, is gone (`undefined`), or `waitMs` is over (then with its state as it is). */
  wait(
    ids: readonly string[],
    options: { readonly waitMs: number; readonly signal?: AbortSignal },
  ): Promise<(TaskRecord | undefined)[]>;
  events(filter: TaskFilter, options: { readonly signal?: AbortSignal }): AsyncIterable<TaskEvent>;
}
