import { parseArgs } from 'node:util';
import type { Family } from './families/family.ts';
import { type Amounts, type Workload, workloads } from './plan.ts';

/** What a run measures. */
export interface Options extends Amounts {
  readonly runs: number;
  readonly subjects: readonly string[];
  readonly workloads: readonly Workload[];
  /** Seconds a run waits for a quiet machine. 0: nothing is waited for, and nothing repeated. */
  readonly patience: number;
  /** Milliseconds after which a step that has not ended counts as failed. */
  readonly limitMs: number;
  /** Folder the report goes to; absent when nothing is to be written. */
  readonly report: string | undefined;
  /** Folder for CPU profiles of the measured processes. */
  readonly profiles: string | undefined;
}

function usageOf(family: Family, all: readonly Workload[]): string {
  const names = (unusual: boolean): string =>
    all
      .filter((workload) => workload.unusual === unusual)
      .map(({ name }) => name)
      .join(', ');
  return `pnpm bench [-- options]
  --backend a,b      of postgres (default), redis, amqp, one after the other; what follows is about ${family.name}
  --subjects a,b     of ${Object.keys(family.subjects).join(', ')}; part of a name will do
  --workloads a,b    of ${names(false)};
                     only if named: ${names(true) || 'none'}; the part before - will do, \`all\` is all of them
  --runs 3           rounds; every subject once in each
  --tasks ${String(family.tasks).padEnd(10)} backlog to work off; ${family.unbatchedShare} of it for subjects that do not batch
  --seconds 2        length of an enqueue run
  --latency 5        length of a latency run, seconds
  --patience 30      seconds a run waits for a quiet machine; 0 takes things as they are
  --limit 90         seconds after which a subject that has not ended counts as failed
  --no-report        print only; do not touch benchmarks/report-*
  --profiles folder  CPU profiles of the measured processes`;
}

/** @throws with the usage when an argument is wrong */
export function readOptions(args: readonly string[], family: Family, reportFolder: string): Options {
  const { values } = parseArgs({
    args: args.filter((argument) => argument !== '--'),
    options: {
      subjects: { type: 'string' },
      workloads: { type: 'string' },
      runs: { type: 'string', default: '3' },
      tasks: { type: 'string', default: String(family.tasks) },
      seconds: { type: 'string', default: '2' },
      latency: { type: 'string', default: '5' },
      patience: { type: 'string', default: '30' },
      limit: { type: 'string', default: '90' },
      'no-report': { type: 'boolean', default: false },
      profiles: { type: 'string' },
    },
  });
  const fail = (problem: string): never => {
    const amounts = { tasks: family.tasks, seconds: 2, latencySeconds: 5 };
    throw new Error(`${problem}\n\n${usageOf(family, workloads(family, amounts))}`);
  };
  const number = (text: string, option: string, lowest: 'positive' | 'zero'): number => {
    const value = Number(text);
    if (value > 0 || (value === 0 && lowest === 'zero')) return value;
    return fail(`--${option} must be ${lowest === 'zero' ? 'zero or ' : ''}a positive number; got "${text}"`);
  };
  const amounts = {
    tasks: number(values.tasks, 'tasks', 'positive'),
    seconds: number(values.seconds, 'seconds', 'positive'),
    latencySeconds: number(values.latency, 'latency', 'positive'),
  };
  const all = workloads(family, amounts);
  const subjectNames = Object.keys(family.subjects);
  return {
    ...amounts,
    runs: number(values.runs, 'runs', 'positive'),
    subjects: choose(values.subjects, subjectNames, (name) => name, 'subjects', fail) ?? subjectNames,
    workloads:
      choose(values.workloads, all, ({ name }) => name, 'workloads', fail) ?? all.filter(({ unusual }) => !unusual),
    patience: number(values.patience, 'patience', 'zero'),
    limitMs: number(values.limit, 'limit', 'positive') * 1000,
    report: values['no-report'] ? undefined : reportFolder,
    profiles: values.profiles,
  };
}

function choose<T>(
  text: string | undefined,
  all: readonly T[],
  nameOf: (one: T) => string,
  option: string,
  fail: (problem: string) => never,
): readonly T[] | undefined {
  if (text === undefined) return undefined;
  const parts = text.split(',').map((part) => part.trim());
  if (parts.includes('all')) return all;
  for (const part of parts) {
    if (!all.some((one) => matches(nameOf(one), part))) fail(`--${option}: nothing called "${part}"`);
  }
  return all.filter((one) => parts.some((part) => matches(nameOf(one), part)));
}

/** `backlog` means all three of them; `backlog-1` only itself; `raw` every ceiling. */
const matches = (name: string, part: string): boolean => name === part || (!/\d$/.test(part) && name.includes(part));
