import type { Step } from './measurement.ts';
import { subjectNames } from './subjects/index.ts';

/** One thing to measure on each of some subjects. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly subjects: readonly string[];
  /** Tasks to enqueue before; counted for a subject that batches, or one that does not. */
  fill(batched: boolean): number;
  step(batched: boolean): Exclude<Step, { readonly type: 'install' | 'fill' }>;
}

/** How much of each, from the command line. */
export interface Amounts {
  /** Backlog of a subject that batches; a tenth of it for the others. */
  readonly tasks: number;
  /** Length of an enqueue run. */
  readonly seconds: number;
  /** Length of a latency run. */
  readonly latencySeconds: number;
}

const notifyVariant = 'pg-boss (notify)';
const ordinary = subjectNames.filter((name) => name !== notifyVariant);
const latencySubjects = ['raw:single', 'graphile-worker', 'pg-boss', notifyVariant, 'bullmq (postgres)', 'millrace'];
const growthSubjects = ['raw:batch-arch', 'graphile-worker', 'millrace'];
const perSecond = 50;

export const concurrencies: readonly number[] = [1, 10, 100];
export const depths: readonly number[] = [1000, 1_000_000];

/** All workloads in the order of the report. Growth takes minutes and is left out unless named. */
export function workloads({ tasks, seconds, latencySeconds }: Amounts): readonly Workload[] {
  const size = (batched: boolean): number => (batched ? tasks : Math.ceil(tasks / 10));
  const enqueue = (type: 'sequential' | 'concurrent' | 'bulk', title: string): Workload => ({
    name: type,
    title,
    subjects: ordinary,
    fill: () => 0,
    step: () => ({ type, seconds }),
  });
  return [
    enqueue('sequential', 'one after the other'),
    enqueue('concurrent', '100 in flight'),
    enqueue('bulk', 'bulk × 1000'),
    ...concurrencies.map((concurrency) => ({
      name: `backlog-${concurrency}`,
      title: `concurrency ${concurrency}`,
      subjects: ordinary,
      fill: size,
      step: (batched: boolean): ReturnType<Workload['step']> => ({
        type: 'backlog',
        tasks: size(batched),
        left: 0,
        concurrency,
        mode: 'fast',
      }),
    })),
    {
      name: 'latency',
      title: `${perSecond} tasks/s`,
      subjects: latencySubjects,
      fill: () => 0,
      step: () => ({ type: 'latency', seconds: latencySeconds, perSecond }),
    },
    ...depths.map((depth) => ({
      name: `growth-${depth}`,
      title: `${depth.toLocaleString('en')} stay waiting`,
      subjects: growthSubjects,
      fill: () => depth + tasks,
      step: (): ReturnType<Workload['step']> => ({
        type: 'backlog',
        tasks,
        left: depth,
        concurrency: 10,
        mode: 'fast',
      }),
    })),
  ];
}

/** What runs when nothing is named. */
export const usual = (workload: Workload): boolean => !workload.name.startsWith('growth');
