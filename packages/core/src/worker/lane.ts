import { reconnectDelay, sleep } from '../adapter/deadline.ts';
import type { Delivery, Session } from '../broker/session.ts';
import type { Clock, TimerHandle } from '../clock.ts';
import { isMillraceError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Handler } from './handle.ts';
import type { SlotTaker } from './slots.ts';

/** What a lane needs from its worker. */
export interface LaneSupport {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly session: () => Promise<Session>;
  /** Aborts when the worker stops claiming. */
  readonly stop: AbortSignal;
  /** How many more runs the worker as a whole leaves to this lane. */
  readonly freeSlots: (lane: Lane) => number;
  /** Whether one of them is lent to look for work: the claim must not wait for any. */
  readonly isLooking: (lane: Lane) => boolean;
  /** A claim is over, or tasks came that found no slot. */
  readonly looked: (lane: Lane, found: boolean) => void;
  /** Resolves when what has ended in this turn of the event loop is on its way; `undefined` when nothing has. */
  readonly departure: () => Promise<void> | undefined;
  /** Whether unanswered settles have piled up. */
  readonly isCongested: () => boolean;
  readonly start: (delivery: Delivery, session: Session, handler: Handler) => void;
  readonly release: (delivery: Delivery, session: Session) => void;
  /** Whether the broker is told that a last attempt begins: only then may one wait here for a slot (LSE-16). */
  readonly marksLastAttempts: boolean;
  readonly maxClaim: number;
  /** Tasks claimed ahead of free slots: a number, or `auto` from how long handlers take. */
  readonly prefetch: number | 'auto';
}

/** A task claimed ahead, and the session that holds it. */
export interface Held {
  readonly delivery: Delivery;
  readonly session: Session;
  /** When it came, on the worker's monotonic clock. */
  readonly since: number;
}

/** Work to keep at hand while the next claim is under way, in milliseconds of all slots. */
const lookAheadMs = 50;
/** A task claimed ahead that has not begun after this long is handed back: handlers have become slow meanwhile. */
const longestAheadMs = 1_000;
/** Nothing is claimed ahead for this long after a last attempt came that must not wait for a slot. */
const longestCareMs = 1_000;
/** How long the event loop may be kept from I/O by starting handlers. */
const sliceMs = 10;
/** One long poll. It is asked again at once; a shorter one only costs round trips. */
const waitMs = 20_000;

/**
 * Claims and starts tasks for handlers that share a limit: all without one of their own, or exactly one with. It asks
 * for what its free slots can take, plus a look-ahead that hides the round trip: as many tasks as the slots can work
 * off in 50 ms, judged by how long handlers took so far. Slow handlers therefore claim nothing ahead.
 */
export class Lane implements SlotTaker {
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly #concurrency: number;
  readonly #queues: readonly string[];
  readonly #names: readonly string[];
  readonly #support: LaneSupport;
  #held: Held[] = [];
  #active = 0;
  /** Moving average of a run's duration; unknown until the first one ended. */
  #averageMs = Number.POSITIVE_INFINITY;
  /** Most that may stay in line after the claim just answered, should no slot be free. */
  #mostAhead = Number.POSITIVE_INFINITY;
  /** Until when handlers may be started in this turn of the event loop; unknown before the first. */
  #sliceEnd: number | undefined;
  #ageTimer: TimerHandle | undefined;
  /** Last attempts came that must begin at once or go back. */
  #broughtLastAttempts = false;
  #carefulUntil = Number.NEGATIVE_INFINITY;
  #pumping = false;
  #resumeClaiming: (() => void) | undefined;

  constructor(handlers: readonly Handler[], concurrency: number, queues: readonly string[], support: LaneSupport) {
    this.handlers = new Map(handlers.map((handler) => [handler.definition.name, handler]));
    this.#concurrency = concurrency;
    this.#queues = queues;
    this.#names = [...this.handlers.keys()];
    this.#support = support;
  }

  get held(): number {
    return this.#held.length;
  }

  /** Has nothing at hand, and waits for a slot before it claims. */
  get wantsSlot(): boolean {
    const waits = this.#resumeClaiming !== undefined && this.#held.length === 0;
    return waits && this.#active < this.#concurrency && !this.#support.isCongested();
  }

