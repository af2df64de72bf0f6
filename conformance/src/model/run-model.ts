import type * as FastCheck from 'fast-check';
import type { BrokerHarness } from '../harness.ts';
import { newNamespace } from '../survey.ts';
import type { Command } from './command.ts';
import { programs } from './commands.ts';
import { Driver } from './driver.ts';
import { explainMismatch } from './explain-mismatch.ts';
import { type ModelRules, rulesFor } from './rules.ts';
import { type ProgramRun, runProgram } from './run-program.ts';
import { type Scale, scaleFor } from './scale.ts';
import { scenarioSource } from './scenario-source.ts';
import { shortenProgram } from './shorten-program.ts';

/** How programs are made and run. */
export interface ModelOptions {
  /**
   * `L1`: a virtual clock, a namespace for each program; 2,000 programs of up to 60 commands. `L2`: a real backend,
   * one namespace for all; 150 programs of up to 30. Default: `L1` when the harness has a clock.
   */
  readonly level?: 'L1' | 'L2';
  readonly runs?: number;
  /** Commands of a program. */
  readonly longest?: number;
  /** Default: another one each time. It is in the report. */
  readonly seed?: number;
  /** With the seed of a failure: runs that one program only. */
  readonly path?: string;
  /** Whether a failure is made as short as it gets, which runs some hundred programs more. Default true. */
  readonly shrink?: boolean;
}

/** A program that a broker did not run as the rules say. */
export interface ModelFailure {
  /** `seed=…,path=…`, for {@link parseReplay}. */
  readonly replay: string;
  /** The shortest program found, for {@link replayProgram}. */
  readonly program: readonly Command[];
  readonly run: ProgramRun;
  /** The run step by step, and what is wrong with the last one. */
  readonly explanation: string;
  /** Source of a scenario that does the same. */
  readonly scenario: string;
}

/** What came of it. */
export interface ModelReport {
  readonly status: 'pass' | 'fail' | 'not-run';
  /** Why it was not run. */
  readonly reason?: string;
  readonly level: 'L1' | 'L2';
  readonly seed: number;
  /** Programs run, those that shortened a failure not among them. */
  readonly runs: number;
  /** Calls made and compared. */
  readonly operations: number;
  readonly ms: number;
  readonly failure?: ModelFailure;
}

const defaults = { L1: { runs: 2_000, longest: 60 }, L2: { runs: 150, longest: 30 } } as const;

/**
 * Runs random programs against a broker and the reference rules side by side. Needs fast-check; without it the result
 * is `not-run`.
 */
export async function runModel(harness: BrokerHarness, options: ModelOptions = {}): Promise<ModelReport> {
  const level = options.level ?? (harness.clock === undefined ? 'L2' : 'L1');
  const seed = options.seed ?? Math.trunc(Math.random() * 0x7fff_ffff);
  const fc = await loadFastCheck();
  if (fc === undefined) {
    return {
      status: 'not-run',
      reason: 'not run: fast-check is not installed',
      level,
      seed,
      runs: 0,
      operations: 0,
      ms: 0,
    };
  }
  const { runs, longest } = { ...defaults[level], ...options };
  const started = performance.now();
  const bench = await makeBench(harness);
  try {
    let operations = 0;
    let failed: ProgramRun | undefined;
    const property = fc.asyncProperty(programs(fc, longest), async (program) => {
      const run = await bench.run(program);
      operations += run.trace.length;
      if (run.mismatch !== undefined) failed = run;
      return run.mismatch === undefined;
    });
    const shrink = options.shrink ?? true;
    const parameters = {
      seed,
      numRuns: runs,
      // fast-check tries thousands of programs, which only a virtual clock makes cheap.
      endOnFailure: !shrink || level === 'L2',
      ...(options.path !== undefined && { path: options.path }),
    };
    const details = await fc.check(property, parameters);
    const about = { level, seed, runs: details.numRuns, operations };
    if (!details.failed) return { status: 'pass', ...about, ms: performance.now() - started };
    const [found] = details.counterexample ?? [[]];
    const replay = `seed=${seed},path=${details.counterexamplePath ?? '0'}`;
    const failure = await describeFailure(bench, found, replay, shrink, failed);
    return { status: 'fail', ...about, ms: performance.now() - started, failure };
  } finally {
    await bench.close();
  }
}

/** Runs one program again, with or without fast-check. */
export async function replayProgram(harness: BrokerHarness, program: readonly Command[]): Promise<ProgramRun> {
  const bench = await makeBench(harness);
  try {
    return await bench.run(program);
  } finally {
    await bench.close();
  }
}

/** What a replay line says. @throws Error when it is none */
export function parseReplay(line: string): { readonly seed: number; readonly path: string } {
  const match = /seed=(-?\d+),path=([\d:]+)/.exec(line);
  if (match?.[1] === undefined || match[2] === undefined) throw new Error(`not a replay line: ${line.slice(0, 80)}`);
  return { seed: Number(match[1]), path: match[2] };
}

async function loadFastCheck(): Promise<typeof FastCheck | undefined> {
  try {
    return await import('fast-check');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

async function describeFailure(
  bench: Bench,
  found: readonly Command[],
  replay: string,
  shrink: boolean,
  failed: ProgramRun | undefined,
): Promise<ModelFailure> {
  const fails = async (shorter: readonly Command[]): Promise<boolean> =>
    (await bench.run(shorter)).mismatch !== undefined;
  const program = shrink ? await shortenProgram(found, fails) : found;
  const again = await bench.run(program);
  // A failure that does not come back is a race: then what was seen first is all there is.
  const run = again.mismatch === undefined && failed !== undefined ? failed : again;
  const note = run === again ? '' : '\n  It did not happen again: look for a race, or for time that passed meanwhile.';
  const explanation = `${explainMismatch(run)}${note}`;
  return { replay, program, run, explanation, scenario: scenarioSource(run, replay) };
}

/** Where programs run. */
interface Bench {
  run(program: readonly Command[]): Promise<ProgramRun>;
  close(): Promise<void>;
}

async function makeBench(harness: BrokerHarness): Promise<Bench> {
  const driver = new Driver(harness, newNamespace('model'));
  const capabilities = await driver.open();
  const rules = rulesFor(capabilities);
  const scale = scaleFor(capabilities, driver.time.kind);
  if (!driver.exact) return new SharedBench(driver, rules, scale);
  await driver.close();
  return {
    run: async (program) => {
      // Setting up a namespace costs nothing here, and time must not have passed for the next program.
      const own = new Driver(harness, newNamespace('model'));
      try {
        await own.open();
        return await runProgram(own, rules, scale, program);
      } finally {
        await own.close();
      }
    },
    close: async () => {},
  };
}

/** One namespace and its clients for all programs, which are told apart by a prefix. */
class SharedBench implements Bench {
  readonly #driver: Driver;
  readonly #rules: ModelRules;
  readonly #scale: Scale;
  #programs = 0;

  constructor(driver: Driver, rules: ModelRules, scale: Scale) {
    this.#driver = driver;
    this.#rules = rules;
    this.#scale = scale;
  }

  async run(program: readonly Command[]): Promise<ProgramRun> {
    this.#programs += 1;
    await this.#driver.begin(`p${this.#programs}-`);
    return runProgram(this.#driver, this.#rules, this.#scale, program);
  }

  close(): Promise<void> {
    return this.#driver.close();
  }
}
