import type { SessionSignal } from '@millrace/core';
import type { StoredTask } from './stored-task.ts';

/** A session as the store knows it: a name, an end that every heartbeat pushes out, and what it holds. */
export interface StoredSession {
  readonly id: string;
  readonly instance: string;
  /** `instance@host`, kept on the tasks it runs. */
  readonly worker: string;
  readonly ttlMs: number;
  /** Taken back after this instant of the store's monotonic clock, which no change of the wall clock moves. */
  silentUntil: number;
  readonly held: Set<StoredTask>;
  /** Reaches the process that holds the session. */
  readonly tell: (signal: SessionSignal) => void;
}
