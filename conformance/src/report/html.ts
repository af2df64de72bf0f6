import { scenarios as allScenarios } from '../scenarios/index.ts';
import { rules } from '../spec/rules.ts';
import { escapeMarkup } from './escape-markup.ts';
import type { ConformanceReport, ReportedScenario } from './report.ts';

const style = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2430; background: #fff; }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #dde3ea; vertical-align: top }
pre { white-space: pre-wrap; background: #f4f6f9; padding: .6rem; margin: .3rem 0; overflow-x: auto }
.pass { color: #17713a } .fail, .error { color: #b3261e; font-weight: 600 } .waived { color: #8a5a00 } .unsupported, .not-run { color: #66707d }
@media (prefers-color-scheme: dark) { body { color: #dbe2ea; background: #12171e } pre { background: #1b222c } th, td { border-color: #2a333f }
.pass { color: #6fcf97 } .fail, .error { color: #ff8a80 } .waived { color: #f0c060 } .unsupported, .not-run { color: #8a95a3 } }
`;

/** A report as one HTML file: no scripts, nothing from the net. */
export function renderHtml(report: ConformanceReport): string {
  const { subject, backend, suite, environment, profiles, guarantee, measured } = report;
  const about = [
    `contract ${suite.spec}`,
    backend && `${backend.name} ${backend.version}`,
    environment && `Node ${environment.node}, ${environment.platform}`,
  ].filter((part) => part !== undefined);
  const title = `Conformance of ${subject.name}`;
  const body = [
    `<h1>${escapeMarkup(title)}</h1><p>${escapeMarkup(about.join(' · '))}</p>`,
    table(
      ['profile', 'result', 'pass', 'fail', 'unsupported', 'not run', 'waived', 'error'],
      Object.entries(profiles).map(([tier, { result, pass, fail, unsupported, notRun, waived, error }]) =>
        [tier, result, pass, fail, unsupported, notRun, waived, error].map((cell) => escapeMarkup(`${cell}`)),
      ),
    ),
    guarantee &&
      `<h2>Guarantee</h2><p>Strongest not refuted: <strong>${escapeMarkup(guarantee.strongest)}</strong></p>` +
        guarantee.refuted
          .map(
            (each) =>
              `<p>Refuted: ${escapeMarkup(each.guarantee)}, by ${escapeMarkup(each.by.join(' '))}</p>${preformatted(each.witness)}`,
          )
          .join(''),
    measured &&
      Object.keys(measured).length > 0 &&
      `<h2>Measured</h2>${table(
        ['', 'p50 ms', 'p99 ms', 'max ms', 'samples'],
        Object.entries(measured).map(([what, { p50, p99, max, count }]) =>
          [what, p50, p99, max, count].map((cell) => escapeMarkup(`${cell}`)),
        ),
      )}`,
    `<h2>Scenarios</h2>${table(['id', 'rule', 'status', 'what must hold'], report.scenarios.map(scenarioRow))}`,
    report.unverified.length > 0 &&
      `<h2>Unverified</h2>${table(
        ['rule', 'text'],
        report.unverified.map((id) => [id, escapeMarkup(rules.find((rule) => rule.id === id)?.text ?? '')]),
      )}`,
    report.reproduce && `<h2>Reproduce</h2>${preformatted(report.reproduce)}`,
  ];
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeMarkup(title)}</title><style>${style}</style></head>
<body>
${body.filter((part) => typeof part === 'string').join('\n')}
</body>
</html>
`;
}

function scenarioRow({ id, rule, status, reason, cells }: ReportedScenario): string[] {
  const title = allScenarios.find((scenario) => scenario.id === id)?.title ?? '';
  const dark = cells?.notObservable.length ?? 0;
  const note = dark === 0 ? '' : ` <small>(${dark} cells not observable)</small>`;
  return [
    escapeMarkup(id),
    escapeMarkup(rule),
    `<span class="${status}">${status}</span>`,
    `${escapeMarkup(title)}${note}${preformatted(reason)}`,
  ];
}

function preformatted(text: string | undefined): string {
  return text === undefined ? '' : `<pre>${escapeMarkup(text)}</pre>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<table><thead>${row(head, 'th')}</thead><tbody>\n${rows.map((cells) => row(cells, 'td')).join('\n')}\n</tbody></table>`;
}
