import type { EnqueueOutcome } from '../broker/broker.ts';
import type { ControlOutcome } from '../broker/task-store.ts';
import type { Duration } from '../duration.ts';
import type { TaskRecord } from '../task.ts';

/** How long to wait for a result. */
export interface ResultOptions {
  /** Default: no limit. */
  readonly timeout?: Duration;
  readonly signal?: AbortSignal;
}

/** What a handle asks of its client. */
export interface TaskAccess {
  get(id: string): Promise<TaskRecord | undefined>;
  cancel(id: string): Promise<ControlOutcome>;
  result(id: string, options: ResultOptions): Promise<unknown>;
}

/** An enqueued task, seen by the one who enqueued it. */
export class TaskHandle<Output = unknown> {
  /** The task's id; with outcome `duplicate` or `replaced`, the id of the task that was there. */
  readonly id: string;
  /** What enqueueing did. Never `rejected`: that is thrown. */
  readonly outcome: Exclude<EnqueueOutcome, { status: 'rejected' }>;
  readonly #access: TaskAccess;

  constructor(id: string, outcome: Exclude<EnqueueOutcome, { status: 'rejected' }>, access: TaskAccess) {
    this.id = outcome.status === 'accepted' ? id : outcome.existingId;
    this.outcome = outcome;
    this.#access = access;
  }

  /** The record as stored now, or `undefined` when it is gone. */
  get(): Promise<TaskRecord | undefined> {
    return this.#access.get(this.id);
  }

  /** Ends a waiting task at once; asks a running one to stop. */
  cancel(): Promise<ControlOutcome> {
    return this.#access.cancel(this.id);
  }

  /**
   * Waits for the end of the task and returns what its handler returned.
   * @throws TaskFailedError when it failed or was cancelled, NotFoundError when the record is gone,
   * AbortedError on timeout or abort, UnsupportedError when the broker keeps no results.
   */
  result(options: ResultOptions = {}): Promise<Output> {
    return this.#access.result(this.id, options) as Promise<Output>;
  }
}
