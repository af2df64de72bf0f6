import type { ClaimRequest, Clock, Delivery, Lease, TaskError, TimerHandle } from '@millrace/core';
import { sleep } from '@millrace/core/adapter';
import type { Channel } from 'amqplib';
import type { Carrier } from './carrier.ts';
import { type Arrived, deliveriesBefore, released, toDelivery, withoutDeaths } from './delivery.ts';
import { Line } from './line.ts';
import type { Memory } from './memory.ts';
import { decodeMessage, type TaskMessage, withError } from './message.ts';
import type { Topology } from './topology.ts';
import { Waiter } from './waiter.ts';

/** A delivered message whose task runs, or may run, here. */
export interface Held {
  readonly line: Line;
  /** Of the delivery that holds it; another one after a renewal. */
  tag: number;
  /** When that delivery came, monotonic milliseconds. */
  since: number;
  readonly message: TaskMessage;
  readonly lease: Lease;
  /** A settle of it is under way. */
  settling: boolean;
  /** A renewal of its delivery is under way. */
  renewing?: Promise<void> | undefined;
}

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

/** A session that ends under load waits this many times for its credit to be used up. */
const mostLingers = 15;
/** So few are fetched one by one. */
const mostFetched = 4;
/** Nobody asked for it although it came: it goes back after this long. */
const spareMs = 100;
/** A task of a name no handler here has: passed on with a growing delay, dead after about an hour of nobody. */
const firstPassMs = 100;
const longestPassMs = 60_000;
const mostPasses = 64;
/** A lane of this worker runs that name but is busy: others get the next chance. */
const busyPassMs = 500;

