import type { HistoryEvent } from './event.ts';
import type { InvariantId } from './invariant.ts';
import type { Operation } from './operation.ts';

/** One line of a witness. */
export interface WitnessStep {
  readonly what: Operation | HistoryEvent | { readonly t: number; readonly text: string };
  /** What is wrong with it. */
  readonly wrong?: string;
}

/** The few events that show that an invariant does not hold. */
export interface Witness {
  readonly invariant: InvariantId;
  readonly task?: string;
  readonly steps: readonly WitnessStep[];
}

/** When a step happened: for what was answered, when the answer came. */
export function timeOf(step: WitnessStep): number {
  const { what } = step;
  if (!('invoke' in what)) return what.t;
  return what.answer?.t ?? what.invoke;
}
