import { scenarios as allScenarios } from '../scenarios/index.ts';
import { escapeMarkup } from './escape-markup.ts';
import type { ConformanceReport, ReportedScenario } from './report.ts';

/** A report as JUnit XML, for CI. A suite per group; what was not run is skipped with its reason. */
export function renderJunit(report: ConformanceReport): string {
  const suites = Object.entries(report.groups).map(([group, { fail, error, unsupported, notRun, waived }]) => {
    const cases = report.scenarios.filter(({ id }) => id.startsWith(`${group}-`));
    const counts = `tests="${cases.length}" failures="${fail}" errors="${error}" skipped="${unsupported + notRun + waived}"`;
    const name = escapeMarkup(`${report.subject.name}.${group}`);
    return `  <testsuite name="${name}" ${counts}>\n${cases.map((each) => testCase(each, name)).join('\n')}\n  </testsuite>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="${escapeMarkup(report.subject.name)}">\n${suites.join('\n')}\n</testsuites>\n`;
}

function testCase({ id, status, reason = '', ms = 0 }: ReportedScenario, suite: string): string {
  const title = allScenarios.find((scenario) => scenario.id === id)?.title ?? '';
  const open = `    <testcase classname="${suite}" name="${escapeMarkup(`${id} ${title}`)}" time="${(ms / 1_000).toFixed(3)}"`;
  if (status === 'pass') return `${open}/>`;
  const message = escapeMarkup(reason.split('\n')[0] ?? '');
  const tag = status === 'fail' ? 'failure' : status === 'error' ? 'error' : 'skipped';
  const body = tag === 'skipped' ? '/>' : `>${escapeMarkup(reason)}</${tag}>`;
  return `${open}>\n      <${tag} message="${message}"${body}\n    </testcase>`;
}
