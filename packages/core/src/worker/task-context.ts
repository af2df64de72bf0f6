import type { EnqueueOptions } from '../client/enqueue-options.ts';
import type { TaskHandle } from '../client/task-handle.ts';
import type { TaskDefinition, TaskInput, TaskOutput } from '../define-task.ts';
import type { Logger } from '../logger.ts';
import type { TaskHeaders } from '../task.ts';

/** Where a handler can go on after an earlier attempt of the same task. */
export interface Checkpoint {
  /** What was saved last, by this or an earlier attempt; `undefined` when nothing was. */
  get(): unknown;
  /**
   * Saves a value; resolves when the broker has it.
   * @throws LeaseLostError when the task is no longer ours, IndeterminateError when the broker did not answer,
   * ValidationError when the value cannot be stored or is larger than the broker's `payload.maxBytes`
   */
  set(value: unknown): Promise<void>;
}

/** What a handler knows about its run, and what it can do besides returning. */
export interface TaskContext {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  /** 1 on the first run. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Grows with every run of this task: pass it to other systems to refuse writes of a run that was replaced. */
  readonly fence: number;
  /** Version of the definition that enqueued it. */
  readonly version: number;
  readonly headers: TaskHeaders;
  readonly key: string | undefined;
  readonly group: string | undefined;
  readonly owner: string | undefined;
  /** Epoch milliseconds, broker's clock. */
  readonly createdAt: number;
  /** When this attempt times out, on this machine's clock; `undefined` without a timeout. */
  readonly deadline: Date | undefined;
  /**
   * Aborts when the run should stop. Its reason is a `LeaseLostError`, or an `AbortedError` whose `why` is
   * `timeout`, `cancelled`, `paused`, `removed` or `shutdown`.
   */
  readonly signal: AbortSignal;
  readonly checkpoint: Checkpoint;
  /**
   * Keeps how far the work is, for those who look. Sent in the background, the last value wins.
   * @throws ValidationError when the value cannot be stored or is larger than the broker's `payload.maxBytes`
   */
  progress(value: unknown): void;
  /** Logs to the worker's logger and keeps the last 100 lines with the task, each cut at 2,000 characters. */
  readonly log: Logger;
  /** Enqueues a child task; it gets this task's headers. */
  enqueue<D extends TaskDefinition>(
    definition: D,
    input: TaskInput<D>,
    options?: Omit<EnqueueOptions<never>, 'transaction'>,
  ): Promise<TaskHandle<TaskOutput<D>>>;
}

/**
 * Wraps every run of a worker's handlers, first in the list outermost. Call `next` once; what it returns or throws
 * is the run's outcome unless the middleware changes it.
 */
export type Middleware = (context: TaskContext, next: () => Promise<unknown>) => Promise<unknown>;
