import type { Payload, StopRequest, TaskFailure, TaskHeaders, TaskLogLine } from '../task.ts';

/** The right to settle one run of a task. */
export interface Lease {
  readonly taskId: string;
  /** 1 on the first run. */
  readonly attempt: number;
  /** Grows with every claim of the task and never shrinks. A settle with an older one is `stale`. */
  readonly fence: number;
  readonly sessionId: string;
}

/** A claimed task: what a worker needs to run it. */
export interface Delivery {
  readonly lease: Lease;
  readonly name: string;
  readonly queue: string;
  readonly input?: Payload;
  readonly headers: TaskHeaders;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly timeoutMs?: number;
  readonly checkpoint?: Payload;
  readonly key?: string;
  readonly group?: string;
  readonly owner?: string;
  readonly version: number;
  readonly createdAt: number;
  readonly runAt: number;
}

/** What a worker asks for. */
export interface ClaimRequest {
  /** Queues to take from; none of them may starve the others. */
  readonly queues: readonly string[];
  /** Names of tasks this worker can run. Others are left alone. */
  readonly names: readonly string[];
  /** At least 1; never more deliveries than this. */
  readonly limit: number;
  /** Wait this long for work when there is none. 0 asks once. */
  readonly waitMs: number;
  /** Ends the wait: the call then resolves with what it has, usually nothing. */
  readonly signal?: AbortSignal;
}

/** An update of a running task by its holder. Absent fields stay as they are. */
export interface TaskReport {
  readonly lease: Lease;
  readonly progress?: Payload;
  readonly checkpoint?: Payload;
  readonly log?: readonly TaskLogLine[];
  /**
   * The handler is about to start. Sent before the last allowed attempt, so that a task which was claimed ahead and
   * never ran is not counted as lost when its worker dies (LSE-16).
   */
  readonly begun?: true;
}

/** How a run ended. Core decides, the broker moves. */
export type SettleOp =
  | { readonly type: 'complete'; readonly lease: Lease; readonly output?: Payload }
  | { readonly type: 'retry'; readonly lease: Lease; readonly delayMs: number; readonly failure: TaskFailure }
  | { readonly type: 'fail'; readonly lease: Lease; readonly failure: TaskFailure }
  /** Hand the task back unused: due at once, the attempt is not charged. */
  | { readonly type: 'release'; readonly lease: Lease }
  /** Run again later; the attempt is not charged. */
  | { readonly type: 'snooze'; readonly lease: Lease; readonly delayMs: number }
  /** Come to rest after a pause was requested; the attempt is not charged. */
  | { readonly type: 'pause'; readonly lease: Lease }
  /** Come to rest after a cancel was requested. */
  | { readonly type: 'cancel'; readonly lease: Lease };

/**
 * `applied`: done, and it survives the connection being cut right after.
 * `stale`: refused without effect, because the lease was used already or the task has a newer one, or is gone.
 * `unknown`: the answer was lost and could not be found out in time.
 */
export type SettleOutcome = 'applied' | 'stale' | 'unknown';

/** Something the broker tells the holder of a lease. */
export interface SessionSignal {
  readonly taskId: string;
  readonly fence: number;
  readonly request: StopRequest;
}

/** How a session is opened. */
export interface SessionOptions {
  /** Instance id of the worker, kept on the tasks it runs. */
  readonly instance: string;
  readonly host: string;
  /** The broker takes the session's tasks back when it was silent for this long. */
  readonly ttlMs: number;
  /**
   * When the last answered beat that somebody else sent for this session began, on this process's monotonic clock;
   * `undefined` while there is none. Pass it to `startHeartbeat`. Needed where a broker has `beat`.
   */
  readonly beatenAt?: () => number | undefined;
  /** Called when a stop of a running task was asked for; at least once, at the latest one heartbeat after. */
  readonly onSignal: (signal: SessionSignal) => void;
}

/** What became of one task that was claimed by its id. */
export type ClaimVerdict =
  | { readonly status: 'claimed'; readonly delivery: Delivery }
  /** It waits and is not due yet; milliseconds until it is, at least 1. */
  | { readonly status: 'early'; readonly dueInMs: number }
  /** It runs, here or elsewhere; its session may have fallen silent without having been swept. */
  | { readonly status: 'held' }
  /** The task, or its queue, is paused. */
  | { readonly status: 'paused' | 'queue-paused' }
  /** Succeeded, failed or cancelled; or waits past its `expiresAt`, and will never start. */
  | { readonly status: 'ended' }
  /** Nothing has that id. */
  | { readonly status: 'gone' };

/** A worker process's presence at the broker. One heartbeat for all its tasks. */
export interface Session {
  readonly id: string;
  /**
   * Fires in the holder before the broker may give its tasks to somebody else. The reason is a `LeaseLostError`.
   * A lost session answers claims with `LeaseLostError` and settles with `stale`; open another one.
   */
  readonly lost: AbortSignal;
  /**
   * A claim whose answer was lost must not strand tasks: the session delivers, or gives back uncharged, what it holds
   * at the broker but never handed to the caller, at the latest one heartbeat after it can reach the broker (FLT-05).
   * @throws LeaseLostError UnavailableError IndeterminateError ClosedError ValidationError
   */
  claim(request: ClaimRequest): Promise<Delivery[]>;
  /**
   * Claims these tasks, at most `capabilities.batch.maxClaim`, and none else; verdicts in the order given. The same
   * claim as the other one in all that follows, and safe from it: a task is claimed once. Each id only once in a call.
   * Present where `capabilities.claimById`.
   * @throws LeaseLostError UnavailableError IndeterminateError ClosedError ValidationError
   */
  readonly claimTasks?: (ids: readonly string[]) => Promise<ClaimVerdict[]>;
  /** Outcomes in the order given. Never throws for stale leases; after the session's end everything is `stale`. */
  report(reports: readonly TaskReport[]): Promise<SettleOutcome[]>;
  /**
   * Outcomes in the order given. Never throws for stale leases or lost connections; after the session's end, or its
   * broker's, everything is `stale`.
   */
  settle(operations: readonly SettleOp[]): Promise<SettleOutcome[]>;
  /** Gives back what is still held, uncharged, and ends the presence. Safe to repeat. */
  end(): Promise<void>;
}