/** Brings messages from queues to claims, and keeps what must not run from running. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #lines = new Map<string, Line>();
  readonly #fetching = new Map<string, Line>();
  readonly #waiters = new Set<Waiter>();
  readonly #held = new Map<string, Held[]>();
  readonly #names = new Set<string>();
  #spare: Held[] = [];
  #spareTimer: TimerHandle | undefined;
  readonly #chores = new Set<Promise<void>>();
  #choresBegun = 0;
  #arrivals = 0;
  #turn = 0;
  #over = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
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
      this.#spare = this.#spare.filter((held) => !this.#offer(held));
      while (!waiter.isFull && !isOver()) {
        await this.#look(waiter, isOver);
        const leftMs = until - clock.monotonic();
        if (waiter.got.length > 0 || leftMs <= 0 || isOver()) break;
        await Promise.all(request.queues.map((queue) => this.#line(queue).park()));
        await waiter.sleep(leftMs);
      }
    } catch (error) {
      // What came before is as good as ever.
      if (waiter.got.length === 0) throw error;
    } finally {
      this.#waiters.delete(waiter);
    }
    return waiter.got.map((held) => toDelivery(held));
  }

  /** What a lease stands for, if it still stands. */
  find(lease: Lease): Held | undefined {
    if (lease.sessionId !== this.#options.sessionId) return undefined;
    return this.#held
      .get(keyOf(lease.taskId, lease.fence))
      ?.find((held) => !held.settling && held.lease.attempt === lease.attempt);
  }

  /** Everything claimed and not settled. */
  *heldTasks(): Iterable<Held> {
    for (const twins of this.#held.values()) yield* twins;
  }

  /** It has been settled. */
  drop(held: Held): void {
    this.#options.memory.letGo(held);
    const key = keyOf(held.lease.taskId, held.lease.fence);
    const left = this.#held.get(key)?.filter((each) => each !== held) ?? [];
    if (left.length === 0) this.#held.delete(key);
    else this.#held.set(key, left);
  }

  /** No claim gets anything any more. Returns everything that is here, once nothing more comes. */
  async end(lingerMs: number): Promise<Held[]> {
    this.#over = true;
    this.#wakeAll();
    // A claim may be fetching: what comes after the rest was counted would go back with the connection, and be charged.
    await Promise.all([...this.#lines.values(), ...this.#fetching.values()].map((line) => line.idle()));
    const open = (): Line[] => [...this.#lines.values()].filter((line) => line.credit > 0);
    const { clock } = this.#options;
    // Where tasks come at a rate, the next ones use the credit up; where they do not, cancelling hits none.
    const until = clock.monotonic() + mostLingers * lingerMs;
    for (let before = -1; open().length > 0 && before !== this.#arrivals && clock.monotonic() < until; ) {
      before = this.#arrivals;
      await sleep(lingerMs, undefined, clock);
    }
    await Promise.all(open().map((line) => line.unpark()));
    await Promise.all(this.#chores);
    this.#stopSpareTimer();
    const rest = [...this.#held.values()].flat().filter((held) => !held.settling);
    rest.push(...this.#spare.splice(0));
    return rest;
  }

  /** The connection is over: nothing that was here can be settled any more. */
  abandon(): void {
    this.#over = true;
    for (const held of [...this.#held.values()].flat()) this.#options.memory.letGo(held);
    this.#held.clear();
    this.#spare = [];
    this.#stopSpareTimer();
    this.#wakeAll();
  }

  /** Sends tasks back to where they came from, as if they had not been delivered. Whether that is known of all. */
  async giveBack(op: string, all: readonly Held[], delayMs = 0): Promise<boolean> {
    const { carrier, memory } = this.#options;
    const parcels = all.map((held) => ({ message: released(held), queue: held.line.queue, delayMs }));
    const problems = await carrier.send(op, parcels);
    const sent = all.filter((_held, index) => problems[index] === undefined);
    for (const held of sent) memory.end(held);
    const acknowledged = await acknowledgeAll(sent);
    return sent.length === all.length && acknowledged.every(Boolean);
  }

  async #look(waiter: Waiter, isOver: () => boolean): Promise<void> {
    const { queues } = waiter.request;
    // Each claim begins with another queue, so that none starves the others (ORD-09).
    const turn = this.#turn++ % queues.length;
    for (const queue of [...queues.slice(turn), ...queues.slice(0, turn)]) {
      for (let choresBefore = -1; choresBefore !== this.#choresBegun && !waiter.isFull && !isOver(); ) {
        choresBefore = this.#choresBegun;
        await this.#bring(queue, waiter.room);
        // What may not run was in the way of what may.
        if (choresBefore !== this.#choresBegun) await Promise.all(this.#chores);
      }
    }
  }

  /** A few are fetched one by one, more by subscribing to them. */
  async #bring(queue: string, room: number): Promise<void> {
    const line = this.#line(queue);
    if (room - line.credit > mostFetched) return line.look(room);
    await line.catchUp();
    // RabbitMQ 3.10 does not tell a channel that did both when its queue is deleted, so each has its own.
    await this.#line(queue, this.#fetching).fetch(room - line.credit);
  }

  #line(queue: string, lines: Map<string, Line> = this.#lines): Line {
    let line = lines.get(queue);
    if (line === undefined) {
      const { topology, openChannel, onLost } = this.#options;
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
    this.#arrivals += 1;
    let message: TaskMessage;
    try {
      message = decodeMessage(raw, line.queue);
    } catch (error) {
      this.#chore(() => this.#bury(line, raw, error as Error));
      return;
    }
    const before = deliveriesBefore(raw, this.#options.topology.queueType);
    const { sessionId } = this.#options;
    const attempt = message.attempt + before + 1;
    const lease = { taskId: message.id, attempt, fence: message.fence + before + 1, sessionId };
    const since = this.#options.clock.monotonic();
    const held: Held = { line, tag: raw.fields.deliveryTag, since, message, lease, settling: false };
    const chore = this.#obstacleOf(held, raw);
    if (chore !== undefined) this.#chore(chore);
    else if (!this.#offer(held)) this.#keepSpare(held);
  }

  /** What has to be done with a task that must not run now. */
  #obstacleOf(held: Held, raw: Arrived): (() => Promise<void>) | undefined {
    const { message, lease } = held;
    const { clock, topology, memory } = this.#options;
    if (memory.isCopy(held)) {
      return async () => {
        await held.line.acknowledge([held.tag]);
      };
    }
    if (message.waitMs !== undefined) return () => this.#giveBackOne(held, message.waitMs);
    if (message.expiresAt !== undefined && message.expiresAt <= clock.now()) {
      return () => this.#die(held, lease.attempt - 1, 'expired', 'it was not started in time');
    }
    if (lease.attempt > message.maxAttempts) {
      return () => this.#die(held, message.maxAttempts, 'lost', 'its worker disappeared during the last attempt');
    }
    // A classic queue only says that there was a delivery before, not how many: the copy that goes back counts it.
    if (raw.fields.redelivered && topology.queueType === 'classic') {
      return async () => {
        const charged = { ...released(held), attempt: lease.attempt - 1 };
        await this.#moveTo(held, { message: charged, queue: held.line.queue, delayMs: 0 });
      };
    }
    return undefined;
  }

  /** Gives a task to a claim that waits for it. */
  #offer(held: Held): boolean {
    if (this.#over) return false;
    for (const waiter of this.#waiters) {
      if (!waiter.wants(held.line.queue, held.message.name)) continue;
      const key = keyOf(held.lease.taskId, held.lease.fence);
      this.#held.set(key, [...(this.#held.get(key) ?? []), held]);
      this.#options.memory.hold(held);
      waiter.give(held);
      return true;
    }
    return false;
  }

  #keepSpare(held: Held): void {
    if (!this.#over && !this.#names.has(held.message.name)) {
      this.#chore(() => this.#passOn(held));
      return;
    }
    this.#spare.push(held);
    this.#spareTimer ??= this.#options.clock.setTimer(() => {
      this.#spareTimer = undefined;
      for (const each of this.#spare.splice(0)) this.#chore(() => this.#returnSpare(each));
    }, spareMs);
  }

  #returnSpare(held: Held): Promise<void> {
    // A claim that wants this queue but not this name waits: the name's own lane is busy.
    const inTheWay = [...this.#waiters].some(({ request }) => request.queues.includes(held.line.queue));
    return this.#giveBackOne(held, inTheWay ? busyPassMs : 0);
  }

  async #giveBackOne(held: Held, delayMs: number | undefined): Promise<void> {
    await this.giveBack('session.claim', [held], delayMs);
  }

  /** No handler here has this name: another worker may. Bounded, with a growing delay: never a hot loop. */
  async #passOn(held: Held): Promise<void> {
    const passed = (held.message.passed ?? 0) + 1;
    if (passed > mostPasses) {
      await this.#die(
        held,
        held.lease.attempt - 1,
        'unregistered',
        'no worker of its queue has a handler for its name',
      );
      return;
    }
    const delayMs = Math.min(longestPassMs, firstPassMs * 2 ** (passed - 1));
    await this.#moveTo(held, { message: { ...released(held), passed }, queue: held.line.queue, delayMs });
  }

  #die(held: Held, attempt: number, kind: TaskError['kind'], problem: string): Promise<void> {
    const at = this.#options.clock.now();
    const error: TaskError = { attempt, at, kind, name: 'Error', message: problem };
    const { message, lease } = held;
    const dead = {
      ...message,
      attempt,
      fence: lease.fence,
      errors: withError(message.errors, error),
      failure: kind,
      diedAt: at,
    };
    return this.#moveTo(held, { message: dead, queue: held.line.queue, delayMs: 'dead' });
  }

  async #bury(line: Line, { content, properties, fields }: Arrived, error: Error): Promise<void> {
    // Only its own server may say who published it, and an old expiration would not keep it.
    const { headers, userId: _user, expiration: _expiration, ...kept } = properties;
    const options = {
      ...kept,
      persistent: true,
      mandatory: true,
      headers: { ...withoutDeaths(headers), 'x-millrace-problem': error.message, 'x-millrace-queue': line.queue },
    };
    const problem = await this.#options.carrier.bury('session.claim', { content, options });
    if (problem === undefined) await line.acknowledge([fields.deliveryTag]);
  }

  async #moveTo(held: Held, parcel: Parameters<Carrier['send']>[1][number]): Promise<void> {
    const [problem] = await this.#options.carrier.send('session.claim', [parcel]);
    // Not sent: it stays out, and comes back with the end of this session.
    if (problem !== undefined) return;
    this.#options.memory.end(held);
    await held.line.acknowledge([held.tag]);
  }

  #chore(work: () => Promise<void>): void {
    this.#choresBegun += 1;
    const chore = work().catch(() => {});
    this.#chores.add(chore);
    void chore.then(() => this.#chores.delete(chore));
  }

  #wakeAll(): void {
    for (const waiter of this.#waiters) waiter.wake();
  }

  #stopSpareTimer(): void {
    if (this.#spareTimer !== undefined) this.#options.clock.clearTimer(this.#spareTimer);
    this.#spareTimer = undefined;
  }
}

/** Acknowledges per queue. Whether each is known to be acknowledged, in order. */
export async function acknowledgeAll(all: readonly Held[]): Promise<boolean[]> {
  const byLine = new Map<Line, Held[]>();
  for (const held of all) {
    const mine = byLine.get(held.line);
    if (mine === undefined) byLine.set(held.line, [held]);
    else mine.push(held);
  }
  const done = new Set<Held>();
  await Promise.all(
    [...byLine].map(async ([line, mine]) => {
      if (await line.acknowledge(mine.map(({ tag }) => tag))) for (const held of mine) done.add(held);
    }),
  );
  return all.map((held) => done.has(held));
}

function keyOf(taskId: string, fence: number): string {
  return `${fence}:${taskId}`;
}
