/** A call in a small group of calls that overlap. */
export interface ConcurrentCall<Input> {
  readonly invoke: number;
  /** `Infinity` when it was never answered: then it may have taken effect at any time since, or never. */
  readonly return: number;
  readonly input: Input;
}

/** What a single copy of the thing would do, one call after the other. */
export interface SequentialModel<State, Input> {
  /** States it may begin in. */
  readonly initial: readonly State[];
  /** States a call may lead to, its answer being part of the input. None when that answer is impossible. */
  apply(state: State, input: Input): readonly State[];
  /** The same for equal states only. */
  key(state: State): string;
}

/** Whether a group of calls looks as if they had happened one after the other. */
export interface Linearization<State> {
  /** `unknown` when there are too many calls to try all orders. */
  readonly verdict: 'pass' | 'fail' | 'unknown';
  /** Every state it may have ended in. */
  readonly states: readonly State[];
  /** Of a failure: calls that can be put in order at most, by their places in the list. */
  readonly longest: readonly number[];
}

/** Orders of more calls than this are not searched. */
export const mostConcurrentCalls = 12;

/**
 * Searches for orders of overlapping calls that a single copy could have produced (Wing and Gong, with Lowe's memory
 * of what was tried). A call may come next unless another one had returned before it began. Calls that were never
 * answered are tried both ways: at every place, and nowhere.
 */
export function linearize<State, Input>(
  calls: readonly ConcurrentCall<Input>[],
  model: SequentialModel<State, Input>,
): Linearization<State> {
  if (calls.length > mostConcurrentCalls) return { verdict: 'unknown', states: [], longest: [] };
  const search = new Search(calls, model);
  for (const state of model.initial) search.visit(state, 0, []);
  const states = [...search.ends.values()];
  return { verdict: states.length > 0 ? 'pass' : 'fail', states, longest: search.longest };
}

class Search<State, Input> {
  readonly ends = new Map<string, State>();
  longest: readonly number[] = [];
  readonly #calls: readonly ConcurrentCall<Input>[];
  readonly #model: SequentialModel<State, Input>;
  /** Calls that were answered have to have happened. */
  readonly #required: number;
  readonly #tried = new Set<string>();

  constructor(calls: readonly ConcurrentCall<Input>[], model: SequentialModel<State, Input>) {
    this.#calls = calls;
    this.#model = model;
    this.#required = calls.reduce(
      (mask, call, index) => (Number.isFinite(call.return) ? mask | (1 << index) : mask),
      0,
    );
  }

  /** Goes on from a state after the calls of a mask. All ends are of interest, not only the first. */
  visit(state: State, done: number, order: readonly number[]): void {
    const key = `${done} ${this.#model.key(state)}`;
    if (this.#tried.has(key)) return;
    this.#tried.add(key);
    if (order.length > this.longest.length) this.longest = order;
    if ((done & this.#required) === this.#required) this.ends.set(this.#model.key(state), state);
    const earliest = this.#earliestReturn(done);
    for (const [index, call] of this.#calls.entries()) {
      if ((done & (1 << index)) !== 0 || call.invoke > earliest) continue;
      for (const next of this.#model.apply(state, call.input)) this.visit(next, done | (1 << index), [...order, index]);
    }
  }

  /** When the first of the calls that are left had returned: nothing that began later may come before it. */
  #earliestReturn(done: number): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const [index, call] of this.#calls.entries()) {
      if ((done & (1 << index)) === 0) earliest = Math.min(earliest, call.return);
    }
    return earliest;
  }
}
