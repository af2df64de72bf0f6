import { rules } from '../spec/rules.ts';
import type { ConformanceReport, ReportedScenario, Tally } from './report.ts';

/** A report as Markdown: what was proved, what was left out and why, and how to repeat it. */
export function renderMarkdown(report: ConformanceReport): string {
  const { subject, backend, suite, environment, profiles, guarantee, measured, scenarios } = report;
  const about = [
    `contract ${suite.spec}`,
    ...(backend ? [`${backend.name} ${backend.version}`] : []),
    ...(environment ? [`Node ${environment.node}, ${environment.platform}`] : []),
    ...(suite.unitMs === undefined ? [] : [`unit ${suite.unitMs} ms`]),
  ];
  return [
    `# Conformance of ${subject.name}`,
    about.join(' · '),
    table(
      ['profile', 'result', ...tallyNames],
      Object.entries(profiles).map(([tier, profile]) => [tier, profile.result, ...tallyCells(profile)]),
    ),
    table(
      ['group', ...tallyNames],
      Object.entries(report.groups).map(([group, tally]) => [group, ...tallyCells(tally)]),
    ),
    ...section('Guarantee', guarantee && guaranteeLines(guarantee)),
    ...section(
      'Measured',
      measured &&
        Object.keys(measured).length > 0 &&
        table(
          ['', 'p50', 'p99', 'max', 'samples'],
          Object.entries(measured).map(([what, { p50, p99, max, count }]) => [what, p50, p99, max, count]),
        ),
    ),
    ...['fail', 'error', 'waived'].flatMap((status) => section(titles[status] ?? status, details(scenarios, status))),
    ...['unsupported', 'not-run'].flatMap((status) => section(titles[status] ?? status, reasons(scenarios, status))),
    ...section('Not observable', notObservable(scenarios)),
    ...section('Unverified: rules that no scenario checks yet', unverified(report.unverified)),
    ...section('Reproduce', report.reproduce && `\`\`\`sh\n${report.reproduce}\n\`\`\``),
  ]
    .join('\n\n')
    .concat('\n');
}

const titles: Readonly<Record<string, string>> = {
  fail: 'Failed',
  error: 'Errors',
  waived: 'Waived',
  unsupported: 'Unsupported: not claimed, and refused',
  'not-run': 'Not run: the harness lacks something',
};

const tallyNames = ['pass', 'fail', 'unsupported', 'not run', 'waived', 'error'];

function tallyCells({ pass, fail, unsupported, notRun, waived, error }: Tally): number[] {
  return [pass, fail, unsupported, notRun, waived, error];
}

function section(title: string, body: string | false | undefined): string[] {
  return body === undefined || body === false || body === '' ? [] : [`## ${title}`, body];
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const row = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
}

function guaranteeLines({
  strongest,
  refuted,
  histories,
  events,
}: NonNullable<ConformanceReport['guarantee']>): string {
  const seen = histories === undefined ? '' : ` by ${histories} recorded histories of ${events} events`;
  return [
    `Strongest not refuted${seen}: **${strongest}**.`,
    ...refuted.map(
      ({ guarantee, by, witness }) =>
        `Refuted: ${guarantee}, by ${by.join(' ')}.${witness === undefined ? '' : `\n\n\`\`\`\n${witness}\n\`\`\``}`,
    ),
  ].join('\n\n');
}

function details(scenarios: readonly ReportedScenario[], status: string): string {
  return scenarios
    .filter((scenario) => scenario.status === status)
    .map(({ id, rule, reason = '' }) => `### ${id} (${rule})\n\n\`\`\`\n${reason}\n\`\`\``)
    .join('\n\n');
}

function reasons(scenarios: readonly ReportedScenario[], status: string): string {
  const byReason = new Map<string, string[]>();
  for (const { id, reason = 'no reason', status: found } of scenarios) {
    if (found === status) byReason.set(reason, [...(byReason.get(reason) ?? []), id]);
  }
  return [...byReason].map(([reason, ids]) => `- ${reason}: ${ids.join(', ')}`).join('\n');
}

function notObservable(scenarios: readonly ReportedScenario[]): string {
  return scenarios
    .filter(({ cells }) => (cells?.notObservable.length ?? 0) > 0)
    .map(({ id, cells }) => `- ${id}: ${cells?.notObservable.join('; ')}`)
    .join('\n');
}

function unverified(ids: readonly string[]): string {
  return ids.map((id) => `- ${id}: ${rules.find((rule) => rule.id === id)?.text ?? ''}`).join('\n');
}
