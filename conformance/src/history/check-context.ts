import type { CheckOptions } from './check-options.ts';
import { type InvariantId, invariants } from './invariant.ts';
import type { TaskHistory } from './task-history.ts';
import type { Timeline } from './timeline.ts';
import { timeOf, type Witness, type WitnessStep } from './witness.ts';

/** `unknown` is not a pass: the history does not tell. */
export type VerdictStatus = 'pass' | 'fail' | 'unknown';

/** What a history says about one invariant. */
export interface Verdict {
  readonly id: InvariantId;
  readonly name: string;
  readonly status: VerdictStatus;
  /** Cases looked at and decided. */
  readonly checked: number;
  readonly violations: number;
  /** The shortest and earliest of the violations. */
  readonly witness?: Witness;
  /** Why it is unknown. */
  readonly why?: string;
}

interface Tally {
  checked: number;
  violations: number;
  witness: Witness | undefined;
  undecided: number;
  why: string | undefined;
}

/** Where the checks find the history and put what they see. */
export class CheckContext {
  readonly timeline: Timeline;
  readonly options: CheckOptions;
  /** Microseconds within which two times of the broker's clock cannot be told apart. */
  readonly precision: number;
  readonly #tallies: Readonly<Record<InvariantId, Tally>>;

  constructor(timeline: Timeline, options: CheckOptions) {
    const { timePrecisionMs, delay } = options.capabilities;
    this.timeline = timeline;
    this.options = options;
    this.precision = Math.max(timePrecisionMs, delay.granularityMs) * 1_000;
    this.#tallies = Object.fromEntries(
      invariants.map(({ id }): [InvariantId, Tally] => [
        id,
        { checked: 0, violations: 0, witness: undefined, undecided: 0, why: undefined },
      ]),
    ) as Record<InvariantId, Tally>;
  }

  /** A case that was decided. A violation has to be reported as well. */
  saw(id: InvariantId): void {
    this.#tallies[id].checked += 1;
  }

  /** A case the history does not decide. */
  undecided(id: InvariantId, why: string): void {
    const tally = this.#tallies[id];
    tally.undecided += 1;
    tally.why ??= why;
  }

  fail(id: InvariantId, task: TaskHistory | undefined, steps: readonly WitnessStep[]): void {
    const tally = this.#tallies[id];
    tally.violations += 1;
    const witness = tally.witness;
    if (witness !== undefined && witness.steps.length < steps.length) return;
    if (witness !== undefined && witness.steps.length === steps.length && endOf(witness.steps) <= endOf(steps)) return;
    const inOrder = [...steps].sort((a, b) => timeOf(a) - timeOf(b));
    tally.witness = { invariant: id, steps: inOrder, ...(task !== undefined && { task: task.id }) };
  }

  verdicts(): Verdict[] {
    return invariants.map(({ id, name }) => {
      const { checked, violations, witness, undecided, why } = this.#tallies[id];
      const verdict = { id, name, checked, violations };
      if (witness !== undefined) return { ...verdict, status: 'fail', witness };
      if (undecided > 0)
        return { ...verdict, status: 'unknown', why: `${why} (${undecided} of ${checked + undecided})` };
      if (checked === 0) return { ...verdict, status: 'unknown', why: 'nothing in the history bears on it' };
      return { ...verdict, status: 'pass' };
    });
  }
}

function endOf(steps: readonly WitnessStep[]): number {
  return Math.max(...steps.map(timeOf));
}
