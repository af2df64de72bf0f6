import type { ScenarioContext } from '../context/scenario-context.ts';

/**
 * A broker that claims push wakes claims; it does not find out by polling. A poll that comes by chance is half an
 * interval late on average, so the median tells the two apart, and one late answer of a busy machine changes nothing.
 * Where the interval is too short to tell, the cell is not observable.
 */
export function checkPush(t: ScenarioContext, waitedMs: readonly number[]): void {
  const { push, pollMs } = t.capabilities.wakeup;
  if (!push) {
    t.notObservable('woken by push', 'it is not claimed');
    return;
  }
  const limitMs = pollMs / 4;
  // A unit has room for dozens of round trips; to be woken takes two or three.
  if (limitMs < t.unitMs) {
    t.notObservable('woken by push', `polling every ${pollMs} ms is as fast`);
    return;
  }
  const median = [...waitedMs].sort((a, b) => a - b)[Math.floor(waitedMs.length / 2)];
  t.between(median, -Number.MAX_VALUE, limitMs, 'the median of the milliseconds until a claim was woken, with push,');
}
