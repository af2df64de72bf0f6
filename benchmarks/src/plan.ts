import type { Family } from './families/family.ts';
import type { Step } from './measurement.ts';
import { tasksClaimed } from './workloads/claim.ts';

/** What is measured after a fill: by a child process, or of the store itself. */
export type MeasuredStep = Exclude<Step, { readonly type: 'install' | 'fill' }> | { readonly type: 'memory' };

/** One thing to measure on each of some subjects. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly subjects: readonly string[];
  /** Measured in the first round only: it takes long, or does not vary. */
  readonly once: boolean;
  /** Runs of a subject in a round: more for one that is short and varies much. */
  readonly repeats: number;
  /** Left out unless named. */
  readonly unusual: boolean;
  /** Tasks to enqueue before; counted for a subject that batches, or one that does not. */
  fill(batched: boolean): number;
  step(batched: boolean): MeasuredStep;
}

/** How much of each, from the command line. */
export interface Amounts {
  /** Backlog of a subject that batches; a part of it for the others. */
  readonly tasks: number;
  /** Length of an enqueue run. */
  readonly seconds: number;
  /** Length of a latency run. */
  readonly latencySeconds: number;
}

const perSecond = 50;
const concurrencies: readonly number[] = [1, 10, 100];
const depths: readonly number[] = [1000, 1_000_000];
const memoryTasks = 100_000;
/** One after the other: mostly waiting, for a disk among others, whose mood changes from second to second. */
const sequentialRuns = 3;
const claims = { calls: 1_000, limit: 5 };
const delays = { tasks: 10_000, fromMs: 1000, toMs: 60_000 };
const enqueueTitles = { sequential: 'one after the other', concurrent: '100 in flight', bulk: 'bulk × 1000' };
const ours = 'millrace';

/** All workloads of a family in the order of the report. */
export function workloads(family: Family, { tasks, seconds, latencySeconds }: Amounts): readonly Workload[] {
  const subjectsFor = (workload: string): readonly string[] =>
    Object.keys(family.subjects).filter((name) =>
      (family.only[name] ?? ['']).some((start) => workload.startsWith(start)),
    );
  const size = (batched: boolean): number => (batched ? tasks : Math.ceil(tasks * family.unbatchedShare));
  const usual = { once: false, repeats: 1, unusual: false, fill: () => 0 };
  const extra = (name: Family['extras'][number], list: readonly Workload[]): readonly Workload[] =>
    family.extras.includes(name) ? list : [];

  return [
    ...family.enqueues.map(
      (type): Workload => ({
        ...usual,
        name: type,
        title: enqueueTitles[type],
        repeats: type === 'sequential' ? sequentialRuns : 1,
        subjects: subjectsFor(type),
        step: () => ({ type, seconds }),
      }),
    ),
    ...concurrencies.map(
      (concurrency): Workload => ({
        ...usual,
        name: `backlog-${concurrency}`,
        title: `concurrency ${concurrency}`,
        subjects: subjectsFor('backlog'),
        fill: size,
        step: (batched) => ({ type: 'backlog', tasks: size(batched), left: 0, concurrency, mode: 'fast' }),
      }),
    ),
    {
      ...usual,
      name: 'latency',
      title: `${perSecond} tasks/s`,
      subjects: family.latency,
      step: () => ({ type: 'latency', seconds: latencySeconds, perSecond }),
    },
    ...extra('memory', [
      {
        ...usual,
        name: 'memory',
        title: `${memoryTasks.toLocaleString('en')} waiting`,
        subjects: subjectsFor('memory'),
        once: true,
        fill: () => memoryTasks,
        step: () => ({ type: 'memory' }),
      },
    ]),
    ...extra(
      'claim',
      depths.map((depth) => ({
        ...usual,
        name: `claim-${depth}`,
        title: `${depth.toLocaleString('en')} waiting`,
        subjects: [ours],
        once: true,
        fill: () => depth + tasksClaimed(claims.calls, claims.limit),
        step: () => ({ type: 'claim', ...claims }),
      })),
    ),
    ...extra('delays', [
      {
        ...usual,
        name: 'delays',
        title: `${delays.tasks.toLocaleString('en')} tasks, due after ${delays.fromMs / 1000} to ${delays.toMs / 1000} s`,
        subjects: [ours],
        once: true,
        unusual: true,
        step: () => ({ type: 'delays', ...delays }),
      },
    ]),
    ...(family.growth.length === 0 ? [] : depths).map(
      (depth): Workload => ({
        ...usual,
        name: `growth-${depth}`,
        title: `${depth.toLocaleString('en')} stay waiting`,
        subjects: family.growth,
        unusual: true,
        fill: (batched) => depth + size(batched),
        step: (batched) => ({ type: 'backlog', tasks: size(batched), left: depth, concurrency: 10, mode: 'fast' }),
      }),
    ),
  ];
}
