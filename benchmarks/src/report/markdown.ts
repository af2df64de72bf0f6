import type { Cell, Report } from './build.ts';

type Show = (cell: Cell) => string;

/** The report as people read it. */
export function toMarkdown(report: Report): string {
  return [
    '# Benchmarks',
    conditions(report),
    ...section(report, 'Enqueue, tasks a second', ['sequential', 'concurrent', 'bulk'], rate),
    ...section(report, 'Work off a backlog, tasks a second', backlogs, rate),
    ...section(report, 'Enqueue to start of the handler, default settings, milliseconds', ['latency'], latency),
    ...section(report, 'A deep queue, tasks a second', ['growth-1000', 'growth-1000000'], rate),
    ...section(report, 'Processor seconds for 10,000 tasks: client / server', [...enqueues, ...backlogs], cost),
    ...section(report, 'Peak memory of the client process, MB; first handler after, milliseconds', backlogs, memory),
    ...verdicts(report),
    ...settings(report),
  ].join('\n\n');
}

const enqueues = ['sequential', 'concurrent', 'bulk'];
const backlogs = ['backlog-1', 'backlog-10', 'backlog-100'];

function conditions({ machine, run }: Report): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const server = Object.entries(machine.settings).map(([name, value]) => `${name} ${value}`);
  return [
    `Made by \`pnpm bench\`: ${machine.processors} processors (${machine.processor}), ${machine.memoryGib} GiB, ${machine.platform}.`,
    `PostgreSQL ${machine.postgres} on the same machine (${server.join(', ')}).`,
    `Node ${machine.node} for every subject, ours included. ${versions.join(', ')}.`,
    `Median of ${run.runs} interleaved rounds, each run in a process and a database of its own; ± is half the range.`,
    `Payload: 187 bytes of JSON; the handler does nothing. Enqueueing for ${run.seconds} s. Backlog: ${run.tasks.toLocaleString('en')} tasks,`,
    'a tenth for subjects that do not batch; from the creation of the worker to the moment the store shows all tasks',
    'finished, start-up included. In brackets: share of the ceiling (sequential: `raw:single`; else `raw:batch-arch`) and',
    'multiple of the best peer. Absolute figures belong to this machine: compare ratios.',
  ].join('\n');
}

function section(report: Report, title: string, names: readonly string[], show: Show): readonly string[] {
  const columns = report.workloads.filter(({ name }) => names.includes(name));
  const cellOf = (subject: string, workload: string): Cell | undefined =>
    report.cells.find((cell) => cell.subject === subject && cell.workload === workload);
  const rows = report.subjects
    .filter(({ name }) => columns.some((column) => cellOf(name, column.name) !== undefined))
    .map(({ name, kind }) => [
      kind === 'ours' ? `**${name}**` : name,
      ...columns.map((column) => {
        const cell = cellOf(name, column.name);
        return cell === undefined ? '–' : show(cell);
      }),
    ]);
  if (rows.length === 0) return [];
  return [`## ${title}`, table(['subject', ...columns.map((column) => column.title)], rows)];
}

const rate: Show = (cell) => {
  const shares = [
    cell.toCeiling === undefined ? undefined : `${Math.round(cell.toCeiling * 100)} %`,
    cell.toBestPeer === undefined ? undefined : `${cell.toBestPeer.toFixed(cell.toBestPeer < 10 ? 2 : 0)} ×`,
  ].filter((share) => share !== undefined);
  return `${thousands(cell.rate)} ±${Math.round(cell.spread * 100)} %${shares.length > 0 ? ` (${shares.join(', ')})` : ''}`;
};

const latency: Show = ({ latency: measured }) => {
  if (measured === undefined) return '–';
  if (measured.started < 0.99) return `did not keep up: ${Math.round(measured.started * 100)} % started in time`;
  return `p50 ${measured.p50.toFixed(1)}, p99 ${measured.p99.toFixed(1)}, max ${measured.max.toFixed(1)}`;
};

const cost: Show = (cell) => `${cell.clientCpuPer10k.toFixed(2)} / ${cell.serverCpuPer10k?.toFixed(2) ?? '?'}`;

const memory: Show = (cell) => `${Math.round(cell.peakRssMb)}; ${Math.round(cell.firstHandlerMs ?? 0)}`;

function verdicts(report: Report): readonly string[] {
  if (report.verdicts.length === 0) return [];
  const rows = report.verdicts.map(({ target, measured, met }) => [met ? 'PASS' : 'MISS', target, measured]);
  return ['## Targets', table(['', 'target', 'measured'], rows)];
}

function settings(report: Report): readonly string[] {
  const rows = report.subjects.map((subject) => [subject.name, subject.settings.fast, subject.settings.default]);
  return ['## Settings', table(['subject', 'throughput', 'latency'], rows)];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function thousands(value: number): string {
  if (value >= 100_000) return `${Math.round(value / 1000)}k`;
  return value >= 10_000 ? `${(value / 1000).toFixed(1)}k` : Math.round(value).toLocaleString('en');
}
