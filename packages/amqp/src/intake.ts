import type { ClaimRequest, Clock, Delivery, Lease, TimerHandle } from '@millrace/core';
import type { Channel } from 'amqplib';
import type { Carrier } from './carrier.ts';
import { type Arrived, deliveriesBefore, toDelivery } from './delivery.ts';
import type { Held } from './held.ts';
import { Line } from './line.ts';
import type { Memory } from './memory.ts';
import { decodeMessage, type TaskMessage } from './message.ts';
import { Obstacles } from './obstacles.ts';
import type { Topology } from './topology.ts';
import { Waiter } from './waiter.ts';

/** What an intake needs of its session. */
export interface IntakeOptions {
  readonly sessionId: string;
  readonly worker: string;
  readonly topology: Topology;
  readonly carrier: Carrier;
  readonly memory: Memory;
  readonly clock: Clock;
  readonly openChannel: (onEnd: (error: Error | undefined) => void) => Promise<Channel>;
  /** Tasks that were out have gone back without a word. */
  readonly onLost: (why: string) => void;
}

/** So few are fetched one by one. */
const mostFetched = 4;
/** Nobody asked for it although it came: it goes back after this long. */
const spareMs = 100;
/** A lane of this worker runs that name but is busy: others get the next chance. */
const busyPassMs = 500;