  /** Claims until the worker stops. Survives whatever the broker does. */
  async run(): Promise<void> {
    const { clock, logger, stop } = this.#support;
    for (let failures = 0; !stop.aborted; ) {
      // Settles first: a broker may do both in one step, and one claim takes all the room this turn makes. With tasks at
      // hand, what counts is to ask early.
      const departure = this.#held.length === 0 ? this.#support.departure() : undefined;
      if (departure !== undefined) await departure;
      const room = this.#room();
      if (room === 0) {
        // A congestion came in between: the slot is somebody else's.
        if (this.#support.isLooking(this)) this.#support.looked(this, false);
        await this.#roomAppears();
        continue;
      }
      let found = false;
      try {
        found = await this.#claim(room);
        if (failures > 0) logger.info({ queues: this.#queues }, 'claims work again');
        failures = 0;
      } catch (error) {
        if (stop.aborted) return;
        failures++;
        // A lost session has been reported already; the next claim opens another one, at once but only once.
        if (failures === 1 && isMillraceError(error, 'LEASE_LOST')) continue;
        logger.warn({ error, failures, queues: this.#queues }, 'cannot claim tasks; trying again');
        this.#support.looked(this, false);
        await sleep(reconnectDelay(failures), stop, clock);
      } finally {
        this.#support.looked(this, found);
      }
    }
  }

  /** Whether there was work. */
  async #claim(limit: number): Promise<boolean> {
    const session = await this.#support.session();
    if (this.#support.stop.aborted) return false;
    // What may stay in line although no slot is free: what is there, and what is claimed beyond the free slots.
    const ahead = this.#held.length + Math.max(0, limit - this.#freeSlots());
    const deliveries = await session.claim({
      queues: this.#queues,
      names: this.#names,
      limit,
      waitMs: this.#support.isLooking(this) ? 0 : waitMs,
      signal: this.#support.stop,
    });
    // Lost while the answer was on its way: the tasks are somebody else's, and the loss was announced before them.
    if (session.lost.aborted) return false;
    this.#hold(deliveries, session);
    if (this.#support.stop.aborted) {
      this.#giveBack(0);
      return false;
    }
    this.#mostAhead = ahead;
    // Quick handlers would keep the event loop from sending the next claim until all of these are done.
    if (deliveries.length > this.#concurrency && !this.#pumping) this.#pumpNextTurn();
    else this.pump();
    return deliveries.length > 0;
  }

  #hold(deliveries: readonly Delivery[], session: Session): void {
    const since = this.#support.clock.monotonic();
    for (const delivery of deliveries) {
      this.#held.push({ delivery, session, since });
      if (isLastAttempt(delivery) && !this.#support.marksLastAttempts) this.#broughtLastAttempts = true;
    }
  }

  /** How many more to claim now; 0 while enough is at hand. */
  #room(): number {
    if (this.#support.isCongested()) return 0;
    const ahead = this.#lookAhead();
    const wanted = this.#freeSlots() + ahead - this.#held.length;
    // Below half of the look-ahead one claim refills it; claiming at every finished task would undo the batching.
    if (wanted <= 0 || (this.#held.length > ahead / 2 && this.#held.length > 0)) return 0;
    return Math.min(wanted, this.#support.maxClaim);
  }

  #freeSlots(): number {
    return Math.min(this.#concurrency - this.#active, this.#support.freeSlots(this));
  }

  #lookAhead(): number {
    const { prefetch, clock } = this.#support;
    if (this.#carefulUntil > 0 && clock.monotonic() < this.#carefulUntil) return 0;
    if (prefetch !== 'auto') return prefetch;
    // One claim at hand while another is on its way.
    const most = 2 * this.#support.maxClaim;
    return Math.min(most, Math.floor((this.#concurrency * lookAheadMs) / this.#averageMs));
  }

  #roomAppears(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#support.stop.removeEventListener('abort', done);
        this.#resumeClaiming = undefined;
        resolve();
      };
      this.#support.stop.addEventListener('abort', done, { once: true });
      this.#resumeClaiming = done;
      if (this.#support.stop.aborted) done();
    });
  }

  /** Starts what is held while slots are free, in slices so that handlers cannot keep the event loop from I/O. */
  pump(): void {
    if (this.#pumping) return;
    while (this.startOne());
    // The rest of a slice: it goes on in the next turn of the event loop.
    if (this.#pumping) return;
    if (this.#broughtLastAttempts) this.#giveLastAttemptsBack();
    // Another lane took slots since the claim: what cannot start soon must not keep idle workers elsewhere waiting.
    // One stays for a while: the next slot goes to it, if this lane was served longest ago.
    const keep = this.#support.prefetch === 'auto' ? Math.max(1, this.#mostAhead) : this.#mostAhead;
    if (this.#held.length > keep && this.#freeSlots() <= 0) this.#giveBack(keep);
    this.#mostAhead = Number.POSITIVE_INFINITY;
    if (this.#held.length > 0 && this.#support.prefetch === 'auto') this.#watchAge();
    this.wake();
  }

  /** A last attempt that waits for a slot would count as lost if this process died. */
  #giveLastAttemptsBack(): void {
    this.#broughtLastAttempts = false;
    this.#carefulUntil = this.#support.clock.monotonic() + longestCareMs;
    const waiting = this.#held.filter(({ delivery }) => isLastAttempt(delivery));
    if (waiting.length === 0) return;
    this.#held = this.#held.filter(({ delivery }) => !isLastAttempt(delivery));
    for (const { delivery, session } of waiting) this.#support.release(delivery, session);
  }

  /** What was claimed ahead for quick handlers must not wait behind slow ones while other workers are idle. */
  #watchAge(): void {
    const [oldest] = this.#held;
    if (oldest === undefined || this.#ageTimer !== undefined) return;
    const { clock } = this.#support;
    const left = oldest.since + longestAheadMs - clock.monotonic();
    this.#ageTimer = clock.setTimer(() => {
      this.#ageTimer = undefined;
      const [first] = this.#held;
      if (first !== undefined && clock.monotonic() - first.since >= longestAheadMs) {
        this.#averageMs = Number.POSITIVE_INFINITY;
        this.#giveBack(0);
      }
      this.#watchAge();
    }, left);
  }

  /** Starts the first task in line, if there is a slot for it and the event loop is not owed a turn. */
  startOne(): boolean {
    if (this.#pumping || this.#support.stop.aborted || this.#freeSlots() <= 0) return false;
    const handler = this.#handlerOfNext();
    if (handler === undefined) return false;
    if (this.#sliceEnd === undefined) {
      this.#beginSlice();
    } else if (performance.now() > this.#sliceEnd) {
      this.#pumpNextTurn();
      return false;
    }
    const { delivery, session } = this.#held.shift() as Held;
    this.#active++;
    this.#pumping = true;
    this.#support.start(delivery, session, handler);
    this.#pumping = false;
    return true;
  }

  /** Hands back what came although no handler is here for it. */
  #handlerOfNext(): Handler | undefined {
    for (let next = this.#held[0]; next !== undefined; next = this.#held[0]) {
      const handler = this.handlers.get(next.delivery.name);
      if (handler !== undefined) return handler;
      this.#held.shift();
      this.#support.release(next.delivery, next.session);
    }
    return undefined;
  }

  /** The first start of a turn is never refused: a lane that starts rarely would lose its slot to one that starts often. */
  #beginSlice(): void {
    this.#sliceEnd = performance.now() + sliceMs;
    setImmediate(() => {
      this.#sliceEnd = undefined;
    });
  }

  #pumpNextTurn(): void {
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.pump();
    });
  }

  /** A run has ended and its slot is free. */
  finished(durationMs: number): void {
    this.#active--;
    this.#averageMs =
      this.#averageMs === Number.POSITIVE_INFINITY ? durationMs : this.#averageMs * 0.9 + durationMs * 0.1;
  }

  /** Hands back what was claimed ahead, down to a number. */
  #giveBack(keep: number): void {
    const excess = this.#held.splice(keep);
    for (const { delivery, session } of excess) this.#support.release(delivery, session);
  }

  /** Hands back everything not started yet. */
  releaseAll(): void {
    if (this.#ageTimer !== undefined) this.#support.clock.clearTimer(this.#ageTimer);
    this.#giveBack(0);
  }

  /** Takes a task that has not begun out of the line; `undefined` when it is not there. */
  withdraw(taskId: string, fence: number): Held | undefined {
    const index = this.#held.findIndex(({ delivery: { lease } }) => lease.taskId === taskId && lease.fence === fence);
    return index < 0 ? undefined : this.#held.splice(index, 1)[0];
  }

  /** The session is gone, and what it held with it. */
  drop(session: Session): void {
    this.#held = this.#held.filter((held) => held.session !== session);
  }

  /** Looks again whether to claim: a congestion has ended. */
  wake(): void {
    if (this.#resumeClaiming !== undefined && this.#room() > 0) this.#resumeClaiming();
  }
}

function isLastAttempt({ lease, maxAttempts }: Delivery): boolean {
  return lease.attempt >= maxAttempts;
}
