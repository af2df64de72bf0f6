import type { Capabilities } from '@millrace/core';
import type { ConformanceReport, Tally } from './report.ts';

interface Row {
  readonly title: string;
  readonly cell: (capabilities: Capabilities) => string;
}

const mark = (claimed: boolean): string => (claimed ? 'yes' : 'no');
const list = (claimed: readonly string[]): string => (claimed.length === 0 ? 'no' : claimed.join(', '));

/** What a reader chooses a broker by, in that order. */
const rows: readonly Row[] = [
  { title: 'Profile', cell: (c) => c.profile },
  {
    title: 'An accepted task survives',
    cell: (c) => ({ none: 'nothing', node: 'a restart', replicated: 'loss of a node' })[c.durability],
  },
  { title: '`applied` rests on', cell: (c) => c.settle.confirmedBy },
  { title: 'Enqueue in your transaction', cell: (c) => mark(c.transactions) },
  { title: 'Order of equal priority', cell: (c) => c.order },
  { title: 'Priorities', cell: (c) => `${c.priority.levels}${c.priority.strict ? ', strict' : ''}` },
  { title: 'Longest delay', cell: (c) => span(c.delay.maxMs) },
  { title: 'Delay granularity', cell: (c) => span(c.delay.granularityMs) },
  { title: 'Same id twice is one task', cell: (c) => mark(c.idempotentIds) },
  { title: 'Unique keys until', cell: (c) => (c.unique === false ? 'no' : list(c.unique.until)) },
  { title: 'Look up, list, count', cell: (c) => mark(c.tasks.get && c.tasks.list && c.tasks.count) },
  { title: 'Cancel a task that is', cell: (c) => list(c.tasks.cancel) },
  { title: 'Pause a task that is', cell: (c) => list(c.tasks.pause) },
  {
    title: 'Rerun, reschedule, update, remove',
    cell: (c) => mark(c.tasks.rerun && c.tasks.reschedule && c.tasks.update && c.tasks.remove),
  },
  { title: 'Wait for a result', cell: (c) => mark(c.tasks.wait) },
  {
    title: 'Progress, checkpoint, log',
    cell: (c) => mark(c.reports.progress && c.reports.checkpoint && c.reports.log),
  },
  { title: 'Pause a queue', cell: (c) => c.queues.pause || 'no' },
  { title: 'Queue counts', cell: (c) => c.queues.counts },
  { title: 'Schedules', cell: (c) => mark(c.schedules) },
  { title: 'Group limits', cell: (c) => mark(c.groups) },
  {
    title: 'An idle worker learns of work by',
    cell: (c) => (c.wakeup.push ? 'push' : `polling, ${span(c.wakeup.pollMs)}`),
  },
  {
    title: 'A dead worker is noticed after',
    cell: (c) => `its ttl (from ${span(c.session.minTtlMs)}) + ${span(c.session.sweepMs)}`,
  },
  { title: 'Largest payload', cell: (c) => bytes(c.payload.maxBytes) },
];

/** Names of the groups of scenarios. */
const groupTitles: Readonly<Record<string, string>> = {
  MOD: 'model and contract',
  STM: 'state machine',
  ORD: 'order',
  DLY: 'delay',
  RTY: 'retry',
  LSE: 'lease and fencing',
  DUP: 'ids and unique keys',
  CAN: 'cancel',
  PAU: 'pause and resume',
  PRI: 'priorities',
  CON: 'concurrency and wake-up',
  CBI: 'claims by id',
  SCH: 'schedules',
  PAY: 'payload',
  BAD: 'bad input',
  SHD: 'shutdown',
  FLT: 'faults',
  OBS: 'observation',
};

/**
 * A Markdown table of what brokers claim and what was proved: one column per report, rows for capabilities and for
 * groups of scenarios (passed / run).
 */
export function capabilityMatrix(reports: readonly ConformanceReport[]): string {
  const groups = [...new Set(reports.flatMap((report) => Object.keys(report.groups)))];
  const lines = [
    tableRow(
      '',
      reports.map((report) => report.subject.name),
    ),
    tableRow(
      '---',
      reports.map(() => '---'),
    ),
    ...rows.map(({ title, cell }) =>
      tableRow(
        title,
        reports.map((report) => cell(report.capabilities)),
      ),
    ),
    ...groups.map((group) =>
      tableRow(
        `Scenarios: ${groupTitles[group] ?? group}`,
        reports.map((report) => passed(report.groups[group])),
      ),
    ),
    tableRow(
      'Recorded histories leave standing',
      reports.map((report) => report.guarantee?.strongest ?? '–'),
    ),
    tableRow(
      '**Scenarios passed**',
      reports.map((report) => `**${passed(total(Object.values(report.groups)))}**`),
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function tableRow(title: string, cells: readonly string[]): string {
  return `| ${[title, ...cells].join(' | ')} |`;
}

/** Passed of those the broker was asked to pass: what it does not claim is not held against it. */
function passed(counts: Tally | undefined): string {
  if (counts === undefined) return '–';
  const asked = counts.pass + counts.fail + counts.waived + counts.error;
  return asked === 0 ? '–' : `${counts.pass}/${asked}`;
}

function total(tallies: readonly Tally[]): Tally {
  const sum = (key: keyof Tally): number => tallies.reduce((value, tally) => value + tally[key], 0);
  return {
    pass: sum('pass'),
    fail: sum('fail'),
    unsupported: sum('unsupported'),
    notRun: sum('notRun'),
    waived: sum('waived'),
    error: sum('error'),
  };
}

const spans: readonly (readonly [number, string])[] = [
  [31_557_600_000, 'years'],
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

function span(ms: number): string {
  const [size, unit] = spans.find(([size]) => ms >= size) ?? [1, 'ms'];
  return `${Math.floor((ms / size) * 10) / 10} ${unit}`;
}

function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'] as const;
  const power = Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${Math.floor((count / 1_024 ** power) * 10) / 10} ${units[power]}`;
}
