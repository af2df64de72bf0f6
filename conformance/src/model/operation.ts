import type {
  ClaimRequest,
  ControlOutcome,
  Delivery,
  DueTime,
  EnqueueOutcome,
  ErrorCode,
  MaintenanceReport,
  NewTask,
  QueueStats,
  SettleOp,
  SettleOutcome,
  TaskChanges,
  TaskFilter,
  TaskRecord,
  TaskReport,
} from '@millrace/core';
import type { Instant } from './instant.ts';

/** What a user may do to tasks by id. */
export type ControlType = 'cancel' | 'pause' | 'resume' | 'rerun' | 'reschedule' | 'update' | 'remove';

/** A call of the contract, in its own types. Leases and sessions go by the names the program gave to sessions. */
export type ModelOperation =
  | { readonly type: 'enqueue'; readonly tasks: readonly NewTask[] }
  | { readonly type: 'openSession'; readonly session: string; readonly ttlMs: number; readonly worker: string }
  | { readonly type: 'claim'; readonly session: string; readonly request: ClaimRequest }
  | { readonly type: 'settle'; readonly session: string; readonly operations: readonly SettleOp[] }
  | { readonly type: 'report'; readonly session: string; readonly reports: readonly TaskReport[] }
  /** Ends the session, or closes the client it belongs to: both give back what it held. */
  | { readonly type: 'endSession'; readonly session: string; readonly close: boolean }
  /** Stops the process that holds the session. */
  | { readonly type: 'freeze'; readonly session: string }
  /** Lets it go on. */
  | { readonly type: 'thaw'; readonly session: string }
  | {
      readonly type: 'control';
      readonly control: Exclude<ControlType, 'reschedule' | 'update'>;
      readonly ids: readonly string[];
    }
  | { readonly type: 'control'; readonly control: 'reschedule'; readonly ids: readonly string[]; readonly due: DueTime }
  | {
      readonly type: 'control';
      readonly control: 'update';
      readonly ids: readonly string[];
      readonly changes: TaskChanges;
    }
  | { readonly type: 'queuePause'; readonly queue: string }
  | { readonly type: 'queueResume'; readonly queue: string }
  | { readonly type: 'queuePurge'; readonly queue: string }
  | { readonly type: 'queueStats'; readonly queue: string }
  | { readonly type: 'get'; readonly ids: readonly string[] }
  | { readonly type: 'count'; readonly filter: TaskFilter }
  /** All pages of a listing, so long each. */
  | { readonly type: 'list'; readonly filter: TaskFilter; readonly limit: number }
  | { readonly type: 'maintain' }
  | { readonly type: 'advance'; readonly ms: number }
  /** Closes the client that is used for everything but sessions, and opens another one. */
  | { readonly type: 'reopen' };

/** What was answered. A call that was refused as a whole has the code of its error. */
export type ModelOutcome =
  | { readonly type: 'enqueue'; readonly outcomes: readonly EnqueueOutcome[] }
  | { readonly type: 'claim'; readonly deliveries: readonly Delivery[] }
  | { readonly type: 'settle'; readonly outcomes: readonly SettleOutcome[] }
  | { readonly type: 'control'; readonly outcomes: readonly ControlOutcome[] }
  | { readonly type: 'get'; readonly records: readonly (TaskRecord | undefined)[] }
  | { readonly type: 'count'; readonly count: number }
  | { readonly type: 'list'; readonly ids: readonly string[] }
  | { readonly type: 'queueStats'; readonly stats: QueueStats }
  | { readonly type: 'maintain'; readonly report: MaintenanceReport }
  | { readonly type: 'thaw'; readonly lost: boolean }
  | { readonly type: 'done' }
  | { readonly type: 'error'; readonly code: ErrorCode | 'other'; readonly message: string };

/** When an operation took place: the step of the program, and the moment on the broker's clock. */
export interface Occasion {
  readonly step: number;
  readonly now: Instant;
  /** Whether the broker's epoch times can be compared with `now`. */
  readonly exact: boolean;
}
