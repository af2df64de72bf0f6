/** Stable identifiers of Millrace errors. Messages may change between releases, codes do not. */
export type ErrorCode =
  | 'CONFIGURATION'
  | 'UNSUPPORTED'
  | 'VALIDATION'
  | 'UNAVAILABLE'
  | 'INDETERMINATE'
  | 'BACKPRESSURE'
  | 'CLOSED'
  | 'ABORTED'
  | 'LEASE_LOST'
  | 'CORRUPT_TASK'
  | 'NOT_FOUND'
  | 'TASK_FAILED';

/**
 * What a caller may do after an error: `safe` = nothing happened, repeat at will; `idempotent-only` = it may have
 * happened, repeat with the same id; `no` = repeating gives the same error.
 */
export type Retryable = 'safe' | 'idempotent-only' | 'no';

/** Details shared by every error. */
export interface ErrorDetails {
  /** The operation that failed, such as `enqueue` or `session.settle`. */
  readonly op?: string;
  /** The adapter it happened in, such as `postgres`. */
  readonly adapter?: string;
  /** The option, field or argument that is wrong. */
  readonly option?: string;
  /** A finer, stable word below the code, such as `schema-too-new` or `payload-too-large`. */
  readonly reason?: string;
  readonly cause?: unknown;
}

// Two copies of this package may be loaded by one program; a registered symbol is the same in both.
const marker: symbol = Symbol.for('millrace.error');

/** Base class of every error Millrace throws. Test with {@link isMillraceError}, which survives duplicate packages. */
export class MillraceError extends Error {
  readonly code: ErrorCode;
  readonly retryable: Retryable;
  readonly op: string | undefined;
  readonly adapter: string | undefined;
  readonly option: string | undefined;
  readonly reason: string | undefined;

  constructor(code: ErrorCode, retryable: Retryable, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = retryable;
    this.op = details.op;
    this.adapter = details.adapter;
    this.option = details.option;
    this.reason = details.reason;
    Object.defineProperty(this, marker, { value: true });
  }
}

/** Whether a value is a Millrace error, optionally one with the given code. */
export function isMillraceError(error: unknown, code?: ErrorCode): error is MillraceError {
  try {
    if (typeof error !== 'object' || error === null || !(marker in error)) return false;
    return code === undefined || (error as MillraceError).code === code;
  } catch {
    // A proxy may throw at any question; whatever it is, it is not ours.
    return false;
  }
}

/** Wrong URL, credentials, schema, topology or server version. Fix the configuration; never retried. */
export class ConfigurationError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super('CONFIGURATION', 'no', message, details);
  }
}

/** The broker does not have the capability the call needs. Raised before any effect. */
export class UnsupportedError extends MillraceError {
  /** Path of the missing capability, such as `tasks.cancel`. */
  readonly capability: string;
  constructor(capability: string, message: string, details?: ErrorDetails) {
    super('UNSUPPORTED', 'no', message, details);
    this.capability = capability;
  }
}

/** An input or option is invalid. Nothing was stored. */
export class ValidationError extends MillraceError {
  /** Standard Schema issues, when a schema refused the value. */
  readonly issues: readonly { readonly message: string; readonly path?: readonly PropertyKey[] }[];
  constructor(message: string, details?: ErrorDetails & { readonly issues?: ValidationError['issues'] }) {
    super('VALIDATION', 'no', message, details);
    this.issues = details?.issues ?? [];
  }
}

/** The backend could not be reached in time; the call was not applied. */
export class UnavailableError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super('UNAVAILABLE', 'safe', message, details);
  }
}

/** The connection or the deadline ended while an answer was awaited; the call may have been applied. */
export class IndeterminateError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super('INDETERMINATE', 'idempotent-only', message, details);
  }
}

/** The backend refuses more work for now. Back off and repeat. */
export class BackpressureError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super('BACKPRESSURE', 'safe', message, details);
  }
}

/** The broker, client, session or worker was not open (reason `not-open`) or is closed (reason `closed`). */
export class ClosedError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super('CLOSED', 'no', message, details);
  }
}

/** Why a signal was aborted. */
export type AbortReason = 'caller' | 'cancelled' | 'paused' | 'removed' | 'timeout' | 'shutdown';

/** A call or a handler was told to stop. `why` says by whom; it is the `signal.reason` a handler sees. */
export class AbortedError extends MillraceError {
  readonly why: AbortReason;
  constructor(why: AbortReason, message: string, details?: ErrorDetails) {
    super('ABORTED', why === 'caller' || why === 'timeout' ? 'idempotent-only' : 'no', message, details);
    this.why = why;
  }
}

/** The lease is gone: the broker may already have given the task to another worker. Stop side effects. */
export class LeaseLostError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super('LEASE_LOST', 'no', message, details);
  }
}

/** A stored task cannot be decoded. It is kept as dead; other tasks are not affected. */
export class CorruptTaskError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super('CORRUPT_TASK', 'no', message, details);
  }
}

/** No task, queue or schedule of that name or id. */
export class NotFoundError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super('NOT_FOUND', 'no', message, details);
  }
}

/** Thrown by `handle.result()` when the task ended without success. */
export class TaskFailedError extends MillraceError {
  readonly taskId: string;
  readonly state: 'failed' | 'cancelled';
  /** The kind of failure (`error`, `timeout`, `lost`, `expired`, `invalid`, `unregistered`), absent when cancelled. */
  readonly kind: string | undefined;
  constructor(
    message: string,
    details: ErrorDetails & { readonly taskId: string; readonly state: 'failed' | 'cancelled'; readonly kind?: string },
  ) {
    super('TASK_FAILED', 'no', message, details);
    this.taskId = details.taskId;
    this.state = details.state;
    this.kind = details.kind;
  }
}
