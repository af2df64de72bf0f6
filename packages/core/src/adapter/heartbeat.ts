import { setMaxListeners } from 'node:events';
import type { Clock, TimerHandle } from '../clock.ts';
import { LeaseLostError } from '../errors.ts';

/** What keeps a session alive. */
export interface HeartbeatOptions {
  readonly clock: Clock;
  readonly adapter: string;
  readonly ttlMs: number;
  /** Tells the broker. `lost` when the broker no longer knows the session. Must end by the signal. */
  readonly beat: (signal: AbortSignal) => Promise<'alive' | 'lost'>;
  /** When the last answered beat of somebody else began, on the same clock. Those count like our own. */
  readonly beatenAt?: (() => number | undefined) | undefined;
}

/** A running heartbeat. */
export interface Heartbeat {
  /** Fires when the session can no longer be trusted. */
  readonly lost: AbortSignal;
  /** Beats now instead of at the next interval. */
  hurry(): void;
  /** The broker said so on another path. */
  declareLost(why: string): void;
  stop(): void;
}

/** Share of the time to live after which the next beat is sent. Two beats may fail before trust ends. */
const beatShare = 1 / 3;
/** Share of the time to live by which the holder stops before the broker may reclaim. */
const marginShare = 0.1;

/**
 * One beat for a whole session. The holder trusts it until `requestStart + ttl - margin` on its own monotonic clock,
 * counted from before the request was sent, while the broker counts from when it arrived: the holder always stops
 * first, whatever the network does (LSE-10, the rule of River's elector). Start it before the request that opens the
 * session is sent, for the same reason.
 */
export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { clock, ttlMs } = options;
  const lost = new AbortController();
  // Every claim that waits listens: with more than ten, Node would warn of a leak.
  setMaxListeners(0, lost.signal);
  const intervalMs = ttlMs * beatShare;
  const trustMs = ttlMs * (1 - marginShare);
  let trustedUntil = clock.monotonic() + trustMs;
  let nextBeat: TimerHandle | undefined;
  let trustEnd: TimerHandle | undefined;
  let beating = false;
  let hurried = false;
  let stopped = false;

  function stop(): void {
    stopped = true;
    if (nextBeat !== undefined) clock.clearTimer(nextBeat);
    if (trustEnd !== undefined) clock.clearTimer(trustEnd);
  }

  function declareLost(why: string): void {
    if (stopped) return;
    stop();
    lost.abort(new LeaseLostError(`the session was lost: ${why}`, { adapter: options.adapter, op: 'session.beat' }));
  }

  function watchTrust(): void {
    if (trustEnd !== undefined) clock.clearTimer(trustEnd);
    trustedUntil = Math.max(trustedUntil, (options.beatenAt?.() ?? Number.NEGATIVE_INFINITY) + trustMs);
    const left = trustedUntil - clock.monotonic();
    trustEnd = clock.setTimer(
      () => {
        // The timer may have fired before a beat that was already answered got its turn.
        const beatenAt = options.beatenAt?.() ?? Number.NEGATIVE_INFINITY;
        if (clock.monotonic() >= Math.max(trustedUntil, beatenAt + trustMs)) {
          declareLost('no heartbeat was answered in time');
        } else watchTrust();
      },
      Math.max(0, left),
    );
  }

  function schedule(ms: number): void {
    if (stopped) return;
    if (nextBeat !== undefined) clock.clearTimer(nextBeat);
    nextBeat = clock.setTimer(() => void beat(), ms);
  }

  async function beat(): Promise<void> {
    if (stopped || beating) return;
    beating = true;
    hurried = false;
    const started = clock.monotonic();
    const deadline = new AbortController();
    const timer = clock.setTimer(() => deadline.abort(), intervalMs);
    let next = intervalMs;
    try {
      if ((await options.beat(deadline.signal)) === 'lost') {
        declareLost('the broker has ended it');
      } else if (!stopped) {
        trustedUntil = Math.max(trustedUntil, started + trustMs);
        watchTrust();
      }
    } catch {
      // Unreachable for now: trust runs out by itself unless a later beat gets through.
      next = intervalMs / 5;
    } finally {
      clock.clearTimer(timer);
      beating = false;
    }
    schedule(hurried ? 0 : next);
  }

  function hurry(): void {
    // The beat under way may have left before the reason to hurry: another one follows it.
    hurried = beating;
    if (!beating) schedule(0);
  }

  watchTrust();
  schedule(intervalMs);
  return { lost: lost.signal, declareLost, stop, hurry };
}
