import { type Clock, type Duration, parseDuration, type TimerHandle, ValidationError } from '@millrace/core';
import { kindOf } from '@millrace/core/adapter';
import { Heap } from '../heap.ts';
import { turns } from './turns.ts';

interface Timer extends TimerHandle {
  readonly at: number;
  /** Timers of the same instant fire in the order they were set. */
  readonly sequence: number;
  readonly callback: () => void;
}

/** A test that sets a timer of 0 ms from its own callback would otherwise never get anywhere. */
const mostTimersPerInstant = 100_000;

/** A clock that stands still until it is told to move. It then fires what falls due on the way, in order. */
export class VirtualClock implements Clock {
  readonly #startedAt: number;
  readonly #timers = new Heap<Timer>((first, second) =>
    first.at === second.at ? first.sequence < second.sequence : first.at < second.at,
  );
  #now: number;
  #sequence = 0;
  #moving: Promise<void> = Promise.resolve();

  /** @param start where it begins. Default: 2030-01-01T00:00:00Z, the same in every run. */
  constructor(start: Date | number = Date.UTC(2030, 0, 1)) {
    this.#startedAt = instantOf(start, 'start');
    this.#now = this.#startedAt;
  }

  /** Timers that have not fired yet. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now - this.#startedAt;
  }

  setTimer(callback: () => void, ms: number): TimerHandle {
    // Whole milliseconds, rounded up: a timer never fires early, and `now` stays an epoch time of whole milliseconds.
    const at = this.#now + Math.max(0, Math.ceil(ms));
    const timer: Timer = { at, sequence: ++this.#sequence, callback };
    this.#timers.add(timer);
    return timer;
  }

  clearTimer(handle: TimerHandle): void {
    this.#timers.delete(handle as Timer);
  }

  /**
   * Moves time on. Timers that fall due fire one by one, each at its own instant, and whatever they set in motion runs
   * before the next. Calls made meanwhile follow one after the other. Rejects with what a timer's callback throws.
   * @throws ValidationError when it is not a duration
   */
  async advance(duration: Duration): Promise<void> {
    const ms = parseDuration(duration, 'duration');
    await this.#move(() => this.#now + ms);
  }

  /** Moves time to an instant; one in the past is refused. @throws ValidationError */
  async advanceTo(instant: Date | number): Promise<void> {
    const at = instantOf(instant, 'instant');
    await this.#move(() => at);
  }

  #move(target: () => number): Promise<void> {
    const moved = this.#moving.then(() => this.#run(target()));
    this.#moving = moved.catch(() => {});
    return moved;
  }

  async #run(target: number): Promise<void> {
    if (target < this.#now) throw new ValidationError('time cannot go back', { option: 'instant' });
    let firedNow = 0;
    await turns();
    for (let next = this.#timers.peek(); next !== undefined && next.at <= target; next = this.#timers.peek()) {
      firedNow = next.at === this.#now ? firedNow + 1 : 0;
      if (firedNow > mostTimersPerInstant) throw new Error('a timer sets itself again without letting time pass');
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await turns();
    }
    this.#now = target;
  }
}

function instantOf(value: Date | number, option: string): number {
  const instant: unknown = value instanceof Date ? value.getTime() : value;
  if (typeof instant === 'number' && Number.isSafeInteger(instant)) return instant;
  throw new ValidationError(`${option} must be a valid Date or epoch milliseconds; got ${kindOf(instant)}`, { option });
}
