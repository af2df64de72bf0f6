import type { Script } from './worker-script.ts';

/** How a worker process works. Absent: as the core has it. */
export interface WorkerProcessOptions {
  /** Default: made of its process id. */
  readonly instance?: string;
  readonly concurrency?: number;
  readonly prefetch?: number;
  readonly sessionTtlMs?: number;
  /** Interval of reclaiming; `false` leaves it to others. */
  readonly maintenanceMs?: number | false;
  readonly drainMs?: number;
  readonly graceMs?: number;
  /** Delay before a failed run is tried again. Default 0. */
  readonly retryMs?: number;
  /** Beats from a thread besides, over a connection to this address. */
  readonly heartbeatThread?: { readonly url: string };
  /** `false`: it opens the broker and claims nothing, to produce only. Default true. */
  readonly claims?: boolean;
}

/** The one argument of a worker process, as JSON. */
export interface WorkerArgument {
  readonly url: string;
  readonly namespace: string;
  readonly journal: string;
  /** Where it records what it asks of the broker, and what its handlers do. */
  readonly history: string;
  readonly options: WorkerProcessOptions;
}

/** Enqueue tasks `<prefix>1` to `<prefix><count>`, so many per call, as fast as it can. */
export interface ProduceCommand {
  readonly type: 'produce';
  readonly prefix: string;
  readonly count: number;
  readonly batch: number;
  readonly script: Script;
}

/** What a test tells a worker process. */
export type WorkerCommand =
  | { readonly type: 'stop'; readonly force: boolean }
  | { readonly type: 'counts' }
  /** Block the event loop. */
  | { readonly type: 'stall'; readonly ms: number }
  | { readonly type: 'exhaust-heap' }
  /** From now on the wall clock is off by so much. Needs the preload. */
  | { readonly type: 'jump-clock'; readonly ms: number }
  | ProduceCommand;

/** What a worker process has done. */
export interface WorkerCounts {
  readonly started: number;
  readonly returned: number;
  readonly threw: number;
  readonly aborted: number;
  readonly running: number;
}

/** What a worker process answers. */
export type WorkerReply =
  | { readonly type: 'ready' }
  | { readonly type: 'counts'; readonly counts: WorkerCounts }
  | { readonly type: 'stopped' }
  /** It could not start. */
  | { readonly type: 'failed'; readonly message: string };
