import type { BackendName } from '../backends/backend.ts';
import type { Target } from '../report/targets.ts';
import type { Subject } from '../subject.ts';

/** The ways to enqueue that are measured. */
export type EnqueueLoad = 'sequential' | 'concurrent' | 'bulk';

/** What is compared on one kind of server. */
export interface Family {
  readonly name: BackendName;
  /** Loaded one at a time: a child process holds no code of the others. In the order of the report. */
  readonly subjects: Readonly<Record<string, () => Promise<Subject>>>;
  readonly enqueues: readonly EnqueueLoad[];
  /** Subjects that are there for some workloads only, by the beginning of their names. */
  readonly only: Readonly<Record<string, readonly string[]>>;
  readonly latency: readonly string[];
  /** Measured with a queue that stays deep. */
  readonly growth: readonly string[];
  /** What is measured besides. */
  readonly extras: readonly ('memory' | 'claim' | 'delays')[];
  /** Tasks in a backlog, unless the command line says otherwise. */
  readonly tasks: number;
  /** The part of it for subjects that do not batch. */
  readonly unbatchedShare: number;
  /** The hand-written code a workload is compared with: `usual`, or another by the workload's name. */
  readonly ceilings: Readonly<Record<string, string>> & { readonly usual: string };
  readonly targets: readonly Target[];
  /** Packages whose versions are in the report. */
  readonly packages: readonly string[];
  /** How runs are kept apart and timed where that differs, and who is not there; lines of the report. */
  readonly notes: readonly string[];
}
