import type { Lease } from '@millrace/core';
import { apply } from './apply.ts';
import { auditOperations } from './audit.ts';
import type { Command } from './command.ts';
import type { Driver } from './driver.ts';
import type { ModelOperation, ModelOutcome, Occasion } from './operation.ts';
import { openSession, resolve } from './resolve.ts';
import type { ModelRules } from './rules.ts';
import type { Scale } from './scale.ts';
import { SignalWatch } from './signal-watch.ts';
import { emptyState, type ModelState } from './state.ts';

/** One call of a run and what came of it. */
export interface TraceStep {
  readonly operation: ModelOperation;
  readonly outcome: ModelOutcome;
  /** Whether a command asked for it; the others begin and end every run. */
  readonly commanded: boolean;
}

/** A run that broke a rule at its last step. */
export interface Mismatch {
  /** What is wrong, in words. */
  readonly why: string;
  /** The legal ways to end the last step, one of the states the broker may have been in. */
  readonly expected: readonly ModelOutcome[];
  readonly state: ModelState;
  readonly occasion: Occasion;
}

/** What came of a program. */
export interface ProgramRun {
  readonly trace: readonly TraceStep[];
  readonly mismatch?: Mismatch;
}

/** States followed at the same time. More would mean that the answers tell almost nothing. */
const mostStates = 64;

/** Runs a program on a broker, beside the model, and stops where they part. */
export async function runProgram(
  driver: Driver,
  rules: ModelRules,
  scale: Scale,
  program: readonly Command[],
): Promise<ProgramRun> {
  const run = new Run(driver, rules, scale);
  try {
    await run.do(openSession(emptyState, scale), false);
    for (const command of program) {
      for (const operation of run.resolve(command)) await run.do(operation, true);
    }
    for await (const operation of auditOperations(run, scale)) await run.do(operation, false);
  } catch (error) {
    if (!(error instanceof Parted)) throw error;
    return { trace: run.trace, mismatch: error.mismatch };
  }
  return { trace: run.trace };
}

/** Thrown where broker and model part; caught by whoever runs the program. */
class Parted extends Error {
  readonly mismatch: Mismatch;

  constructor(mismatch: Mismatch) {
    super(mismatch.why);
    this.mismatch = mismatch;
  }
}

class Run {
  readonly trace: TraceStep[] = [];
  readonly rules: ModelRules;
  readonly #driver: Driver;
  readonly #scale: Scale;
  readonly #ids: string[] = [];
  readonly #leases: Lease[] = [];
  readonly #signals: SignalWatch;
  #states: readonly ModelState[] = [emptyState];

  constructor(driver: Driver, rules: ModelRules, scale: Scale) {
    this.#driver = driver;
    this.rules = rules;
    this.#scale = scale;
    this.#signals = new SignalWatch(driver);
  }

  /** What the broker's state is, or may be. */
  get state(): ModelState {
    return this.#states[0] ?? emptyState;
  }

  get ids(): readonly string[] {
    return this.#ids;
  }

  resolve(command: Command): readonly ModelOperation[] {
    const { state, rules } = this;
    return resolve(command, { state, rules, scale: this.#scale, ids: this.#ids, leases: this.#leases });
  }

  async do(operation: ModelOperation, commanded: boolean): Promise<ModelOutcome> {
    const from = this.#driver.time.now();
    const outcome = await this.#driver.run(operation);
    this.trace.push({ operation, outcome, commanded });
    const occasion: Occasion = {
      step: this.trace.length,
      // A clock that shows whole milliseconds may be one behind.
      now: this.#driver.exact
        ? { from: this.#driver.time.now(), to: this.#driver.time.now() }
        : { from: from - 1, to: this.#driver.time.now() + 1 },
      exact: this.#driver.exact,
    };
    this.#follow(operation, outcome, occasion);
    this.#remember(operation, outcome);
    const problem = this.#signals.look(this.state, operation, outcome, occasion);
    if (problem !== undefined) throw new Parted({ why: problem, expected: [], state: this.state, occasion });
    return outcome;
  }

  #follow(operation: ModelOperation, outcome: ModelOutcome, occasion: Occasion): void {
    const before = this.state;
    const states = this.#states.flatMap((state) =>
      apply(state, operation, occasion, this.rules, outcome).map((step) => step.state),
    );
    if (states.length > 0) {
      this.#states = states.slice(0, mostStates);
      return;
    }
    const expected = apply(before, operation, occasion, this.rules).map((step) => step.outcome);
    throw new Parted({ why: 'the answer is none of those the rules allow', expected, state: before, occasion });
  }

  #remember(operation: ModelOperation, outcome: ModelOutcome): void {
    if (operation.type === 'enqueue') {
      for (const task of operation.tasks) if (!this.#ids.includes(task.id)) this.#ids.push(task.id);
    }
    if (outcome.type === 'claim') this.#leases.push(...outcome.deliveries.map((delivery) => delivery.lease));
  }
}

/** What the audit needs of a run. */
export type AuditedRun = Pick<Run, 'state' | 'ids' | 'rules' | 'trace'>;
