import type { BrokerHarness } from './harness.ts';
import { runAhead } from './run-ahead.ts';
import { runScenario, type ScenarioResult } from './run-scenario.ts';
import { findObstacle, groupOf, type Scenario } from './scenario.ts';
import { scenarios as allScenarios } from './scenarios/index.ts';
import { surveyBroker } from './survey.ts';

/** What the suite needs of a test runner: vitest, node:test, jest and bun:test have it. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  readonly it: {
    (name: string, body: () => Promise<void>): unknown;
    skip(name: string, body: () => Promise<void>): unknown;
  };
}

/** How scenarios are chosen and run. */
export interface ConformanceOptions {
  /** Default: all. */
  readonly scenarios?: readonly Scenario[];
  /**
   * Scenarios in progress at a time, each in its own namespace. Default 1. Runners call one test after the other; with
   * more than 1 the next ones are started ahead, and each test waits for its own.
   */
  readonly concurrency?: number;
}

/**
 * Registers one test per scenario. Await it at the top level of a test file: the broker is opened once first, because
 * what it claims decides which scenarios run. Those that do not carry the reason in their title.
 *
 * Scenarios with a waiver, and provisional ones, are run while they are registered: a failure that is lived with becomes
 * a skipped test that says so, since no runner could tell it from a pass otherwise.
 *
 * @example
 * import { describe, it } from 'vitest';
 * await defineConformance({ describe, it }, harness);
 */
export async function defineConformance(
  runner: TestRunner,
  harness: BrokerHarness,
  options: ConformanceOptions = {},
): Promise<void> {
  const { describe, it } = runner;
  const chosen = options.scenarios ?? allScenarios;
  let circumstances: Awaited<ReturnType<typeof surveyBroker>>;
  try {
    circumstances = await surveyBroker(harness);
  } catch (error) {
    // One failing test instead of a file that does not load: no runner can mistake it for a pass.
    it(`${harness.name}: the broker opens and delivers`, () => Promise.reject(error));
    return;
  }
  const obstacles = new Map(
    chosen.map((scenario) => [scenario, findObstacle(scenario, circumstances.capabilities, harness)]),
  );
  const runnable = chosen.filter((scenario) => obstacles.get(scenario) === undefined);
  const width = Math.min(options.concurrency ?? 1, harness.concurrency ?? Number.POSITIVE_INFINITY);
  const runEach = (some: readonly Scenario[]): ReturnType<typeof runAhead<ScenarioResult>> =>
    runAhead(some, width, (scenario) => runScenario(scenario, circumstances));
  const doubtful = runnable.filter((scenario) => mayFail(scenario, harness));
  const runDoubtful = runEach(doubtful);
  const early = new Map<Scenario, ScenarioResult>();
  for (const scenario of doubtful) early.set(scenario, await runDoubtful(scenario));
  const run = runEach(runnable.filter((scenario) => !early.has(scenario)));
  for (const group of new Set(chosen.map(groupOf))) {
    describe(`${harness.name}: ${group}`, () => {
      for (const scenario of chosen.filter((each) => groupOf(each) === group)) {
        const title = `${scenario.id} ${scenario.title}${scenario.provisional ? ' [provisional]' : ''}`;
        const result = early.get(scenario);
        const skipped = obstacles.get(scenario)?.reason ?? toleratedFailure(result);
        if (skipped !== undefined) it.skip(`${title} [${skipped}]`, async () => {});
        else it(title, async () => requirePass(result ?? (await run(scenario))));
      }
    });
  }
}

/** Whether its failure would not be one of the run. */
function mayFail(scenario: Scenario, { waivers = [] }: BrokerHarness): boolean {
  return scenario.provisional === true || waivers.some(({ id }) => id === scenario.id);
}

/** Why a failure is lived with, in one line fit for a title; `undefined` for everything else. */
function toleratedFailure(result: ScenarioResult | undefined): string | undefined {
  if (result === undefined || result.status === 'pass') return undefined;
  const [line = ''] = (result.reason ?? '').split('\n');
  const reason = line.replaceAll('[', '(').replaceAll(']', ')');
  if (result.status === 'waived') return reason;
  return result.provisional ? `it fails: ${reason}` : undefined;
}

function requirePass(result: ScenarioResult): void {
  if (result.status === 'pass') return;
  if (result.cause instanceof Error) {
    result.cause.message = `${result.rule}: ${result.reason ?? result.cause.message}`;
    throw result.cause;
  }
  throw new Error(`${result.rule}: ${result.reason}`);
}
