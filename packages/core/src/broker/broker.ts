import type { MillraceError } from '../errors.ts';
import type { NewTask } from '../task.ts';
import type { Capabilities } from './capabilities.ts';
import type { ScheduleStore } from './schedule-store.ts';
import type { Session, SessionOptions } from './session.ts';
import type { TaskStore } from './task-store.ts';

/** What became of one enqueued task. Durable as far as the broker's `durability` says when it is `accepted`. */
export type EnqueueOutcome =
  | { readonly status: 'accepted' }
  /** The id, or the unique key, is taken; nothing was stored. */
  | { readonly status: 'duplicate'; readonly existingId: string }
  /** The unique key was taken by a waiting task, which now has the new content and keeps its id. */
  | { readonly status: 'replaced'; readonly existingId: string }
  /** Not stored, unless the error leaves it open. `UNAVAILABLE`: others of the call may be, and this can be sent again. */
  | { readonly status: 'rejected'; readonly error: MillraceError };

/** How tasks are enqueued. */
export interface BrokerEnqueueOptions<Tx> {
  /** The caller's transaction: stored when it commits, never seen when it rolls back. */
  readonly transaction?: Tx;
  readonly signal?: AbortSignal;
}

/** How much one call of `maintain` may do. */
export interface MaintenanceBudget {
  /** Upper bound of tasks moved per kind of work. */
  readonly maxTasks: number;
  readonly signal?: AbortSignal;
}

/** What a call of `maintain` did, in tasks. */
export interface MaintenanceReport {
  /** Taken back from sessions that ended. */
  readonly reclaimed: number;
  /** Ended because they were not started in time. */
  readonly expired: number;
  /** Finished tasks removed by retention. */
  readonly pruned: number;
  /** Whether there is more to do right now. */
  readonly more: boolean;
}

/** Numbers of one queue. What a backend cannot know is absent; how exact they are is in the capabilities. */
export interface QueueStats {
  readonly queue: string;
  readonly paused: boolean;
  readonly pending?: number;
  readonly scheduled?: number;
  readonly retrying?: number;
  readonly running?: number;
  readonly pausedTasks?: number;
  /** Age of the oldest due task, milliseconds. */
  readonly oldestPendingMs?: number;
}

/** Administration of queues. */
export interface QueueStore {
  /** All known queues, or the ones named. */
  stats(queues?: readonly string[]): Promise<QueueStats[]>;
  /** No task of the queue starts until it is resumed. @throws UnsupportedError */
  pause(queue: string): Promise<void>;
  resume(queue: string): Promise<void>;
  /** Removes the waiting tasks of a queue; running and ended ones stay. Returns how many. */
  purge(queue: string): Promise<number>;
}

/** Whether a broker is usable right now. */
export interface BrokerHealth {
  readonly state: 'ready' | 'degraded' | 'down';
  /** What is wrong, for people. Never a credential. */
  readonly detail?: string;
}

/**
 * A backend behind the contract. Users never call it: they pass it to `createClient` and `createWorker`.
 * `Tx` is what `transaction` takes; `never` where the backend cannot join one.
 *
 * Every call ends by its deadline with a result or one of `UnavailableError` (not applied) and `IndeterminateError`
 * (may have been applied). Every write is safe to repeat: tasks carry ids, settles carry fences.
 */
export interface Broker<Tx = never> {
  /** Short name of the backend: `memory`, `postgres`, `pglite`, `redis`, `amqp`. */
  readonly kind: string;
  /**
   * Connects, checks or creates the schema, resolves the capabilities. Repeating it returns the same object.
   * @throws ConfigurationError UnavailableError ClosedError
   */
  open(): Promise<Capabilities>;
  /** Outcomes in the order given; one bad task never takes others down. @throws UnavailableError IndeterminateError BackpressureError ClosedError AbortedError */
  enqueue(tasks: readonly NewTask[], options?: BrokerEnqueueOptions<Tx>): Promise<EnqueueOutcome[]>;
  /** @throws ValidationError UnavailableError ClosedError */
  openSession(options: SessionOptions): Promise<Session>;
  /**
   * Beats for a session of another client of the same backend, exactly as its own heartbeat would: a heartbeat from a
   * thread beats over a connection of its own. Absent where a session cannot be kept from another connection.
   * @throws UnavailableError IndeterminateError ClosedError
   */
  readonly beat?: (sessionId: string) => Promise<'alive' | 'lost'>;
  /** Reclaims, expires, prunes. Safe on any number of nodes at any time. */
  maintain(budget: MaintenanceBudget): Promise<MaintenanceReport>;
  readonly queues: QueueStore;
  readonly tasks?: TaskStore;
  readonly schedules?: ScheduleStore;
  health(): Promise<BrokerHealth>;
  /**
   * Ends sessions and connections it made. Safe to repeat and during `open`. Afterwards calls are a
   * `ClosedError`, except `health`, which says `down`.
   */
  close(): Promise<void>;
}

/** An adapter as `connect` sees it. */
export interface Adapter {
  readonly name: string;
  /** URL schemes without the colon, such as `postgres`. */
  readonly schemes: readonly string[];
  /** Makes a broker from a URL, not yet opened. @throws ConfigurationError */
  connect(url: string): Broker<unknown>;
}
