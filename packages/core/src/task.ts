import type { TaskState } from './state-machine.ts';

/**
 * An encoded input, output, checkpoint or progress value. Brokers store it as text and never look inside.
 * Made and read by `encodePayload` and `decodePayload`.
 */
export type Payload = string;

/** String map that travels with a task: trace context, tenant, anything a middleware propagates. */
export type TaskHeaders = Readonly<Record<string, string>>;

/** Why an attempt, or the whole task, failed. */
export type FailureKind = 'error' | 'timeout' | 'lost' | 'expired' | 'invalid' | 'unregistered';

/** A failure as the core describes it. The broker adds when and on which attempt it happened. */
export interface TaskFailure {
  readonly kind: FailureKind;
  readonly name: string;
  readonly message: string;
  /** At most 4,000 characters. */
  readonly stack?: string;
  /** Instance id of the worker that saw it. */
  readonly worker?: string;
}

/** One entry of a task's bounded error list, oldest first. */
export interface TaskError extends TaskFailure {
  readonly attempt: number;
  /** Epoch milliseconds, broker's clock. */
  readonly at: number;
}

/** One line a handler logged. */
export interface TaskLogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  /** Epoch milliseconds, worker's clock. */
  readonly at: number;
}

/** Entries kept of `errors` and `log`; older ones are dropped first. */
export const taskListLimits: { readonly errors: number; readonly log: number } = { errors: 10, log: 100 };

/** Priorities run from 0 to 9; a higher number runs first (as in JMS). */
export const priorityRange: { readonly lowest: number; readonly normal: number; readonly highest: number } = {
  lowest: 0,
  normal: 4,
  highest: 9,
};

/** How long a unique key stays taken: until a worker claims the task, or until the task has ended. */
export type KeyUntil = 'started' | 'settled';

/** What enqueueing does when the unique key is taken. */
export type KeyConflict = 'ignore' | 'replace';

/** A task as it is handed to a broker. Times are spans, so that the client's clock does not matter. */
export interface NewTask {
  /** 1 to 255 characters. UUIDv7 unless the caller chose one. Enqueueing an id twice stores it once. */
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  /** Absent when the task has no input. */
  readonly input?: Payload;
  readonly headers: TaskHeaders;
  readonly priority: number;
  /** Wait this long before the first run. Not together with `runAt`. */
  readonly delayMs: number;
  /** An absolute due time chosen by the caller, epoch milliseconds. */
  readonly runAt?: number;
  /** Give up unless started within this span. Not together with `expiresAt`. */
  readonly expiresInMs?: number;
  readonly expiresAt?: number;
  /** `Infinity` is allowed. */
  readonly maxAttempts: number;
  readonly timeoutMs?: number;
  /** Uniqueness within the queue. */
  readonly key?: string;
  readonly keyUntil?: KeyUntil;
  readonly onConflict?: KeyConflict;
  /** Fair sharing and filtering. */
  readonly group?: string;
  readonly owner?: string;
  /** Version of the task definition that wrote `input`. */
  readonly version: number;
  /**
   * A promise by the caller that this id was generated for this very call and never sent before.
   * A broker may then skip looking for it among finished tasks. Leave it out when in doubt.
   */
  readonly fresh?: true;
}

/** A stored task, the same on every broker. Times are epoch milliseconds of the broker's clock. */
export interface TaskRecord {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly state: TaskState;
  readonly input?: Payload;
  readonly headers: TaskHeaders;
  readonly priority: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly fence: number;
  readonly runAt: number;
  readonly expiresAt?: number;
  readonly timeoutMs?: number;
  readonly key?: string;
  readonly group?: string;
  readonly owner?: string;
  readonly checkpoint?: Payload;
  readonly progress?: Payload;
  readonly output?: Payload;
  readonly errors: readonly TaskError[];
  readonly log: readonly TaskLogLine[];
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly finishedAt?: number;
  /** `instance@host` of the worker that ran it last. */
  readonly worker?: string;
  readonly version: number;
  /** Set when `state` is `failed`. */
  readonly failure?: FailureKind;
  /** A stop that was asked for while the task runs and has not happened yet. */
  readonly requested?: StopRequest;
}

/** What a user may ask of a running task: it is told at the next heartbeat and comes to rest. */
export type StopRequest = 'cancel' | 'pause' | 'remove';
