import type { Clock, TaskError, TimerHandle } from '@millrace/core';
import { reconnectDelay } from '@millrace/core/adapter';
import type { Carrier } from './carrier.ts';
import { type Arrived, released, withoutDeaths } from './delivery.ts';
import { acknowledgeAll, type Held } from './held.ts';
import type { Line } from './line.ts';
import type { Memory } from './memory.ts';
import { withError } from './message.ts';
import { readThin, unguarded, unregistered } from './thin-message.ts';
import type { Topology } from './topology.ts';

/** What dealing with obstacles needs of a session. */
export interface ObstaclesOptions {
  readonly topology: Topology;
  readonly carrier: Carrier;
  readonly memory: Memory;
  readonly clock: Clock;
  /** Something that was in the way is not any more. */
  readonly onCleared: () => void;
}

/** What became of tasks that were to go back. */
export interface GivenBack {
  /** They are as they were. */
  readonly unsent: readonly Held[];
  /** Whether all are known to be back. */
  readonly certain: boolean;
}

/** Deals with a message that must not run; whether that is done. */
type Deal = () => Promise<boolean>;

/** A task of a name no handler here has: passed on with a growing delay, dead after about an hour of nobody. */
const firstPassMs = 100;
const longestPassMs = 60_000;
const mostPasses = 64;

/** Keeps what must not run from running: sends it on, back, or to the dead, and then acknowledges it. */
export class Obstacles {
  readonly #options: ObstaclesOptions;
  readonly #chores = new Set<Promise<void>>();
  readonly #retries = new Set<TimerHandle>();
  #begun = 0;
  #over = false;

  constructor(options: ObstaclesOptions) {
    this.#options = options;
  }

  /** How often there was something to be done. */
  get begun(): number {
    return this.#begun;
  }

  /** Everything begun so far is done. */
  async idle(): Promise<void> {
    await Promise.all(this.#chores);
  }

  /** Does what has to be done with a task that must not run now; `false` when it may. */
  remove(held: Held, raw: Arrived): boolean {
    const work = this.#obstacleOf(held, raw);
    if (work !== undefined) this.#deal(work);
    return work !== undefined;
  }

  /** Keeps a message that is no task with the dead. */
  bury(line: Line, raw: Arrived, error: Error): void {
    this.#deal(() => this.#bury(line, raw, error));
  }

  /** Throws a blank away. */
  discard(line: Line, tag: number): void {
    this.#deal(() => this.#acknowledge(line, tag));
  }

  /** No handler here has this name: another worker may. Bounded, with a growing delay: never a hot loop. */
  passOn(held: Held): void {
    this.#deal(() => this.#passOn(held, unregistered));
  }

  /** The session is over: what is still here goes back with it. */
  stop(): void {
    this.#over = true;
    for (const timer of this.#retries) this.#options.clock.clearTimer(timer);
    this.#retries.clear();
  }

  /** Sends tasks back to where they came from, as if they had not been delivered. */
  async giveBack(op: string, all: readonly Held[], delayMs = 0): Promise<GivenBack> {
    const { carrier, memory } = this.#options;
    const parcels = all.map((held) => ({ message: released(held), queue: held.line.queue, delayMs }));
    const problems = await carrier.send(op, parcels);
    const sent = all.filter((_held, index) => problems[index] === undefined);
    for (const held of sent) memory.end(held);
    const acknowledged = await acknowledgeAll(sent);
    const unsent = sent.length === all.length ? [] : all.filter((_held, index) => problems[index] !== undefined);
    return { unsent, certain: unsent.length === 0 && acknowledged.every(Boolean) };
  }

  /** Does something beside the claims; those that find nothing wait for it. */
  do(work: () => Promise<unknown>): void {
    this.#begun += 1;
    const chore = work().then(
      () => {},
      () => {},
    );
    this.#chores.add(chore);
    void chore.then(() => {
      this.#chores.delete(chore);
      this.#options.onCleared();
    });
  }

  /**
   * Does it, and again later where it could not be done: the message would stay with a session that goes on, seen by
   * nobody, until the server loses patience with what is out for too long and ends the session.
   */
  #deal(work: Deal, failures = 0): void {
    this.do(async () => {
      const isDone = await work().catch(() => false);
      if (isDone || this.#over) return;
      const { clock } = this.#options;
      const retry = clock.setTimer(
        () => {
          this.#retries.delete(retry);
          this.#deal(work, failures + 1);
        },
        reconnectDelay(failures + 1),
      );
      this.#retries.add(retry);
    });
  }

  #obstacleOf(held: Held, raw: Arrived): Deal | undefined {
    const { message, lease } = held;
    const { clock, topology, memory, carrier } = this.#options;
    if (!carrier.isGuarded && readThin(message.headers) !== undefined) return () => this.#passOn(held, unguarded);
    if (memory.isCopy(held)) return () => this.#acknowledge(held.line, held.tag);
    if (message.waitMs !== undefined) {
      return async () => (await this.giveBack('session.claim', [held], message.waitMs)).unsent.length === 0;
    }
    if (message.expiresAt !== undefined && message.expiresAt <= clock.now()) {
      return () => this.#die(held, lease.attempt - 1, 'expired', 'it was not started in time');
    }
    if (lease.attempt > message.maxAttempts) {
      return () => this.#die(held, message.maxAttempts, 'lost', 'its worker disappeared during the last attempt');
    }
    // A classic queue only says that there was a delivery before, not how many: the copy that goes back counts it.
    if (raw.fields.redelivered && topology.queueType === 'classic') {
      const charged = { ...released(held), attempt: lease.attempt - 1 };
      return () => this.#moveTo(held, { message: charged, queue: held.line.queue, delayMs: 0 });
    }
    return undefined;
  }

  async #passOn(held: Held, problem: string): Promise<boolean> {
    const passed = (held.message.passed ?? 0) + 1;
    if (passed > mostPasses) return this.#die(held, held.lease.attempt - 1, 'unregistered', problem);
    const delayMs = Math.min(longestPassMs, firstPassMs * 2 ** (passed - 1));
    return this.#moveTo(held, { message: { ...released(held), passed }, queue: held.line.queue, delayMs });
  }

  #die(held: Held, attempt: number, kind: TaskError['kind'], problem: string): Promise<boolean> {
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

  async #bury(line: Line, { content, properties, fields }: Arrived, error: Error): Promise<boolean> {
    // Only its own server may say who published it, and an old expiration would not keep it.
    const { headers, userId: _user, expiration: _expiration, ...kept } = properties;
    const options = {
      ...kept,
      persistent: true,
      mandatory: true,
      headers: { ...withoutDeaths(headers), 'x-millrace-problem': error.message, 'x-millrace-queue': line.queue },
    };
    const problem = await this.#options.carrier.bury('session.claim', { content, options });
    return problem === undefined && this.#acknowledge(line, fields.deliveryTag);
  }

  async #moveTo(held: Held, parcel: Parameters<Carrier['send']>[1][number]): Promise<boolean> {
    const [problem] = await this.#options.carrier.send('session.claim', [parcel]);
    if (problem !== undefined) return false;
    this.#options.memory.end(held);
    return this.#acknowledge(held.line, held.tag);
  }

  /** Without an answer the channel is over, and with it the session. */
  async #acknowledge(line: Line, tag: number): Promise<true> {
    await line.acknowledge([tag]);
    return true;
  }
}
