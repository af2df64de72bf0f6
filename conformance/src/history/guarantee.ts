import type { Verdict } from './check-context.ts';
import type { InvariantId } from './invariant.ts';

/** What a history leaves standing, from the weakest to the strongest. */
export type Guarantee =
  | 'none'
  | 'at-most-once'
  | 'at-least-once'
  | 'at-least-once + fencing'
  | 'effectively-once per transaction';

interface Level {
  readonly guarantee: Guarantee;
  /** Invariants it needs beyond those of the level below. */
  readonly needs: readonly InvariantId[];
}

const levels: readonly Level[] = [
  { guarantee: 'at-most-once', needs: ['H02', 'H12', 'H15', 'H21'] },
  { guarantee: 'at-least-once', needs: ['H01', 'H03', 'H09', 'H25', 'H26'] },
  { guarantee: 'at-least-once + fencing', needs: ['H04', 'H05', 'H06', 'H07', 'H08'] },
  { guarantee: 'effectively-once per transaction', needs: ['H22', 'H29'] },
];

/** From the weakest to the strongest. */
export const guarantees: readonly Guarantee[] = ['none', ...levels.map((level) => level.guarantee)];

/** A level the history refutes, and by which invariants. */
export interface RefutedGuarantee {
  readonly guarantee: Guarantee;
  readonly by: readonly InvariantId[];
}

/** The strongest guarantee not refuted. */
export interface GuaranteeFound {
  readonly strongest: Guarantee;
  /** Whether every invariant it needs passed, rather than being left open. */
  readonly shown: boolean;
  readonly refuted: readonly RefutedGuarantee[];
}

/**
 * The highest level none of whose invariants failed. The one at the top says something only of histories that looked
 * at effects: it is given only when it was shown.
 */
export function findGuarantee(verdicts: readonly Verdict[]): GuaranteeFound {
  const statusOf = new Map(verdicts.map(({ id, status }) => [id, status]));
  const refuted: RefutedGuarantee[] = [];
  let needed: InvariantId[] = [];
  let strongest: Guarantee = 'none';
  let shown = true;
  for (const level of levels) {
    needed = [...needed, ...level.needs];
    const by = needed.filter((id) => statusOf.get(id) === 'fail');
    if (by.length > 0) {
      refuted.push({ guarantee: level.guarantee, by });
      continue;
    }
    const isTop = level === levels.at(-1);
    if (isTop && level.needs.some((id) => statusOf.get(id) !== 'pass')) continue;
    strongest = level.guarantee;
    shown = needed.every((id) => statusOf.get(id) === 'pass');
  }
  return { strongest, shown, refuted };
}
