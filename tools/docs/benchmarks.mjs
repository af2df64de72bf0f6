// The comparison in README, from the last committed run on each kind of server.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../workspace.mjs';

const backends = ['postgres', 'redis', 'amqp'];
const workloads = ['concurrent', 'bulk', 'backlog-1', 'backlog-10', 'backlog-100'];

export function produce(folder = path.join(root, 'benchmarks')) {
  const reports = backends
    .map((name) => path.join(folder, `report-${name}.json`))
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')));
  if (reports.length === 0) return 'No run yet: `pnpm bench`.';
  const links = reports.map(({ backend, machine }) => `[${machine.server.name}](benchmarks/report-${backend}.md)`);
  return [
    'Tasks a second on one machine, all subjects of a table in one run, medians; compare ratios. Method, settings, what each',
    `promises, and latencies: ${links.join(', ')}.`,
    ...reports.flatMap((report) => ['', ...tableOf(report)]),
  ].join('\n');
}

/** Ours, the peers, and one line for hand-written code. */
function tableOf(report) {
  const columns = report.workloads.filter(({ name }) => workloads.includes(name));
  const shown = report.subjects.filter(({ kind, name }) => kind !== 'ceiling' || name === report.ceilings.usual);
  const here = (subject, column) => (one) => one.subject === subject && one.workload === column.name;
  const value = (subject, column) => {
    if (report.failures.some(here(subject, column))) return 'failed';
    const cell = report.cells.find(here(subject, column));
    return cell === undefined ? '–' : rate(cell.rate);
  };
  const rows = shown
    .filter(({ name }) => columns.some((column) => value(name, column) !== '–'))
    .map(({ name, kind }) => [label(name, kind), ...columns.map((column) => value(name, column))]);
  const head = [`${report.machine.server.name} ${report.machine.server.version}`, ...columns.map(({ title }) => title)];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

function label(name, kind) {
  if (kind === 'ours') return `**${name}**`;
  return kind === 'ceiling' ? `hand-written loop (\`${name}\`)` : name;
}

const rate = (value) => (value >= 10_000 ? `${(value / 1000).toFixed(1)}k` : Math.round(value).toLocaleString('en'));
