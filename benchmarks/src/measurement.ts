import type { BackendName } from './backends/backend.ts';

/** What one child process is asked to do. */
export interface Job {
  readonly backend: BackendName;
  readonly url: string;
  readonly subject: string;
  readonly step: Step;
  /** The server's main process, where it runs on this machine. */
  readonly serverPid: number | undefined;
}

export type Step =
  | { readonly type: 'install' }
  /** Fills the queue. */
  | { readonly type: 'fill'; readonly tasks: number }
  | { readonly type: 'sequential' | 'concurrent' | 'bulk'; readonly seconds: number }
  | {
      readonly type: 'backlog';
      readonly tasks: number;
      readonly left: number;
      readonly concurrency: number;
      readonly mode: 'fast' | 'default';
    }
  | { readonly type: 'latency'; readonly seconds: number; readonly perSecond: number }
  /** Claims of `limit` tasks, one after the other. */
  | { readonly type: 'claim'; readonly calls: number; readonly limit: number }
  /** Tasks with delays spread evenly between two bounds. */
  | { readonly type: 'delays'; readonly tasks: number; readonly fromMs: number; readonly toMs: number };

/** What a child process answers. */
export type Answer = { readonly measured: Measurement } | { readonly failed: string };

/** What one run of a workload measured. */
export interface Measurement {
  /** Tasks that went through within `seconds`. */
  readonly tasks: number;
  readonly seconds: number;
  /** Processor time of the client process and of the server, seconds; the server's only where /proc tells. */
  readonly clientCpu?: number;
  readonly serverCpu?: number;
  /** Processors kept busy by programs that have nothing to do with the run, on average. */
  readonly foreignLoad?: number;
  readonly peakRssMb?: number;
  /** From the start to the first handler, milliseconds. */
  readonly firstHandlerMs?: number;
  /** Milliseconds, one per task: enqueue to start of the handler, or how late a delayed task was. */
  readonly latencies?: readonly number[];
  /** How many tasks `latencies` should hold. */
  readonly sent?: number;
  /** Milliseconds of single claims. */
  readonly claims?: readonly number[];
  /** What the store grew by for each waiting task. */
  readonly bytesPerTask?: number;
}
