import type { Capabilities } from '@millrace/core';

/** What the broker claims, as far as it bears on what a history may show. */
export type CheckedCapabilities = Pick<
  Capabilities,
  | 'timePrecisionMs'
  | 'delay'
  | 'priority'
  | 'order'
  | 'batch'
  | 'idempotentIds'
  | 'groups'
  | 'queues'
  | 'session'
  | 'settle'
>;

/** What a history is checked against beside the rules themselves. Bounds that are absent are not checked. */
export interface CheckOptions {
  readonly capabilities: CheckedCapabilities;
  /** Printed with every witness. */
  readonly seed?: number | string;
  /** A due task that a waiting worker could have had must start within this. */
  readonly startWithinMs?: number;
  /** Beyond ttl and sweep, for the tasks of a worker that died. */
  readonly recoverWithinMs?: number;
  /** A running task's holder must be told of a stop within this. */
  readonly signalWithinMs?: number;
  /** A call must return within this, beyond what it was asked to wait. */
  readonly deadlineMs?: number;
  /** How long after a queue was paused a start is still forgiven. Default 0. */
  readonly pauseGraceMs?: number;
  /** How far clocks may be apart where a caller gave an instant instead of a span. Default 1,000. */
  readonly clockToleranceMs?: number;
  /** Handlers that may run at once. */
  readonly concurrency?: {
    readonly perRole?: number;
    readonly perQueue?: number;
    readonly fleet?: number;
  };
  /** Handlers that may start in any window of this length. */
  readonly rate?: { readonly limit: number; readonly perMs: number };
}
