import { eventVersion, type HistoryEvent } from './event.ts';

const watchEveryMs = 5;
/** Shorter ones fit into the time between the holder's own deadline and the broker's, which is a tenth of the ttl. */
const longestPauseMs = 25;

/**
 * While a process stands still, so do its heartbeats, and no holder in it can know that it was lost: from then on the
 * checker takes none of them for certain. Tells of each stall, as of when it began, once it is over.
 * @param now microseconds, on the axis of the history
 * @returns what ends the watch
 */
export function watchStalls(now: () => number, tell: (event: HistoryEvent) => void, target?: number): () => void {
  let seenAt = now();
  let told = 0;
  const timer = setInterval(() => {
    const at = now();
    if (at - seenAt > longestPauseMs * 1_000) {
      told += 1;
      // Process 0 is nobody's: a fault is no sign of life.
      const about = { v: eventVersion, seq: told, pid: 0, role: 'fault', t: seenAt, phase: 'event' } as const;
      tell({ ...about, op: 'fault', args: { fault: 'stall', faultPhase: 'instant', ...(target && { target }) } });
    }
    seenAt = at;
  }, watchEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}
