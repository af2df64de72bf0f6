import type { BrokerHarness } from './harness.ts';
import { type ConformanceReport, makeReport } from './report/report.ts';
import { runScenario, type ScenarioResult } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { scenarios as allScenarios } from './scenarios/index.ts';
import { surveyBroker } from './survey.ts';

/** How scenarios are chosen and run without a test runner. */
export interface RunOptions {
  /** Default: all. */
  readonly scenarios?: readonly Scenario[];
  /** Scenarios in progress at a time, each in its own namespace. Default 4. */
  readonly concurrency?: number;
  /** Written into the report: the command that makes it again. */
  readonly reproduce?: string;
  /** Called as each one ends. */
  readonly onResult?: (result: ScenarioResult) => void;
}

/** Runs the suite and returns the report. Rejects only when the broker cannot be opened. */
export async function runConformance(harness: BrokerHarness, options: RunOptions = {}): Promise<ConformanceReport> {
  const chosen = options.scenarios ?? allScenarios;
  const circumstances = await surveyBroker(harness);
  const results: ScenarioResult[] = [];
  const runAt = async (index: number): Promise<void> => {
    const result = await runScenario(chosen[index] as Scenario, circumstances);
    results[index] = result;
    options.onResult?.(result);
  };
  const [together, alone] = partition([...chosen.keys()], (index) => chosen[index]?.alone !== true);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = together[next++]; index !== undefined; index = together[next++]) await runAt(index);
  };
  const width = Math.min(options.concurrency ?? 4, harness.concurrency ?? Number.POSITIVE_INFINITY);
  await Promise.all(Array.from({ length: width }, lane));
  for (const index of alone) await runAt(index);
  return makeReport(circumstances, results, await harness.backend?.(), options.reproduce);
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}
