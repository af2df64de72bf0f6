// The comparison in README, from the last committed benchmark run.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../workspace.mjs';

const workloads = ['concurrent', 'bulk', 'backlog-1', 'backlog-10', 'backlog-100'];

export function produce() {
  const file = path.join(root, 'benchmarks/report.json');
  if (!existsSync(file)) return 'No run yet: `pnpm bench`.';
  const report = JSON.parse(readFileSync(file, 'utf8'));
  const columns = report.workloads.filter(({ name }) => workloads.includes(name));
  const shown = report.subjects.filter(({ kind, name }) => kind !== 'ceiling' || name === 'raw:batch-arch');
  const cell = (subject, workload) => report.cells.find((c) => c.subject === subject && c.workload === workload);
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rate = (value) => (value >= 10_000 ? `${(value / 1000).toFixed(1)}k` : Math.round(value).toLocaleString('en'));
  return [
    'Tasks a second on one machine with two processors, all in one run, medians; compare ratios. Ours keeps history and',
    'refuses stale workers. Method, settings and latencies: [benchmarks/report.md](benchmarks/report.md).',
    '',
    line(['PostgreSQL', ...columns.map(({ title }) => title)]),
    line(['---', ...columns.map(() => '---')]),
    ...shown.map(({ name, kind }) =>
      line([
        kind === 'ours' ? `**${name}**` : kind === 'ceiling' ? `hand-written loop (\`${name}\`)` : name,
        ...columns.map((column) => {
          const measured = cell(name, column.name);
          return measured === undefined ? '–' : rate(measured.rate);
        }),
      ]),
    ),
  ].join('\n');
}
