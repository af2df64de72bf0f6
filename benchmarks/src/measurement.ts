/** What one child process is asked to do. */
export interface Job {
  readonly url: string;
  readonly subject: string;
  readonly step: Step;
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
  | { readonly type: 'latency'; readonly seconds: number; readonly perSecond: number };

/** What one run of a workload measured. */
export interface Measurement {
  /** Tasks that went through within `seconds`. */
  readonly tasks: number;
  readonly seconds: number;
  /** Processor time of the client process and of the server, seconds; the server's only where /proc tells. */
  readonly clientCpu: number;
  readonly serverCpu?: number;
  /** Processors kept busy by programs that have nothing to do with the run, on average. */
  readonly foreignLoad?: number;
  readonly peakRssMb: number;
  /** From the start to the first handler, milliseconds. */
  readonly firstHandlerMs?: number;
  /** Enqueue to start of the handler, milliseconds, one per task; with how many were sent. */
  readonly latencies?: readonly number[];
  readonly sent?: number;
}
