import type { SettleOutcome } from '../broker/session.ts';
import { type ErrorCode, isMillraceError } from '../errors.ts';

/** What became of one item of a batch. */
export interface Verdict {
  readonly outcome: SettleOutcome;
  /** Why the broker refuses this very item: it threw when the item stood alone. */
  readonly refusal?: unknown;
}

/** Errors that say something about the broker, not about what it was given. */
const brokerErrors: ReadonlySet<ErrorCode> = new Set([
  'UNAVAILABLE',
  'INDETERMINATE',
  'BACKPRESSURE',
  'CLOSED',
  'LEASE_LOST',
  'ABORTED',
  'CONFIGURATION',
]);

const verdictOf: Readonly<Record<SettleOutcome, Verdict>> = {
  applied: { outcome: 'applied' },
  stale: { outcome: 'stale' },
  unknown: { outcome: 'unknown' },
};

/** An adapter that refuses so many in a row is broken altogether: it is not asked about each one left. */
const mostRefusals = 8;

/**
 * Sends a batch. If the adapter throws over it, the batch is halved until the item it stumbles over stands alone, so
 * that one item cannot hold up the others. Never rejects; what was not sent, or not answered, is `unknown`.
 */
export async function sendApart<T>(
  items: readonly T[],
  send: (part: readonly T[]) => Promise<readonly SettleOutcome[]>,
  onError: (error: unknown) => void = () => {},
): Promise<Verdict[]> {
  const verdicts = items.map(() => verdictOf.unknown);
  const parts = [{ start: 0, end: items.length }];
  for (let refusals = 0; refusals < mostRefusals; ) {
    const part = parts.pop();
    if (part === undefined) break;
    const { start, end } = part;
    try {
      const outcomes = await send(start === 0 && end === items.length ? items : items.slice(start, end));
      refusals = 0;
      note(verdicts, outcomes, start, end);
    } catch (refusal) {
      if (isMillraceError(refusal) && brokerErrors.has(refusal.code)) {
        onError(refusal);
        break;
      }
      if (end - start === 1) {
        onError(refusal);
        verdicts[start] = { outcome: 'unknown', refusal };
        refusals++;
        continue;
      }
      const middle = (start + end) >> 1;
      parts.push({ start: middle, end }, { start, end: middle });
    }
  }
  return verdicts;
}

function note(verdicts: Verdict[], outcomes: readonly SettleOutcome[], start: number, end: number): void {
  for (let index = start; index < end; index++) {
    verdicts[index] = verdictOf[outcomes?.[index - start] ?? 'unknown'] ?? verdictOf.unknown;
  }
}
