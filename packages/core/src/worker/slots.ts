import type { Clock } from '../clock.ts';

/** What shares the slots of a worker: a lane. */
export interface SlotTaker {
  /** Tasks claimed and not started. */
  readonly held: number;
  /** Starts one of them. Returns whether it did. */
  startOne(): boolean;
  /** Whether it would claim if it had a slot. */
  readonly wantsSlot: boolean;
  /** Starts what it can, and goes on claiming if there is room. */
  pump(): void;
  /** Goes on claiming if there is room. */
  wake(): void;
}

/**
 * How often a lane that was found empty is given a slot to look for work while others have work at hand. Each look
 * leaves one slot idle for one round trip.
 */
const lookPauseMs = 100;

/**
 * Divides the slots of a worker between its lanes. A slot that becomes free goes to the lane served longest ago which
 * has something to start. A lane without a slot cannot know whether there is work for it, so in its turn it gets a
 * slot to look with: no flood in one lane keeps another from its work.
 */
export class Slots<Taker extends SlotTaker> {
  readonly #clock: Clock;
  readonly #concurrency: number;
  readonly #running: () => number;
  /** Least recently served first. */
  readonly #takers = new Set<Taker>();
  /** The taker, if there is no other: asked at the end of every run. */
  #only: Taker | undefined;
  /** Holding a slot to look for work with. */
  readonly #looking = new Set<Taker>();
  /** Found work when they looked last, or were brought work they had no slot for. */
  readonly #hopeful = new Set<Taker>();
  #nextLook = Number.NEGATIVE_INFINITY;
  #sharing = false;

  constructor(clock: Clock, concurrency: number, running: () => number) {
    this.#clock = clock;
    this.#concurrency = concurrency;
    this.#running = running;
  }

  add(taker: Taker): void {
    this.#takers.add(taker);
    this.#only = this.#takers.size === 1 ? taker : undefined;
  }

  /** Slots a lane may fill now. */
  freeFor(taker: Taker): number {
    return this.#free() + (this.#looking.has(taker) ? 1 : 0);
  }

  /** Whether the lane was given a slot to look with: it must not wait for work then. */
  isLooking(taker: Taker): boolean {
    return this.#looking.has(taker);
  }

  /** A lane has looked, in vain or not; its slot is free again for whoever is next. */
  looked(taker: Taker, found: boolean): void {
    if (found) this.#hopeful.add(taker);
    else this.#hopeful.delete(taker);
    if (this.#looking.delete(taker)) this.share();
  }

  /** Gives free slots away. */
  share(): void {
    // Handlers that end at once free their slot while it is being given away.
    if (this.#sharing) return;
    if (this.#only !== undefined) {
      this.#only.pump();
      return;
    }
    this.#sharing = true;
    this.#serveInTurn();
    this.#sharing = false;
    for (const taker of this.#takers) taker.wake();
  }

  #serveInTurn(): void {
    // Whoever is served moves to the end and is met again there.
    for (const taker of this.#takers) {
      if (this.#free() <= 0) return;
      if (!this.#serve(taker)) continue;
      this.#takers.delete(taker);
      this.#takers.add(taker);
    }
  }

  #serve(taker: Taker): boolean {
    if (taker.held > 0) return taker.startOne();
    if (!taker.wantsSlot || this.#looking.has(taker) || !this.#othersWait(taker)) return false;
    if (!this.#hopeful.has(taker)) {
      const now = this.#clock.monotonic();
      if (now < this.#nextLook) return false;
      this.#nextLook = now + lookPauseMs;
    }
    this.#looking.add(taker);
    taker.wake();
    return true;
  }

  /** Alone, a lane simply claims for all free slots and waits for work. */
  #othersWait(taker: Taker): boolean {
    for (const other of this.#takers) if (other !== taker && (other.held > 0 || other.wantsSlot)) return true;
    return false;
  }

  #free(): number {
    return this.#concurrency - this.#running() - this.#looking.size;
  }
}
