import type { BrokerHarness } from '../harness.ts';
import { type ModelOptions, type ModelReport, parseReplay, runModel } from '../model/run-model.ts';
import { runScenario } from '../run-scenario.ts';
import { scenarios } from '../scenarios/index.ts';
import { surveyBroker } from '../survey.ts';
import { type Terminal, UsageError } from './terminal.ts';

/** Runs random programs, and prints the line that repeats a failure. Resolves to whether none was found. */
export async function runModelCommand(
  harness: BrokerHarness,
  request: { readonly file: string; readonly runs?: number; readonly seed?: number },
  terminal: Terminal,
): Promise<boolean> {
  const { file, runs, seed } = request;
  const options = { ...(runs !== undefined && { runs }), ...(seed !== undefined && { seed }) };
  return tell(await runModel(harness, options), file, terminal);
}

/**
 * Repeats what a line of a failure says: `seed=…,path=…` of the model, or `CON-15 seed=…` of a scenario. Resolves to
 * whether it passes now.
 * @throws UsageError
 */
export async function replayCommand(
  harness: BrokerHarness,
  line: string | undefined,
  file: string,
  terminal: Terminal,
): Promise<boolean> {
  if (line === undefined) throw new UsageError('give the line that the failing run printed: "seed=…,path=…"');
  const seeded = /^\s*([A-Z]{3}-\d\d) seed=(\d+)\s*$/.exec(line);
  if (seeded?.[1] !== undefined) return replayScenario(harness, seeded[1], Number(seeded[2]), terminal);
  let options: ModelOptions;
  try {
    options = parseReplay(line);
  } catch {
    throw new UsageError(
      `"${line}" is no line of a failing run; it looks like "seed=9137,path=12:3:0" or "CON-15 seed=7"`,
    );
  }
  return tell(await runModel(harness, options), file, terminal);
}

async function replayScenario(harness: BrokerHarness, id: string, seed: number, terminal: Terminal): Promise<boolean> {
  const scenario = scenarios.find((each) => each.id === id);
  if (scenario === undefined) throw new UsageError(`there is no scenario ${id}`);
  const { status, reason } = await runScenario(scenario, { ...(await surveyBroker(harness)), seed });
  terminal.out(`${id} seed ${seed}: ${status}${reason === undefined ? '' : `\n${reason}`}`);
  return status === 'pass';
}

function tell(report: ModelReport, file: string, terminal: Terminal): boolean {
  const { status, level, seed, runs, operations, ms, failure, reason } = report;
  if (status === 'not-run') {
    terminal.out(`model ${reason}`);
    return false;
  }
  const about = `model ${level}: ${runs} programs, ${operations} operations, ${Math.round(ms)} ms, seed ${seed}`;
  terminal.out(`${about}: ${status}`);
  if (failure === undefined) return true;
  terminal.out(failure.explanation);
  terminal.out(`\nas a scenario:\n${failure.scenario}`);
  terminal.out(`\nrepeat it: npx millrace-conformance replay ${file} "${failure.replay}"`);
  return false;
}
