import type { FailureKind, KeyConflict, KeyUntil, StopRequest, TaskState } from '@millrace/core';

/** Version of the line format. Readers refuse others. */
export const eventVersion = 1;

/**
 * What a line is about. Calls of the contract have `invoke` and `return` lines; the words for settles and control are
 * those of core's state machine (`settlePause` is the holder coming to rest, `pause` is a user asking for it).
 */
export type RecordedCall =
  | 'open'
  | 'close'
  | 'enqueue'
  | 'openSession'
  | 'claim'
  | 'complete'
  | 'retry'
  | 'fail'
  | 'release'
  | 'snooze'
  | 'settlePause'
  | 'settleCancel'
  | 'report'
  | 'endSession'
  | 'cancel'
  | 'pause'
  | 'resume'
  | 'rerun'
  | 'reschedule'
  | 'update'
  | 'remove'
  | 'get'
  | 'list'
  | 'count'
  | 'wait'
  | 'queuePause'
  | 'queueResume'
  | 'queuePurge'
  | 'queueStats'
  | 'maintain';

/**
 * Lines of phase `event`. `start` and `end`: a handler runs, written inside of it. `signal`: a holder was told to stop a
 * task. `lost`: a session's signal fired. `fault`: something was broken or healed. `commit`, `rollback`: a caller's
 * transaction. `taskEvent`: from the broker's event stream. `effect`: an effect of a handler that was found at the end.
 * `resources`: what the namespace holds. `drained`: claiming found nothing twice in a row, a sweep apart. `final`: one
 * task as it was at the end. `counts`: what `count` says then. `alive`: nothing but that the process is.
 */
export type RecordedMark =
  | 'start'
  | 'end'
  | 'signal'
  | 'lost'
  | 'fault'
  | 'commit'
  | 'rollback'
  | 'taskEvent'
  | 'effect'
  | 'resources'
  | 'drained'
  | 'final'
  | 'counts'
  | 'alive';

/** Details of a line. Which ones there are depends on `op`. */
export interface EventArgs {
  /** Name of the task; of an enqueue and of a delivery. */
  readonly name?: string;
  readonly priority?: number;
  /** Absent when it is unbounded. */
  readonly maxAttempts?: number;
  readonly group?: string;
  /** From now: of an enqueue, retry, snooze and reschedule. Negative for instants that have passed. */
  readonly delayMs?: number;
  /** `delayMs` was worked out from an absolute time with this process's clock, which may be off. */
  readonly absolute?: true;
  readonly expiresInMs?: number;
  readonly keyUntil?: KeyUntil;
  readonly onConflict?: KeyConflict;
  /** Of a duplicate or replaced enqueue. */
  readonly existingId?: string;
  /** The same for all tasks of one enqueue call: its first `seq`. */
  readonly batch?: number;
  /** The caller's transaction. */
  readonly tx?: string;

  /** Of everything a session does. */
  readonly session?: string;
  readonly ttlMs?: number;
  readonly queues?: readonly string[];
  readonly names?: readonly string[];
  readonly limit?: number;
  readonly waitMs?: number;
  /** Of a claim by id: the tasks it asked for. */
  readonly ids?: readonly string[];
  /** Of a delivery of such a claim. */
  readonly byId?: true;
  /** Of a delivery: how many of the same claim have a line after this one. Absent: none. */
  readonly left?: number;
  /** Of a fail, retry, or an ended task. */
  readonly kind?: FailureKind;
  /** Of a report that says the handler is about to start. */
  readonly begun?: true;

  /** Of a read, an event of the stream, and a final record. `gone` when there is no record. */
  readonly state?: TaskState | 'gone';
  /** Digest of the output. */
  readonly output?: string;
  readonly request?: StopRequest;
  readonly count?: number;
  /** Counts by state, or resources by name. */
  readonly counts?: Readonly<Record<string, number>>;

  readonly fault?: string;
  /** `start` and `heal` enclose a fault that lasts; `instant` is over when it happens. */
  readonly faultPhase?: 'start' | 'heal' | 'instant';
  /** Process a fault hit. Absent with `session`: the fault concerns everybody. */
  readonly target?: number;
  readonly detail?: string;
}

/**
 * One line of a journal: `JSON.stringify` of this, then a newline. A call that concerns several tasks has a line for
 * each; a claim has one `invoke`, and a `return` for each delivery or a single one with the outcome `empty`.
 */
export interface HistoryEvent {
  readonly v: typeof eventVersion;
  /** Grows by line within one journal. */
  readonly seq: number;
  readonly pid: number;
  /** Who acts, for people: `producer`, `w1`, `control`. */
  readonly role: string;
  /** Microseconds of `process.hrtime`, which all processes of one machine share. */
  readonly t: number;
  readonly phase: 'invoke' | 'return' | 'event';
  readonly op: RecordedCall | RecordedMark;
  /** Of a return: `seq` of the invoke it answers, in the same journal. */
  readonly call?: number;
  readonly task?: string;
  readonly queue?: string;
  /** Unique key. */
  readonly key?: string;
  readonly fence?: number;
  readonly attempt?: number;
  readonly args?: EventArgs;
  /** Outcome in the contract's words, `ok`, `delivered`, `empty`, or `error:<code>`. Of a return. */
  readonly outcome?: string;
  /**
   * `<digest of the input>.<digest of name and headers>` of an enqueue, a delivery and a record; only the first part
   * of an update; digest of the output of a complete.
   */
  readonly hash?: string;
}

/** A line before it is stamped. */
export type EventFields = Omit<HistoryEvent, 'v' | 'seq' | 'pid' | 'role' | 't' | 'phase' | 'op'>;
