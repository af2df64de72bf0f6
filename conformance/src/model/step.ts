import type { ModelOutcome, Occasion } from './operation.ts';
import type { ModelState } from './state.ts';

/** One legal way an operation may end. */
export interface Step<T = ModelOutcome> {
  readonly outcome: T;
  readonly state: ModelState;
}

/**
 * Every legal way for a list of parts that take effect one after the other. With `observed` only the ways that look
 * like it, which keeps the number of them small.
 */
export function inTurn<Part, Outcome>(
  state: ModelState,
  parts: readonly Part[],
  apply: (state: ModelState, part: Part, index: number) => readonly Step<Outcome>[],
  observed?: readonly unknown[],
  matches?: (expected: Outcome, observed: unknown) => boolean,
): Step<Outcome[]>[] {
  let ways: Step<Outcome[]>[] = [{ outcome: [], state }];
  for (const [index, part] of parts.entries()) {
    const next: Step<Outcome[]>[] = [];
    for (const way of ways) {
      for (const step of apply(way.state, part, index)) {
        if (observed !== undefined && matches !== undefined && !matches(step.outcome, observed[index])) continue;
        next.push({ outcome: [...way.outcome, step.outcome], state: step.state });
      }
    }
    ways = next;
  }
  return ways;
}

/** The occasion of one part of a list: a little after the part before it, on a clock that may have moved on. */
export function partOf(occasion: Occasion, index: number): Occasion {
  return { ...occasion, step: occasion.step + index / 10_000 };
}
