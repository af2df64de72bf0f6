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
  /** Called as each one ends. */
  readonly onResult?: (result: ScenarioResult) => void;
}

/** Runs the suite and returns the report. Rejects only when the broker cannot be opened. */
export async function runConformance(harness: BrokerHarness, options: RunOptions = {}): Promise<ConformanceReport> {
  const chosen = options.scenarios ?? allScenarios;
  const circumstances = await surveyBroker(harness);
  const results: ScenarioResult[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < chosen.length; index = next++) {
      const result = await runScenario(chosen[index] as Scenario, circumstances);
      results[index] = result;
      options.onResult?.(result);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency ?? 4 }, lane));
  return makeReport(circumstances, results, await harness.backend?.());
}
