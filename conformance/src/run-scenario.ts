import { type Cell, shown } from './context/checks.ts';
import type { Measure } from './context/scenario-context.ts';
import { type Circumstances, ScenarioContext } from './context/scenario-context.ts';
import type { TimeKind } from './context/tempo.ts';
import type { BrokerHarness } from './harness.ts';
import type { HistoryReport } from './history/checker.ts';
import { findObstacle, type Scenario, type Tier } from './scenario.ts';
import { newNamespace } from './survey.ts';

/**
 * `fail`: the broker broke the rule. `unsupported`: it does not claim the capability. `not-run`: the harness lacks a
 * hook or a server. `waived`: it failed, and the harness says why that is known. `error`: the scenario asserted nothing,
 * or could not clean up. A seventh, `unverified`, is of rules: those that no scenario checks yet.
 */
export type Status = 'pass' | 'fail' | 'unsupported' | 'not-run' | 'waived' | 'error';

/** How one scenario ended. */
export interface ScenarioResult {
  readonly id: string;
  readonly rule: string;
  readonly title: string;
  readonly tier: Tier;
  readonly status: Status;
  readonly provisional?: true;
  /** Why it was not run, or what went wrong. */
  readonly reason?: string;
  /** What was thrown, with its stack. Not part of reports. */
  readonly cause?: unknown;
  readonly clock?: TimeKind;
  readonly assertions: number;
  readonly cells: readonly Cell[];
  readonly measured?: ReadonlyMap<Measure, readonly number[]>;
  readonly histories?: readonly HistoryReport[];
  readonly ms: number;
}

/** No scenario may take longer than this of real time, whatever it waits for; slow machines get more. */
const longestRunMs = 20_000;
const longestRunBudgets = 8;
/** Characters of what is stored after a failure. */
const longestDump = 8_000;

/** Runs one scenario in a namespace of its own and cleans up after it. Never rejects. */
export async function runScenario(scenario: Scenario, circumstances: Circumstances): Promise<ScenarioResult> {
  const { id, rule, title, tier } = scenario;
  const about = { id, rule, title, tier, ...(scenario.provisional && { provisional: scenario.provisional }) };
  const obstacle = findObstacle(scenario, circumstances.capabilities, circumstances.harness);
  if (obstacle !== undefined) return { ...about, ...obstacle, assertions: 0, cells: [], ms: 0 };

  const started = performance.now();
  const patience = scenario.patience ?? 1;
  let context: ScenarioContext;
  try {
    context = new ScenarioContext(circumstances, newNamespace(id), patience);
  } catch (error) {
    const reason = `the harness made no client: ${describe(error)}`;
    return { ...about, status: 'error', reason, cause: error, assertions: 0, cells: [], ms: 0 };
  }
  const limitMs = patience * Math.max(longestRunMs, longestRunBudgets * circumstances.budgetMs);
  const failure = await execute(scenario, context, limitMs);
  const evidence = failure === undefined ? undefined : await dump(context);
  const problems = await context.cleanUp();
  const clock = context.tempo.kind;
  const { assertions, cells, measured, histories } = context;
  const result = { ...about, clock, assertions, cells, measured, histories, ms: performance.now() - started };
  if (failure !== undefined) {
    const repeat = context.replay === undefined ? [] : [`repeat it: replay <harness> "${id} ${context.replay}"`];
    const stored = evidence === undefined ? [] : [`stored: ${evidence}`];
    const reason = [describe(failure), ...repeat, ...stored].join('\n');
    return waiveKnown({ ...result, status: 'fail', reason, cause: failure }, circumstances.harness);
  }
  if (problems.length > 0) {
    return { ...result, status: 'error', reason: `clean-up: ${problems.map(describe).join('; ')}`, cause: problems[0] };
  }
  if (assertions === 0) return { ...result, status: 'error', reason: 'the scenario asserted nothing' };
  return { ...result, status: 'pass' };
}

/** A failure that the harness knows of, while its waiver holds. */
function waiveKnown(result: ScenarioResult, { waivers = [] }: BrokerHarness): ScenarioResult {
  const waiver = waivers.find(({ id }) => id === result.id);
  if (waiver === undefined) return result;
  const { because, issue, until } = waiver;
  // The last day counts as a whole, wherever on Earth it is read.
  const holds = Date.now() < Date.parse(until) + 2 * 86_400_000;
  const reason = holds ? `waived until ${until}: ${because} (${issue})` : `its waiver ended on ${until} (${issue})`;
  return { ...result, status: holds ? 'waived' : 'fail', reason: `${reason}\n${result.reason}` };
}

async function execute(scenario: Scenario, context: ScenarioContext, limitMs: number): Promise<Error | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the scenario did not end within ${limitMs} ms`)), limitMs);
  });
  const work = (async () => {
    await context.client.broker.open();
    await scenario.run(context);
    context.requireCells();
  })();
  try {
    await Promise.race([work, late]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(`something that is no error was thrown: ${shown(error)}`);
  } finally {
    clearTimeout(timer);
    // After a timeout it goes on until the clean-up takes its clients away.
    work.catch(() => {});
  }
}

async function dump(context: ScenarioContext): Promise<string | undefined> {
  try {
    const stored = await context.hooks.dump?.(context.client.target);
    return stored === undefined ? undefined : written(stored).slice(0, longestDump);
  } catch (error) {
    return `the dump failed: ${describe(error)}`;
  }
}

/** What is short first: sessions, counters and lines tell more than the tasks themselves. */
function written(stored: unknown): string {
  if (typeof stored !== 'object' || stored === null || Array.isArray(stored)) return JSON.stringify(stored) ?? '';
  const parts = Object.entries(stored).map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  return `{${parts.sort((first, second) => first.length - second.length).join(',')}}`;
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : shown(error);
}
