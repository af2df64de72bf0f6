import type { Cell } from './build.ts';

/** Whether a promise about speed was kept. */
export interface Verdict {
  readonly target: string;
  readonly measured: string;
  readonly met: boolean;
}

interface Target {
  readonly workload: string;
  /** `best peer`, or the name of a subject. */
  readonly than: string;
  readonly atLeast: number;
}

const targets: readonly Target[] = [
  { workload: 'concurrent', than: 'best peer', atLeast: 10 },
  { workload: 'bulk', than: 'best peer', atLeast: 1.3 },
  { workload: 'backlog-1', than: 'graphile-worker', atLeast: 1 },
  { workload: 'backlog-10', than: 'graphile-worker', atLeast: 1 },
  { workload: 'backlog-100', than: 'graphile-worker', atLeast: 1 },
  { workload: 'backlog-100', than: 'raw:batch-arch', atLeast: 0.6 },
  { workload: 'sequential', than: 'raw:single', atLeast: 0.85 },
];

/** Those of the targets for which this run measured both sides. */
export function judge(cells: readonly Cell[], peers: ReadonlySet<string>): readonly Verdict[] {
  return targets.flatMap(({ workload, than, atLeast }) => {
    const at = cells.filter((cell) => cell.workload === workload);
    const ours = at.find(({ subject }) => subject === 'millrace');
    const others = at.filter(({ subject }) => (than === 'best peer' ? peers.has(subject) : subject === than));
    const [best] = others.sort((a, b) => b.rate - a.rate);
    if (ours === undefined || best === undefined) return [];
    const ratio = ours.rate / best.rate;
    const name = than === 'best peer' ? `the best peer (${best.subject})` : than;
    return [
      {
        target: `${workload}: at least ${atLeast} × ${name}`,
        measured: `${ratio.toFixed(2)} ×`,
        met: ratio >= atLeast,
      },
    ];
  });
}
