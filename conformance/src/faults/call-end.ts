import assert from 'node:assert/strict';
import { isMillraceError, type MillraceError } from '@millrace/core';
import { shown } from '../context/checks.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';

/**
 * The longest a call may take while the backend is unreachable, whatever the adapter's own deadline is (R-FLT-10).
 * Harnesses should configure short deadlines: scenarios wait them out.
 */
export const longestCallMs = 15_000;

/** How a call under a fault ended. */
export type CallEnd<T> =
  | { readonly how: 'answered'; readonly value: T }
  /** It said that it was not applied. */
  | { readonly how: 'not-applied'; readonly error: MillraceError }
  /** It said that it may have been applied. */
  | { readonly how: 'unknown'; readonly error: MillraceError }
  /** The session it belongs to is lost. */
  | { readonly how: 'lost'; readonly error: MillraceError };

/**
 * Waits for a call under a fault, which has to end by its deadline, and to say what it knows: only the errors that the
 * contract has for it are taken. Counts as an assertion.
 */
export async function endOfCall<T>(t: ScenarioContext, call: () => Promise<T>, what: string): Promise<CallEnd<T>> {
  let value: T;
  try {
    value = await t.soon(call(), what, longestCallMs);
  } catch (error) {
    const how = meaningOf(error);
    if (how === undefined)
      assert.fail(`${what} must end with an answer, UNAVAILABLE or INDETERMINATE; it threw ${shown(error)}`);
    t.ok(true, what);
    return { how, error: error as MillraceError };
  }
  t.ok(true, what);
  return { how: 'answered', value };
}

/** What an error says of the call it ended, if it is one of those the contract has for faults. */
export function meaningOf(error: unknown): 'not-applied' | 'unknown' | 'lost' | undefined {
  if (isMillraceError(error, 'UNAVAILABLE') || isMillraceError(error, 'BACKPRESSURE')) return 'not-applied';
  if (isMillraceError(error, 'INDETERMINATE')) return 'unknown';
  return isMillraceError(error, 'LEASE_LOST') ? 'lost' : undefined;
}

/** Repeats a call until it is answered, as a program would that was told to try again. */
export async function untilAnswered<T>(t: ScenarioContext, call: () => Promise<T>, what: string): Promise<T> {
  const end = t.now() + recoveryMs(t);
  for (;;) {
    const ended = await endOfCall(t, call, what);
    if (ended.how === 'answered') return ended.value;
    if (ended.how === 'lost' || t.now() > end) assert.fail(`${what} does not work again: ${shown(ended.error)}`);
    await t.tempo.pause(t.unitMs / 5);
  }
}

/** How long everything may take to work again after the last fault: the longest back-off, a poll, and the usual. */
export function recoveryMs(t: ScenarioContext): number {
  const { pollMs } = t.capabilities.wakeup;
  // Not the scenario's budget, which grows with its patience: it must be able to say what did not happen.
  return 5_000 + pollMs + t.plainBudgetMs;
}
