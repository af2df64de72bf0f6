import type { HistoryEvent } from './event.ts';
import type { Operation } from './operation.ts';
import type { TaskHistory } from './task-history.ts';

/** A session as its calls show it. */
export interface SessionHistory {
  readonly id: string;
  readonly role: string;
  readonly pid: number;
  readonly ttlMs: number | undefined;
  /** When its `lost` fired in its holder; `Infinity` if it did not. */
  lostAt: number;
  end: Operation | undefined;
  /** A `close` under the same role, which may have been of this session's broker. */
  close: Operation | undefined;
}

/** A history, sorted out for the checks. Times are microseconds. */
export interface Timeline {
  readonly events: number;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly tasks: readonly TaskHistory[];
  /** Claims that delivered nothing. In the order of invocation. */
  readonly emptyClaims: readonly Operation[];
  /** Claims whose answer is not known: each may have taken tasks that nobody was told of. */
  readonly hiddenClaims: readonly Operation[];
  readonly sessions: ReadonlyMap<string, SessionHistory>;
  /** All calls, deliveries not among them. In the order of invocation. */
  readonly calls: readonly Operation[];
  /** Pauses, resumptions and purges of queues. */
  readonly queueControls: readonly Operation[];
  readonly maintenance: readonly Operation[];
  readonly faults: readonly HistoryEvent[];
  readonly resources: readonly HistoryEvent[];
  readonly counts: HistoryEvent | undefined;
  readonly drainedAt: number | undefined;
  /** Whether effects of handlers were looked for. */
  readonly hasEffects: boolean;
  /** Ends of transactions by their name. */
  readonly transactions: ReadonlyMap<string, HistoryEvent>;
  /** When a process was last seen to live. */
  readonly lastSeen: ReadonlyMap<number, number>;
}
