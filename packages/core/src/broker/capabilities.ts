import type { KeyUntil } from '../task.ts';

/**
 * What a broker can do, as frozen, JSON-serialisable data with limits as values. Resolved by `open`, after the
 * server's version and settings are known. A capability claimed here must pass its scenarios; one not claimed is
 * refused with `UnsupportedError` before any effect.
 */
export interface Capabilities {
  /** `transport`: what every broker keeps. `full`: lookup, control, unique, groups, results, schedules as well. */
  readonly profile: 'transport' | 'full';
  /** What an accepted task survives: nothing, a crash of the server, the loss of a node. */
  readonly durability: 'none' | 'node' | 'replicated';
  /** Whose clock decides when a task is due and a session has ended. */
  readonly clock: 'server' | 'process';
  readonly timePrecisionMs: number;
  readonly delay: { readonly maxMs: number; readonly granularityMs: number };
  /** `strict`: a single consumer never sees a lower priority while a higher one waits. */
  readonly priority: { readonly levels: number; readonly strict: boolean };
  /** Order of equal priority for a single consumer. */
  readonly order: 'fifo' | 'best-effort';
  /** What `applied` rests on, and whether a retry can ever leave two copies or none. */
  readonly settle: { readonly confirmedBy: 'memory' | 'commit' | 'reply' | 'barrier'; readonly retryAtomic: boolean };
  /** Limits of a session's time to live, and how soon after its end its tasks come back. */
  readonly session: { readonly minTtlMs: number; readonly maxTtlMs: number; readonly sweepMs: number };
  readonly batch: {
    readonly maxEnqueue: number;
    readonly maxClaim: number;
    readonly enqueueAtomic: boolean;
    /** Enqueue calls a client does well to have under way at the same time. Default 2: one is stored while another is made. */
    readonly inFlight?: number;
  };
  /** Enqueueing an id again, in any state within retention, is answered `duplicate`. */
  readonly idempotentIds: boolean;
  /** A claim only returns tasks of the names asked for. `false`: the worker has to hand others back. */
  readonly claimByName: boolean;
  /** Sessions have `claimTasks`: what a store needs to guard a transport. */
  readonly claimById: boolean;
  readonly unique: false | { readonly until: readonly KeyUntil[]; readonly replace: boolean };
  /** Enqueueing may join the caller's own transaction. */
  readonly transactions: boolean;
  /** `begun`: a task claimed ahead that never ran is not counted as lost on its last attempt. */
  readonly reports: {
    readonly progress: boolean;
    readonly checkpoint: boolean;
    readonly log: boolean;
    readonly begun: boolean;
  };
  readonly tasks: TaskCapabilities;
  readonly queues: {
    readonly pause: false | 'process' | 'global';
    readonly counts: 'exact' | 'approximate' | 'ready-only';
    readonly purge: boolean;
  };
  readonly schedules: boolean;
  readonly groups: boolean;
  /** How an idle worker learns of work: told by the backend, or by asking this often. */
  readonly wakeup: { readonly push: boolean; readonly pollMs: number };
  readonly payload: { readonly maxBytes: number };
  /** Finished tasks are removed by age; `null` means kept for ever. */
  readonly retention: { readonly succeededMs: number | null; readonly failedMs: number | null };
}

/** Which operations of a task store are there. */
export interface TaskCapabilities {
  readonly get: boolean;
  readonly list: boolean;
  readonly count: boolean;
  readonly cancel: readonly ('waiting' | 'running')[];
  readonly pause: readonly ('waiting' | 'running')[];
  readonly rerun: boolean;
  readonly reschedule: boolean;
  readonly update: boolean;
  readonly remove: boolean;
  readonly wait: boolean;
  readonly events: boolean;
}
