import type { Machine } from '../machine.ts';
import type { Options } from '../options.ts';
import type { Series } from '../rounds.ts';
import { median, percentile, spread } from '../statistics.ts';
import type { Subject } from '../subject.ts';
import { loadSubject } from '../subjects/index.ts';
import { judge, type Verdict } from './targets.ts';

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
  readonly clientCpuPer10k: number;
  readonly serverCpuPer10k?: number;
  readonly foreignLoad?: number;
  readonly peakRssMb: number;
  readonly firstHandlerMs?: number;
  readonly latency?: { readonly p50: number; readonly p99: number; readonly max: number; readonly started: number };
}

export interface Report {
  readonly machine: Machine;
  readonly run: {
    readonly runs: number;
    readonly tasks: number;
    readonly seconds: number;
    readonly latencySeconds: number;
  };
  readonly workloads: readonly { readonly name: string; readonly title: string }[];
  readonly subjects: readonly Pick<Subject, 'name' | 'kind' | 'batched' | 'settings'>[];
  readonly cells: readonly Cell[];
  readonly verdicts: readonly Verdict[];
}

/** The hand-written code each workload is compared with. */
const ceilings: Readonly<Record<string, string>> = { sequential: 'raw:single', latency: 'raw:single' };
const usualCeiling = 'raw:batch-arch';

export async function buildReport(series: readonly Series[], options: Options, machine: Machine): Promise<Report> {
  const subjects = await Promise.all([...new Set(series.map(({ subject }) => subject))].map(loadSubject));
  const bare = series.map(summarize);
  const peers = new Set(subjects.filter(({ kind }) => kind === 'peer').map(({ name }) => name));
  const cells = bare.map((cell) => ({ ...cell, ...ratios(cell, bare, peers) }));
  const { runs, tasks, seconds, latencySeconds } = options;
  return {
    machine,
    run: { runs, tasks, seconds, latencySeconds },
    workloads: options.workloads.map(({ name, title }) => ({ name, title })),
    subjects: subjects.map(({ name, kind, batched, settings }) => ({ name, kind, batched, settings })),
    cells,
    verdicts: judge(cells, peers),
  };
}

function summarize({ workload, subject, runs }: Series): Cell {
  const rates = runs.map(({ tasks, seconds }) => tasks / seconds);
  const per10k = (cpu: (run: (typeof runs)[number]) => number): number =>
    median(runs.map((run) => (cpu(run) / run.tasks) * 10_000));
  const first = runs.flatMap(({ firstHandlerMs }) => firstHandlerMs ?? []);
  const server = runs.every(({ serverCpu }) => serverCpu !== undefined);
  const foreign = runs.flatMap(({ foreignLoad }) => foreignLoad ?? []);
  return {
    workload,
    subject,
    runs: runs.length,
    rate: median(rates),
    spread: spread(rates),
    rates,
    clientCpuPer10k: per10k((run) => run.clientCpu),
    ...(server && { serverCpuPer10k: per10k((run) => run.serverCpu ?? 0) }),
    ...(foreign.length > 0 && { foreignLoad: median(foreign) }),
    peakRssMb: median(runs.map((run) => run.peakRssMb)),
    ...(first.length > 0 && { firstHandlerMs: median(first) }),
    ...latencyOf(runs),
  };
}

/** Percentiles of each run, then the median over the runs. */
function latencyOf(runs: Series['runs']): Pick<Cell, 'latency'> {
  const measured = runs.filter(({ latencies }) => latencies !== undefined);
  if (measured.length === 0) return {};
  const over = (share: number): number => median(measured.map(({ latencies = [] }) => percentile(latencies, share)));
  const started = median(measured.map(({ latencies = [], sent = 0 }) => latencies.length / sent));
  return { latency: { p50: over(0.5), p99: over(0.99), max: over(1), started } };
}

function ratios(cell: Cell, all: readonly Cell[], peers: ReadonlySet<string>): Partial<Cell> {
  const others = all.filter(({ workload }) => workload === cell.workload);
  const ceiling = others.find(({ subject }) => subject === (ceilings[cell.workload] ?? usualCeiling));
  const best = Math.max(...others.filter(({ subject }) => peers.has(subject)).map(({ rate }) => rate));
  return {
    ...(ceiling && { toCeiling: cell.rate / ceiling.rate }),
    ...(Number.isFinite(best) && { toBestPeer: cell.rate / best }),
  };
}
