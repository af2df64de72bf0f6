import type { Family } from '../families/family.ts';
import { loadSubject } from '../families/index.ts';
import type { Machine } from '../machine.ts';
import type { Measurement } from '../measurement.ts';
import type { Options } from '../options.ts';
import type { Failure, Results, Series } from '../rounds.ts';
import { median, percentile, spread } from '../statistics.ts';
import type { Subject } from '../subject.ts';
import { judge, type Verdict } from './targets.ts';

/** Milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** One cell: a subject at a workload. */
export interface Cell {
  readonly workload: string;
  readonly subject: string;
  readonly runs: number;
  /** Tasks a second, median. */
  readonly rate: number;
  /** Half of largest minus smallest, as a share of the median. */
  readonly spread: number;
  readonly rates: readonly number[];
  readonly toCeiling?: number;
  readonly toBestPeer?: number;
  readonly clientCpuPer10k?: number;
  readonly serverCpuPer10k?: number;
  readonly foreignLoad?: number;
  readonly peakRssMb?: number;
  readonly firstHandlerMs?: number;
  /** `started`: the share of the tasks that started in time. `early`: how many ran before they were due. */
  readonly latency?: Percentiles & { readonly started: number; readonly early: number };
  /** Of single claims. */
  readonly claim?: Percentiles;
  readonly bytesPerTask?: number;
}

export interface Report {
  readonly backend: Family['name'];
  readonly machine: Machine;
  readonly run: {
    readonly runs: number;
    /** Less than `runs` when the run was interrupted. */
    readonly rounds: number;
    readonly tasks: number;
    readonly unbatchedShare: number;
    readonly seconds: number;
    readonly latencySeconds: number;
  };
  readonly notes: readonly string[];
  readonly ceilings: Family['ceilings'];
  readonly workloads: readonly { readonly name: string; readonly title: string }[];
  readonly subjects: readonly Pick<Subject, 'name' | 'kind' | 'batched' | 'settings' | 'guarantees'>[];
  readonly cells: readonly Cell[];
  readonly failures: readonly Failure[];
  readonly verdicts: readonly Verdict[];
}

/** What brokers' clocks can tell apart: a task that starts less than this before its time is not early. */
const clockStepMs = 1;

export async function buildReport(
  { series, failures, rounds }: Results,
  family: Family,
  options: Options,
  machine: Machine,
): Promise<Report> {
  const named = new Set([...series, ...failures].map(({ subject }) => subject));
  const present = Object.keys(family.subjects).filter((name) => named.has(name));
  const subjects = await Promise.all(present.map((name) => loadSubject(family, name)));
  // A subject that fails in one round has no figure from another.
  const bare = series.filter((one) => !failures.some((failure) => isSame(one, failure))).map(summarize);
  const peers = new Set(subjects.filter(({ kind }) => kind === 'peer').map(({ name }) => name));
  const cells = bare.map((cell) => ({ ...cell, ...ratios(cell, bare, peers, family.ceilings) }));
  const { runs, tasks, seconds, latencySeconds } = options;
  return {
    backend: family.name,
    machine,
    run: { runs, rounds, tasks, unbatchedShare: family.unbatchedShare, seconds, latencySeconds },
    notes: family.notes,
    ceilings: family.ceilings,
    workloads: options.workloads.map(({ name, title }) => ({ name, title })),
    subjects: subjects.map(({ name, kind, batched, settings, guarantees }) => ({
      name,
      kind,
      batched,
      settings,
      guarantees,
    })),
    cells,
    failures,
    verdicts: judge(cells, peers, family.targets, failures),
  };
}

const isSame = (one: Series, failure: Failure): boolean =>
  one.workload === failure.workload && one.subject === failure.subject;

function summarize({ workload, subject, runs }: Series): Cell {
  const rates = runs.map(({ tasks, seconds }) => tasks / seconds);
  const per10k = (name: 'clientCpu' | 'serverCpu'): number | undefined =>
    middleOf(runs, (run) => (run[name] === undefined ? undefined : (run[name] / run.tasks) * 10_000));
  return dropUndefined({
    workload,
    subject,
    runs: runs.length,
    rate: median(rates),
    spread: spread(rates),
    rates,
    clientCpuPer10k: per10k('clientCpu'),
    serverCpuPer10k: per10k('serverCpu'),
    foreignLoad: middleOf(runs, (run) => run.foreignLoad),
    peakRssMb: middleOf(runs, (run) => run.peakRssMb),
    firstHandlerMs: middleOf(runs, (run) => run.firstHandlerMs),
    latency: latencyOf(runs),
    claim: percentilesOf(runs.flatMap((run) => (run.claims === undefined ? [] : [run.claims]))),
    bytesPerTask: middleOf(runs, (run) => run.bytesPerTask),
  });
}

/** The median of what every run has; undefined when one has not. */
function middleOf(runs: readonly Measurement[], read: (run: Measurement) => number | undefined): number | undefined {
  const values = runs.flatMap((run) => read(run) ?? []);
  return values.length === runs.length ? median(values) : undefined;
}

function latencyOf(runs: readonly Measurement[]): Cell['latency'] {
  const measured = runs.flatMap(({ latencies, sent = 0 }) => (latencies === undefined ? [] : [{ latencies, sent }]));
  const percentiles = percentilesOf(measured.map(({ latencies }) => latencies));
  return (
    percentiles && {
      ...percentiles,
      started: median(measured.map(({ latencies, sent }) => latencies.length / sent)),
      early: measured.flatMap(({ latencies }) => latencies.filter((latency) => latency < -clockStepMs)).length,
    }
  );
}

/** Percentiles of each run, then the median over the runs. */
function percentilesOf(samples: readonly (readonly number[])[]): Percentiles | undefined {
  if (samples.length === 0) return undefined;
  const over = (share: number): number => median(samples.map((sample) => percentile(sample, share)));
  return { p50: over(0.5), p99: over(0.99), max: over(1) };
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function dropUndefined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}

function ratios(
  cell: Cell,
  all: readonly Cell[],
  peers: ReadonlySet<string>,
  ceilings: Family['ceilings'],
): Pick<Cell, 'toCeiling' | 'toBestPeer'> {
  const others = all.filter(({ workload }) => workload === cell.workload);
  const ceiling = others.find(({ subject }) => subject === (ceilings[cell.workload] ?? ceilings.usual));
  const best = Math.max(...others.filter(({ subject }) => peers.has(subject)).map(({ rate }) => rate));
  return {
    ...(ceiling && { toCeiling: cell.rate / ceiling.rate }),
    ...(Number.isFinite(best) && { toBestPeer: cell.rate / best }),
  };
}
