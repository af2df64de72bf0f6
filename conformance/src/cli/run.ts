import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BrokerHarness } from '../harness.ts';
import { badgeOf } from '../report/badge.ts';
import { renderHtml } from '../report/html.ts';
import { renderJunit } from '../report/junit.ts';
import { renderMarkdown } from '../report/markdown.ts';
import type { ConformanceReport } from '../report/report.ts';
import { runConformance } from '../run-conformance.ts';
import type { ScenarioResult } from '../run-scenario.ts';
import { groupOf, type Scenario, type Tier } from '../scenario.ts';
import { scenarios } from '../scenarios/index.ts';
import { runModelCommand } from './model-run.ts';
import { type Terminal, UsageError } from './terminal.ts';

/** What `run` was asked for. */
export interface RunRequest {
  /** Ids, groups, or the beginning of ids. Default: all. */
  readonly only?: readonly string[];
  readonly tiers?: readonly Tier[];
  readonly concurrency?: number;
  /** Default 1. Each one failure counts: nothing is tried again. */
  readonly repeat?: number;
  /** Folder for report.json, report.md, report.html, junit.xml and badge.json. Default: none is written. */
  readonly reports?: string;
  /** Random programs to run beside the scenarios. Default 0. */
  readonly model?: number;
  readonly seed?: number;
  /** How the harness was named, for the lines that repeat something. */
  readonly file: string;
}

/** Runs the suite, says what failed, writes reports. Resolves to whether everything that must pass did. */
export async function runCommand(harness: BrokerHarness, request: RunRequest, terminal: Terminal): Promise<boolean> {
  const chosen = chooseScenarios(request);
  const repeat = request.repeat ?? 1;
  let failures = 0;
  let last: ConformanceReport | undefined;
  for (let round = 1; round <= repeat; round++) {
    last = await runConformance(harness, {
      scenarios: chosen,
      reproduce: reproduceLine(request),
      ...(request.concurrency !== undefined && { concurrency: request.concurrency }),
      onResult: (result) => {
        if (!isBroken(result)) return;
        failures += 1;
        terminal.out(`${result.status.padEnd(5)} ${result.id} ${result.title}\n      ${result.rule}: ${result.reason}`);
      },
    });
    if (repeat > 1) terminal.out(`round ${round} of ${repeat}: ${failures} failures so far`);
  }
  if (last !== undefined) terminal.out(summary(last));
  if (last !== undefined && request.reports !== undefined) writeReports(last, request.reports, terminal);
  const model = request.model ?? 0;
  const agrees = model === 0 || (await runModelCommand(harness, { ...request, runs: model }, terminal));
  return failures === 0 && agrees;
}

/** The scenarios of these names and tiers. @throws UsageError when a name means none */
export function chooseScenarios({ only, tiers }: Pick<RunRequest, 'only' | 'tiers'>): Scenario[] {
  const matches = (scenario: Scenario, name: string): boolean =>
    scenario.id === name || groupOf(scenario) === name || scenario.id.startsWith(`${name}-`);
  for (const name of only ?? []) {
    if (!scenarios.some((scenario) => matches(scenario, name)))
      throw new UsageError(
        `no scenario or group ${name}; groups are ${[...new Set(scenarios.map(groupOf))].join(', ')}`,
      );
  }
  return scenarios.filter(
    (scenario) =>
      (only === undefined || only.some((name) => matches(scenario, name))) &&
      (tiers === undefined || tiers.includes(scenario.tier)),
  );
}

function isBroken({ status, provisional }: ScenarioResult): boolean {
  return (status === 'fail' || status === 'error') && provisional !== true;
}

function summary(report: ConformanceReport): string {
  const lines = Object.entries(report.profiles).map(
    ([tier, { result, pass, fail, unsupported, notRun, waived, error }]) =>
      `${tier.padEnd(9)} ${result.padEnd(8)} ${pass} passed, ${fail} failed, ${error} errors, ` +
      `${unsupported} unsupported, ${notRun} not run, ${waived} waived`,
  );
  const { guarantee } = report;
  return [
    ...lines,
    ...(guarantee ? [`guarantee strongest not refuted: ${guarantee.strongest}`] : []),
    ...(guarantee?.refuted.map(({ witness }) => witness).filter((witness) => witness !== undefined) ?? []),
  ].join('\n');
}

function writeReports(report: ConformanceReport, folder: string, terminal: Terminal): void {
  const files: Readonly<Record<string, string>> = {
    'report.json': `${JSON.stringify(report, null, 2)}\n`,
    'report.md': renderMarkdown(report),
    'report.html': renderHtml(report),
    'junit.xml': renderJunit(report),
    'badge.json': `${JSON.stringify(badgeOf(report))}\n`,
  };
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  terminal.out(`wrote ${Object.keys(files).join(', ')} to ${folder}`);
}

function reproduceLine({ file, only, tiers }: RunRequest): string {
  const options = [
    ...(only === undefined ? [] : [`--only ${only.join(',')}`]),
    ...(tiers === undefined ? [] : [`--tier ${tiers.join(',')}`]),
  ];
  return ['npx millrace-conformance run', file, ...options].join(' ');
}
