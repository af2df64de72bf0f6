import type { Failure } from '../rounds.ts';
import { median } from '../statistics.ts';
import type { Cell } from './build.ts';

/** Whether a promise about speed was kept. */
export interface Verdict {
  readonly target: string;
  readonly measured: string;
  readonly met: boolean;
}

/** A promise about speed. `than` is the name of a subject, or `best peer`. */
export type Target =
  /** At least so many times the tasks a second. */
  | { readonly kind: 'rate'; readonly workload: string; readonly than: string; readonly atLeast: number }
  /** p50 and p99 of the latency workload no higher. */
  | { readonly kind: 'latency'; readonly than: string }
  /** A claim from the deepest queue takes at most so many times one from the shallowest, at the median. */
  | { readonly kind: 'claim'; readonly atMost: number }
  /** Delayed tasks: none early, none missing, p99 no later. */
  | { readonly kind: 'delays'; readonly latenessMs: number };

const ours = 'millrace';

/** Those of the targets for which this run measured both sides; and a miss for every workload that ours failed. */
export function judge(
  cells: readonly Cell[],
  peers: ReadonlySet<string>,
  targets: readonly Target[],
  failures: readonly Failure[],
): readonly Verdict[] {
  const failed = failures.filter(({ subject }) => subject === ours);
  return [
    ...failed.map(({ workload }) => ({ target: `${workload}: gets through`, measured: 'failed', met: false })),
    ...targets.flatMap((target) => judgeOne(cells, peers, target)),
  ];
}

function judgeOne(cells: readonly Cell[], peers: ReadonlySet<string>, target: Target): readonly Verdict[] {
  switch (target.kind) {
    case 'rate':
      return judgeRate(cells, peers, target);
    case 'latency':
      return judgeLatency(cells, target.than);
    case 'claim':
      return judgeClaim(cells, target.atMost);
    case 'delays':
      return judgeDelays(cells, target.latenessMs);
  }
}

function judgeRate(
  cells: readonly Cell[],
  peers: ReadonlySet<string>,
  { workload, than, atLeast }: Extract<Target, { kind: 'rate' }>,
): readonly Verdict[] {
  const at = cells.filter((cell) => cell.workload === workload);
  const own = at.find(({ subject }) => subject === ours);
  const others = at.filter(({ subject }) => (than === 'best peer' ? peers.has(subject) : subject === than));
  const [best] = others.sort((a, b) => b.rate - a.rate);
  if (own === undefined || best === undefined) return [];
  const ratio = own.rate / best.rate;
  const name = than === 'best peer' ? `the best peer (${best.subject})` : than;
  return [
    {
      target: `${workload}: at least ${atLeast} × ${name}`,
      measured: `${ratio.toFixed(2)} ×${inRounds(own, best)}${than.startsWith('raw:') ? processorTimes(own, best) : ''}`,
      met: ratio >= atLeast,
    },
  ];
}

/** The same of runs of one round, which a change of the machine's speed hits alike. It is shown, not judged. */
function inRounds(own: Cell, other: Cell): string {
  if (own.rates.length < 2 || own.rates.length !== other.rates.length) return '';
  const ratios = own.rates.map((rate, round) => rate / (other.rates[round] as number));
  const [low, middle, high] = [Math.min(...ratios), median(ratios), Math.max(...ratios)].map((ratio) =>
    ratio.toFixed(2),
  );
  return ` (within rounds ${low} to ${high}, median ${middle})`;
}

/** What both sides take for a task, of which the larger bounds the rate; without it nobody knows what a ceiling is made of. */
function processorTimes(own: Cell, other: Cell): string {
  const texts = [own, other].map(({ clientCpuPer10k: client, serverCpuPer10k: server }) =>
    client === undefined || server === undefined
      ? undefined
      : [client, server].map((s) => (s * 100).toFixed(1)).join(' / '),
  );
  return texts.includes(undefined) ? '' : `; client / server ${texts[0]} µs a task, against ${texts[1]}`;
}

function judgeLatency(cells: readonly Cell[], than: string): readonly Verdict[] {
  const at = (name: string): Cell['latency'] =>
    cells.find(({ workload, subject }) => workload === 'latency' && subject === name)?.latency;
  const [own, other] = [at(ours), at(than)];
  if (own === undefined || other === undefined) return [];
  return (['p50', 'p99'] as const).map((name) => ({
    target: `latency: ${name} no higher than of ${than}`,
    measured: `${own[name].toFixed(2)} ms against ${other[name].toFixed(2)} ms`,
    met: own.started >= 0.99 && own[name] <= other[name],
  }));
}

function judgeClaim(cells: readonly Cell[], atMost: number): readonly Verdict[] {
  const claims = cells
    .flatMap(({ workload, claim }) => (claim === undefined ? [] : [{ depth: Number(workload.split('-')[1]), claim }]))
    .sort((a, b) => a.depth - b.depth);
  const [shallow, deep] = [claims[0], claims.at(-1)];
  if (shallow === undefined || deep === undefined || shallow === deep) return [];
  const ratio = deep.claim.p50 / shallow.claim.p50;
  const [low, high] = [shallow, deep].map(({ depth }) => depth.toLocaleString('en'));
  return [
    {
      target: `claim with ${high} waiting: at most ${atMost} × that with ${low}`,
      measured: `${ratio.toFixed(2)} ×`,
      met: ratio <= atMost,
    },
  ];
}

function judgeDelays(cells: readonly Cell[], latenessMs: number): readonly Verdict[] {
  const delays = cells.find(({ workload, subject }) => workload === 'delays' && subject === ours)?.latency;
  if (delays === undefined) return [];
  return [
    { target: 'delays: no task early', measured: `${delays.early}`, met: delays.early === 0 },
    { target: 'delays: every task ran', measured: `${(delays.started * 100).toFixed(2)} %`, met: delays.started === 1 },
    {
      target: `delays: p99 at most ${latenessMs} ms late`,
      measured: `${Math.round(delays.p99)} ms`,
      met: delays.p99 <= latenessMs,
    },
  ];
}
