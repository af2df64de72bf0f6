import type { Payload } from './payload.ts';

/** The no-op handler a worker runs for every task. */
export type Handler = (payload: Payload) => Promise<void>;

/** `fast`: the best settings the peer documents. `default`: as it comes. */
export type Mode = 'fast' | 'default';

/** The side that enqueues. */
export interface Producer {
  enqueue(payload: Payload): Promise<unknown>;
  enqueueMany(payloads: readonly Payload[]): Promise<unknown>;
  close(): Promise<void>;
}

/** A running worker. */
export interface RunningWorker {
  stop(): Promise<void>;
}

/** SQL that answers whether a subject did what it promised. */
export interface Checks {
  /** True while any task is not durably finished. */
  readonly anyLeft: string;
  /** How many tasks are waiting or running. */
  readonly left: string;
  /** How many finished tasks are kept; absent when the subject keeps none. */
  readonly kept?: string;
}

/** Something that is measured: ours, a peer, or hand-written code as a ceiling. */
export interface Subject {
  readonly name: string;
  readonly kind: 'ours' | 'peer' | 'ceiling';
  /** Whether it claims and settles many tasks a round trip; the others get a smaller backlog. */
  readonly batched: boolean;
  /** The settings used, for the report. */
  readonly settings: Readonly<Record<Mode, string>>;
  readonly checks: Checks;
  /** Creates the schema in an empty database. */
  install(url: string): Promise<void>;
  producer(url: string, mode: Mode): Promise<Producer>;
  worker(url: string, mode: Mode, concurrency: number, handler: Handler): Promise<RunningWorker>;
}
