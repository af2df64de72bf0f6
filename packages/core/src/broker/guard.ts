import type { NewTask, StopRequest, TaskRecord } from '../task.ts';
import type { Lease, SettleOp, SettleOutcome, TaskReport } from './session.ts';
import type { TaskStore } from './task-store.ts';

/** Whether a delivered message may be run. */
export type GuardVerdict =
  | { readonly run: true; readonly fence: number; readonly attempt: number; readonly checkpoint?: string }
  | { readonly run: false; readonly why: 'ended' | 'cancelled' | 'older-copy' | 'held' };

/**
 * A companion store that lifts a pure transport (AMQP) to the full profile. The message stays the truth; the guard
 * knows what a transport cannot: unique keys, records, durable cancel, fences. Implemented by adapters of stores,
 * passed to the transport as a value, so that adapters never import each other.
 */
export interface Guard {
  readonly kind: string;
  /** @throws ConfigurationError UnavailableError */
  open(): Promise<void>;
  /** Reserves ids and unique keys before the message is published; an unconfirmed reservation lapses after `ttlMs`. */
  reserve(
    tasks: readonly NewTask[],
    ttlMs: number,
  ): Promise<({ readonly status: 'reserved' } | { readonly status: 'duplicate'; readonly existingId: string })[]>;
  /** Makes reservations final and stores the records, after the transport confirmed the messages. */
  confirm(tasks: readonly NewTask[]): Promise<void>;
  /** Takes a delivered copy, or says why it must be dropped. */
  begin(
    copies: readonly { readonly taskId: string; readonly attempt: number; readonly sessionId: string }[],
  ): Promise<GuardVerdict[]>;
  /** Compare-and-set by fence, before the transport acknowledges. */
  settle(operations: readonly SettleOp[]): Promise<SettleOutcome[]>;
  report(reports: readonly TaskReport[]): Promise<SettleOutcome[]>;
  /** Keeps the holder's presence and returns stop requests for its tasks. */
  beat(sessionId: string, ttlMs: number): Promise<readonly { readonly lease: Lease; readonly request: StopRequest }[]>;
  readonly tasks: TaskStore;
  get(id: string): Promise<TaskRecord | undefined>;
  close(): Promise<void>;
}
