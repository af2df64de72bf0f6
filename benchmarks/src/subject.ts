import type { Payload } from './payload.ts';

/** The no-op handler a worker runs for every task. */
export type Handler = (payload: Payload) => Promise<void>;

/** `fast`: the best settings the peer documents. `default`: as it comes. */
export type Mode = 'fast' | 'default';

/** The side that enqueues. */
export interface Producer {
  enqueue(payload: Payload): Promise<unknown>;
  enqueueMany(payloads: readonly Payload[]): Promise<unknown>;
  /** Tasks that are to start `delayMs` from now; absent when only ours is asked. */
  enqueueLater?(tasks: readonly { readonly payload: Payload; readonly delayMs: number }[]): Promise<unknown>;
  close(): Promise<void>;
}

/** A running worker. */
export interface RunningWorker {
  stop(): Promise<void>;
}

/** Asks the store whether a subject did what it promised, on a connection of its own. */
export interface Probe {
  /** True while any task is not durably finished; absent when the store does not tell while workers hold tasks. */
  anyLeft?(): Promise<boolean>;
  /** How many tasks are waiting or running; without `anyLeft`, once no worker is there. */
  left(): Promise<number>;
  /** How many finished tasks are kept; absent when the subject keeps none, or the store does not tell. */
  kept?(): Promise<number>;
  /** More than this many are not kept: retention by count. */
  readonly keptAtMost?: number;
  close(): Promise<void>;
}

/** Times single claims, for ours. */
export interface Claimer {
  /** Claims `limit` tasks; they stay claimed. Resolves to how many there were. */
  claim(limit: number): Promise<number>;
  close(): Promise<void>;
}

/** What a subject promises, for the table that says what is compared with what. */
export interface Guarantees {
  /** Whether a worker that lost its task can still finish it. */
  readonly fence: string;
  /** What is left of a finished task. */
  readonly history: string;
  /** When an enqueue is answered. */
  readonly enqueue: string;
  /** When a task counts as done. */
  readonly settle: string;
}

/** Something that is measured: ours, a peer, or hand-written code as a ceiling. */
export interface Subject {
  readonly name: string;
  readonly kind: 'ours' | 'peer' | 'ceiling';
  /** Whether it moves many tasks a round trip; the others get a smaller backlog. */
  readonly batched: boolean;
  /** The settings used, for the report. */
  readonly settings: Readonly<Record<Mode, string>>;
  readonly guarantees: Guarantees;
  /** Creates what the subject needs in an empty store. */
  install(url: string): Promise<void>;
  probe(url: string): Promise<Probe>;
  producer(url: string, mode: Mode): Promise<Producer>;
  worker(url: string, mode: Mode, concurrency: number, handler: Handler): Promise<RunningWorker>;
  claimer?(url: string): Promise<Claimer>;
}
