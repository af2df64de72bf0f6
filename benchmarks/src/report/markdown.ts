import type { Cell, Report } from './build.ts';

type Show = (cell: Cell) => string;

const enqueues = ['sequential', 'concurrent', 'bulk'];
const backlogs = ['backlog-1', 'backlog-10', 'backlog-100'];

/** The report as people read it. */
export function toMarkdown(report: Report): string {
  const starting = (start: string): readonly string[] =>
    report.workloads.map(({ name }) => name).filter((name) => name.startsWith(start));
  return [
    `# Benchmarks on ${report.machine.server.name}`,
    conditions(report),
    ...section(report, 'Enqueue, tasks a second', enqueues, rate),
    ...section(report, 'Work off a backlog, tasks a second', backlogs, rate),
    ...section(report, 'Enqueue to start of the handler, default settings, milliseconds', ['latency'], latency),
    ...section(report, 'Bytes a waiting task takes in the store', ['memory'], bytes),
    ...section(report, 'One claim of 5 tasks, milliseconds', starting('claim'), claim),
    ...section(report, 'Delayed tasks: how late they start, milliseconds', ['delays'], lateness),
    ...section(report, 'A deep queue, tasks a second', starting('growth'), rate),
    ...section(report, 'Processor seconds for 10,000 tasks: client / server', [...enqueues, ...backlogs], cost),
    ...section(report, 'Peak memory of the client process, MB; first handler after, milliseconds', backlogs, memory),
    ...failures(report),
    ...verdicts(report),
    ...guarantees(report),
    ...settings(report),
  ].join('\n\n');
}

function conditions(report: Report): string {
  const { machine, run, ceilings, notes } = report;
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const server = Object.entries(machine.server.settings).map(([name, value]) => `${name} ${value}`);
  const exceptions = Object.entries(ceilings).filter(([name]) => name !== 'usual');
  const ceiling = [
    ...exceptions.filter(([name]) => name === 'sequential').map(([name, subject]) => `${name}: \`${subject}\``),
    `${exceptions.length > 0 ? 'else ' : ''}\`${ceilings.usual}\``,
  ];
  const share = Math.round(run.unbatchedShare * 100);
  const most = Math.max(...report.cells.filter(({ workload }) => workload === 'sequential').map(({ runs }) => runs));
  const more = most > run.runs ? ` (${most} runs of what is enqueued one after the other)` : '';
  return [
    ...(run.rounds < run.runs ? [`**Partial: ${run.rounds} of ${run.runs} rounds are complete.**`] : []),
    `Made by \`pnpm bench -- --backend ${report.backend}\`: ${machine.processors} processors (${machine.processor}), ${machine.memoryGib} GiB, ${machine.platform}.`,
    `${machine.server.name} ${machine.server.version} on the same machine (${server.join(', ')}).`,
    `Node ${machine.node} for every subject, ours included. ${versions.join(', ')}.`,
    `Median of ${run.runs} interleaved rounds${more}, each run in a process and a store of its own; ± is half the range.`,
    `Payload: 187 bytes of JSON; the handler does nothing. Enqueueing for ${run.seconds} s. Backlog: ${run.tasks.toLocaleString('en')} tasks,`,
    `${share} % of it for subjects that do not batch; from the creation of the worker to the moment the store shows all tasks`,
    `finished, start-up included. In brackets: share of the ceiling (${ceiling.join('; ')}) and`,
    'multiple of the best peer. Absolute figures belong to this machine: compare ratios.',
    ...notes,
  ].join('\n');
}

function section(report: Report, title: string, names: readonly string[], show: Show): readonly string[] {
  const columns = report.workloads.filter(({ name }) => names.includes(name));
  const rows = report.subjects.flatMap(({ name, kind }) => {
    const cells = columns.map((column) => cellText(report, name, column.name, show));
    if (cells.every((cell) => cell === undefined)) return [];
    return [[kind === 'ours' ? `**${name}**` : name, ...cells.map((cell) => cell ?? '–')]];
  });
  if (rows.length === 0) return [];
  return [`## ${title}`, table(['subject', ...columns.map((column) => column.title)], rows)];
}

function cellText(report: Report, subject: string, workload: string, show: Show): string | undefined {
  const here = (one: { readonly subject: string; readonly workload: string }): boolean =>
    one.subject === subject && one.workload === workload;
  if (report.failures.some(here)) return 'failed';
  const cell = report.cells.find(here);
  return cell && show(cell);
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

const lateness: Show = ({ latency: measured }) =>
  measured === undefined
    ? '–'
    : [
        `p50 ${Math.round(measured.p50)}, p99 ${Math.round(measured.p99)}, max ${Math.round(measured.max)}`,
        `${measured.early} early, ${(100 - measured.started * 100).toFixed(2)} % missing`,
      ].join('; ');

const claim: Show = ({ claim: measured }) =>
  measured === undefined ? '–' : `p50 ${measured.p50.toFixed(2)}, p99 ${measured.p99.toFixed(2)}`;

const bytes: Show = (cell) => Math.round(cell.bytesPerTask ?? Number.NaN).toLocaleString('en');

const cost: Show = (cell) => `${cell.clientCpuPer10k?.toFixed(2) ?? '?'} / ${cell.serverCpuPer10k?.toFixed(2) ?? '?'}`;

const memory: Show = (cell) => `${Math.round(cell.peakRssMb ?? 0)}; ${Math.round(cell.firstHandlerMs ?? 0)}`;

function failures(report: Report): readonly string[] {
  if (report.failures.length === 0) return [];
  const rows = report.failures.map(({ subject, workload, reason }) => [subject, workload, inCell(reason)]);
  return ['## Failed', table(['subject', 'workload', 'reason'], rows)];
}

const inCell = (text: string): string => text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').slice(0, 200);

function verdicts(report: Report): readonly string[] {
  if (report.verdicts.length === 0) return [];
  const rows = report.verdicts.map(({ target, measured, met }) => [met ? 'PASS' : 'MISS', target, measured]);
  return ['## Targets', table(['', 'target', 'measured'], rows)];
}

function guarantees(report: Report): readonly string[] {
  const rows = report.subjects.map(({ name, guarantees: { fence, history, enqueue, settle } }) =>
    [name, fence, history, enqueue, settle].map(inCell),
  );
  return [
    '## What each promises',
    table(['subject', 'a worker that lost its task', 'finished tasks', 'enqueued when', 'done when'], rows),
  ];
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