/** Brings messages from queues to claims, and keeps what must not run from running. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #obstacles: Obstacles;
  readonly #lines = new Map<string, Line>();
  readonly #fetching = new Map<string, Line>();
  readonly #waiters = new Set<Waiter>();
  readonly #names = new Set<string>();
  /** Came before anybody asked for it; oldest first. */
  #spare: Held[] = [];
  #tendTimer: TimerHandle | undefined;
  #turn = 0;
  #over = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    // What came was not for those who wait, but it was what they had asked the server to send: they ask again.
    this.#obstacles = new Obstacles({ ...options, onCleared: () => this.#wakeAll() });
  }

  /** Up to `limit` tasks of the request; `[]` when its time is over. Rejects when the server cannot be asked. */
  async claim(request: ClaimRequest): Promise<Delivery[]> {
    const { clock } = this.#options;
    const until = clock.monotonic() + request.waitMs;
    const waiter = new Waiter(request, clock);
    for (const name of request.names) this.#names.add(name);
    this.#waiters.add(waiter);
    const isOver = (): boolean => this.#over || request.signal?.aborted === true;
    try {
      this.#giveSpares(waiter);
      while (!waiter.isFull && !isOver()) {
        await this.#look(waiter, isOver);
        const leftMs = until - clock.monotonic();
        if (waiter.got.length > 0 || leftMs <= 0 || isOver()) break;
        await Promise.all(request.queues.map((queue) => this.#line(queue).park()));
        await waiter.sleep(leftMs);
        // It need not wait for others: the next claim looks for them while this task runs.
        if (waiter.got.length > 0) break;
      }
    } catch (error) {
      // What came before is as good as ever.
      if (waiter.got.length === 0) throw error;
    } finally {
      this.#waiters.delete(waiter);
      this.#notePace(waiter);
    }
    return waiter.got.map((held) => toDelivery(held));
  }

  /** What a lease stands for, if it still stands. */
  find(lease: Lease): Held | undefined {
    return lease.sessionId === this.#options.sessionId ? this.#options.memory.find(lease) : undefined;
  }

  /** Everything claimed and not settled. */
  heldTasks(): readonly Held[] {
    return this.#options.memory.ofSession(this.#options.sessionId);
  }

  /** Its settle is under way: it leaves room for another task. */
  settling(held: Held): void {
    held.settling = true;
    held.line.claimed -= 1;
  }

  /** Its settle did not get through. */
  resume(held: Held): void {
    held.settling = false;
    held.line.claimed += 1;
  }

  /** It has been settled. */
  drop(held: Held): void {
    this.#options.memory.letGo(held);
  }

  /** No claim gets anything any more. Returns everything that is here, once nothing more comes. */
  async end(): Promise<Held[]> {
    this.#over = true;
    this.#wakeAll();
    // A claim may be fetching: what comes after the rest was counted would go back with the connection, and be charged.
    await Promise.all([...this.#lines.values(), ...this.#fetching.values()].map((line) => line.idle()));
    await Promise.all([...this.#lines.values()].map((line) => line.leave()));
    await this.#obstacles.idle();
    this.#stopTending();
    return [...this.heldTasks().filter((held) => !held.settling), ...this.#spare.splice(0)];
  }

  /** Nothing is here, and nothing will come. */
  get isAtRest(): boolean {
    return this.#spare.length === 0 && [...this.#lines.values()].every((line) => line.isAtRest);
  }

  /** The connection is over: nothing that was here can be settled any more. */
  abandon(): void {
    this.#over = true;
    for (const held of this.heldTasks()) this.#options.memory.letGo(held);
    this.#spare = [];
    this.#stopTending();
    this.#obstacles.stop();
    this.#wakeAll();
  }

  /** Sends tasks back to where they came from, as if they had not been delivered. Whether that is known of all. */
  async giveBack(op: string, all: readonly Held[]): Promise<boolean> {
    const { certain } = await this.#obstacles.giveBack(op, all);
    return certain;
  }

  async #look(waiter: Waiter, isOver: () => boolean): Promise<void> {
    const { queues } = waiter.request;
    // Each claim begins with another queue, so that none starves the others (ORD-09).
    const turn = this.#turn++ % queues.length;
    for (const queue of [...queues.slice(turn), ...queues.slice(0, turn)]) {
      for (let choresBefore = -1; choresBefore !== this.#obstacles.begun && !waiter.isFull && !isOver(); ) {
        choresBefore = this.#obstacles.begun;
        await this.#bring(queue, waiter);
        // What may not run was in the way of what may.
        if (choresBefore !== this.#obstacles.begun) await this.#obstacles.idle();
      }
    }
  }

  /** A few are fetched one by one, more by subscribing to them; where they come all the time, a subscription stands. */
  async #bring(queue: string, waiter: Waiter): Promise<void> {
    const line = this.#line(queue);
    if (line.standing > 0 || (waiter.room > mostFetched && line.pace.isSteady(this.#options.clock.monotonic()))) {
      const standing = this.#stand(line, waiter);
      // What is here does not wait for what else will come.
      if (waiter.got.length > 0) return void standing.catch(() => {});
      await standing;
      await line.catchUp();
      // Room that acknowledgements made is given by the queue in its own time, which a subscription goes behind. Who
      // waits will be brought it.
      if (waiter.got.length === 0 && waiter.request.waitMs === 0) await line.look(line.credit + 1);
      return;
    }
    if (waiter.room - line.credit > mostFetched) return line.look(waiter.room);
    await line.catchUp();
    // RabbitMQ 3.10 does not tell a channel that did both when its queue is deleted, so each has its own.
    await this.#line(queue, this.#fetching).fetch(waiter.room - line.credit);
  }

  /** Has as much sent unasked as claims want: no more may be out than what runs here and what this claim asks for. */
  #stand(line: Line, { request, room }: Waiter): Promise<void> {
    const share = Math.ceil(request.limit / request.queues.length);
    const wanted = Math.min(room, line.claimed + share - line.out) - line.credit;
    // A few more are not worth the calls.
    if (wanted < Math.max(1, share / 4)) return Promise.resolve();
    this.#tend();
    return line.stand(wanted);
  }

  #notePace({ request, got }: Waiter): void {
    const now = this.#options.clock.monotonic();
    const isFilled = request.limit > mostFetched && got.length === request.limit;
    for (const queue of request.queues) {
      const line = this.#line(queue);
      line.pace.claimed(isFilled && got.some((held) => held.line === line), now);
      if (request.signal?.aborted === true) line.sit().catch(() => {});
    }
  }

  #line(queue: string, lines: Map<string, Line> = this.#lines): Line {
    let line = lines.get(queue);
    if (line === undefined) {
      const { topology, carrier, openChannel, onLost } = this.#options;
      line = new Line({
        queue,
        openChannel,
        ensureQueue: () => topology.ensure('session.claim', queue),
        onMissing: () => {
          topology.miss(queue);
          this.#lines.get(queue)?.retire();
          this.#fetching.get(queue)?.retire();
          this.#wakeAll();
        },
        clock: this.#options.clock,
        onBlank: (from, tag) => this.#obstacles.discard(from, tag),
        sendBlanks: (count) => carrier.sendBlanks('session.end', queue, count),
        onArrival: (from, message) => this.#arrived(from, message),
        isLost: () => this.#over,
        onLost: (error, held) => {
          if (held) onLost(error?.message ?? 'its channel was closed');
          else this.#wakeAll();
        },
      });
      lines.set(queue, line);
    }
    return line;
  }

  #arrived(line: Line, raw: Arrived): void {
    const since = this.#options.clock.monotonic();
    line.pace.arrived();
    let message: TaskMessage;
    try {
      message = decodeMessage(raw, line.queue);
    } catch (error) {
      this.#obstacles.bury(line, raw, error as Error);
      return;
    }
    const before = deliveriesBefore(raw, this.#options.topology.queueType);
    const { sessionId } = this.#options;
    const attempt = message.attempt + before + 1;
    const lease = { taskId: message.id, attempt, fence: message.fence + before + 1, sessionId };
    const held: Held = { line, tag: raw.fields.deliveryTag, since, message, lease, settling: false };
    const isLast = attempt >= message.maxAttempts;
    if (isLast) line.pace.beCareful(since);
    if (this.#obstacles.remove(held, raw)) return;
    if (this.#offer(held)) return;
    this.#keepSpare(held);
    if (isLast && line.standing > 0) this.#obstacles.do(() => this.#returnLastAttempts(line));
  }

  /** Gives a task to a claim that waits for it. */
  #offer(held: Held): boolean {
    if (this.#over) return false;
    for (const waiter of this.#waiters) if (this.#give(held, waiter)) return true;
    return false;
  }

  #give(held: Held, waiter: Waiter): boolean {
    if (!waiter.wants(held.line.queue, held.message.name)) return false;
    this.#options.memory.hold(held);
    held.line.claimed += 1;
    waiter.give(held);
    return true;
  }

  #giveSpares(waiter: Waiter): void {
    if (this.#spare.length === 0 || this.#over) return;
    let taken = 0;
    while (taken < this.#spare.length && this.#give(this.#spare[taken] as Held, waiter)) taken++;
    // Usually those in front are what it wants.
    this.#spare = taken === this.#spare.length ? [] : this.#spare.slice(taken);
    if (!waiter.isFull) this.#spare = this.#spare.filter((held) => !this.#give(held, waiter));
  }

  #keepSpare(held: Held): void {
    if (!this.#over && !this.#names.has(held.message.name)) {
      this.#obstacles.passOn(held);
      return;
    }
    this.#spare.push(held);
    this.#tend();
  }

  /** Looks after what was sent unasked, for as long as there is any. */
  #tend(): void {
    this.#tendTimer ??= this.#options.clock.setTimer(() => {
      this.#tendTimer = undefined;
      this.#returnOldSpares();
      for (const line of this.#lines.values()) {
        // A subscription that brings less than it could in such a time need not stand.
        if (line.standing > line.pace.takeArrived()) line.sit().catch(() => {});
      }
      if (this.#spare.length > 0 || [...this.#lines.values()].some((line) => line.standing > 0)) this.#tend();
    }, spareMs);
  }

  #returnOldSpares(): void {
    const before = this.#options.clock.monotonic() - spareMs / 2;
    const fresh = this.#spare.findIndex(({ since }) => since > before);
    const old = fresh === 0 ? [] : this.#spare.splice(0, fresh === -1 ? this.#spare.length : fresh);
    for (const [line, mine] of byLine(old)) {
      line.pace.beCareful(before);
      // A claim that wants this queue but not this name waits: the name's own lane is busy.
      const inTheWay = [...this.#waiters].some(({ request }) => request.queues.includes(line.queue));
      this.#obstacles.do(() => this.#return(line, mine, inTheWay ? busyPassMs : 0));
    }
  }

  /** The last attempt of a task must not be used up by waiting here for a slot. */
  async #returnLastAttempts(line: Line): Promise<void> {
    const isLast = ({ line: its, lease, message }: Held): boolean =>
      its === line && lease.attempt >= message.maxAttempts;
    await line.sit();
    const last = this.#spare.filter(isLast);
    this.#spare = this.#spare.filter((held) => !isLast(held));
    await this.#return(line, last, 0);
  }

  /**
   * First nothing more is sent for it: what is acknowledged would be replaced. What cannot go back stays here for the
   * next claim: held by a session that goes on, it would otherwise be given to nobody.
   */
  async #return(line: Line, spares: readonly Held[], delayMs: number): Promise<void> {
    let left = spares;
    try {
      await line.sit();
      left = (await this.#obstacles.giveBack('session.claim', spares, delayMs)).unsent;
    } finally {
      if (left.length > 0 && !this.#over) {
        this.#spare = [...left, ...this.#spare];
        this.#tend();
      }
    }
  }

  #wakeAll(): void {
    for (const waiter of this.#waiters) waiter.wake();
  }

  #stopTending(): void {
    if (this.#tendTimer !== undefined) this.#options.clock.clearTimer(this.#tendTimer);
    this.#tendTimer = undefined;
  }
}

function byLine(all: readonly Held[]): Map<Line, Held[]> {
  const lines = new Map<Line, Held[]>();
  for (const held of all) {
    const mine = lines.get(held.line);
    if (mine === undefined) lines.set(held.line, [held]);
    else mine.push(held);
  }
  return lines;
}
