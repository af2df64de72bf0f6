import type { Broker } from './broker.ts';
import type { TaskStore } from './task-store.ts';

/** A task that is due and waits, as far as whoever brings it to a worker has to know it. */
export interface OverdueTask {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly priority: number;
}

/** Which tasks are overdue. */
export interface OverdueRequest {
  /** Due for at least this long, milliseconds. */
  readonly dueForMs: number;
  /** At most so many of each queue. */
  readonly limit: number;
}

/**
 * A store that lifts a pure transport (AMQP) to the full profile. It holds the tasks; the transport brings their ids to
 * workers, and whatever it brings twice, too early or too late is sorted out by `Session.claimTasks`. Made by the
 * adapter of a store and passed to the transport as a value, so that adapters never import each other.
 */
export interface Guard<Tx = never> {
  /** `memory`, `postgres`, `redis`. */
  readonly kind: string;
  /** Which tasks it holds; `always`: all of them. */
  readonly mode: 'needed' | 'always';
  /** With mode `needed`, whether tasks of this name are held besides those that need it anyway. */
  readonly holds: (name: string) => boolean;
  /** A broker with the full profile whose sessions have `claimTasks`. Nobody else claims its tasks. */
  readonly broker: Broker<Tx> & { readonly tasks: TaskStore };
  /**
   * Tasks that wait although they are due, per queue the one that has been due longest first: what the transport should
   * have brought. Those of paused queues are left out.
   * @throws UnavailableError IndeterminateError ClosedError
   */
  overdue(request: OverdueRequest): Promise<OverdueTask[]>;
}

/** Options every guard has, besides those of its store. */
export interface GuardOptions {
  /**
   * `needed`: tasks with a unique key, tasks enqueued in a transaction, and those named in `tasks`; the others travel
   * as messages alone, cannot be looked up, and cost the store nothing. `always`: all tasks. Default `'needed'`.
   */
  readonly mode?: Guard['mode'];
  /** Names of tasks to hold with mode `needed`: those to be looked up, cancelled, or whose results are wanted. */
  readonly tasks?: readonly string[];
}
