import { parseArgs } from 'node:util';
import { type Amounts, usual, type Workload, workloads } from './plan.ts';
import { subjectNames } from './subjects/index.ts';

/** What a run measures. */
export interface Options extends Amounts {
  readonly runs: number;
  readonly subjects: readonly string[];
  readonly workloads: readonly Workload[];
  /** Seconds a run waits for a quiet machine. 0: nothing is waited for, and nothing repeated. */
  readonly patience: number;
  /** Folder the report goes to; absent when nothing is to be written. */
  readonly report: string | undefined;
  /** Folder for CPU profiles of the measured processes. */
  readonly profiles: string | undefined;
}

export const usage: string = `pnpm bench [-- options]
  --subjects a,b     of ${subjectNames.join(', ')}; part of a name will do
  --workloads a,b    of sequential, concurrent, bulk, backlog-1, backlog-10, backlog-100, latency,
                     growth-1000, growth-1000000 (not run unless named); the part before - will do
  --runs 3           rounds; every subject once in each
  --tasks 50000      backlog to work off; a tenth for subjects that do not batch
  --seconds 2        length of an enqueue run
  --latency 6        length of a latency run, seconds
  --patience 30      seconds a run waits for a quiet machine; 0 takes things as they are
  --no-report        print only; do not touch benchmarks/report.*
  --profiles folder  CPU profiles of the measured processes`;

/** @throws with the usage when an argument is wrong */
export function readOptions(args: readonly string[], reportFolder: string): Options {
  const { values } = parseArgs({
    args: args.filter((argument) => argument !== '--'),
    options: {
      subjects: { type: 'string' },
      workloads: { type: 'string' },
      runs: { type: 'string', default: '3' },
      tasks: { type: 'string', default: '50000' },
      seconds: { type: 'string', default: '2' },
      latency: { type: 'string', default: '6' },
      patience: { type: 'string', default: '30' },
      'no-report': { type: 'boolean', default: false },
      profiles: { type: 'string' },
    },
  });
  const amounts = {
    tasks: positive(values.tasks, 'tasks'),
    seconds: positive(values.seconds, 'seconds'),
    latencySeconds: positive(values.latency, 'latency'),
  };
  const all = workloads(amounts);
  return {
    ...amounts,
    runs: positive(values.runs, 'runs'),
    subjects: choose(values.subjects, subjectNames, (name) => name, 'subjects') ?? subjectNames,
    workloads: choose(values.workloads, all, ({ name }) => name, 'workloads') ?? all.filter(usual),
    patience: Number(values.patience),
    report: values['no-report'] ? undefined : reportFolder,
    profiles: values.profiles,
  };
}

function choose<T>(
  text: string | undefined,
  all: readonly T[],
  nameOf: (one: T) => string,
  option: string,
): readonly T[] | undefined {
  if (text === undefined) return undefined;
  const parts = text.split(',').map((part) => part.trim());
  for (const part of parts) {
    if (!all.some((one) => matches(nameOf(one), part)))
      throw new Error(`--${option}: nothing called "${part}"\n\n${usage}`);
  }
  return all.filter((one) => parts.some((part) => matches(nameOf(one), part)));
}

/** `backlog` means all three of them; `backlog-1` only itself; `raw` every ceiling. */
const matches = (name: string, part: string): boolean => name === part || (!/\d$/.test(part) && name.includes(part));

function positive(text: string, option: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${option} must be a positive number; got "${text}"\n\n${usage}`);
  return value;
}
