import type { Clock, TaskError } from '@millrace/core';
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
}

/** What became of tasks that were to go back. */
export interface GivenBack {
  /** They are as they were. */
  readonly unsent: readonly Held[];
  /** Whether all are known to be back. */
  readonly certain: boolean;
}

/** A task of a name no handler here has: passed on with a growing delay, dead after about an hour of nobody. */
const firstPassMs = 100;
const longestPassMs = 60_000;
const mostPasses = 64;

/** Keeps what must not run from running: sends it on, back, or to the dead, and then acknowledges it. */
export class Obstacles {
  readonly #options: ObstaclesOptions;
  readonly #chores = new Set<Promise<void>>();
  #begun = 0;

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
    if (work !== undefined) this.do(work);
    return work !== undefined;
  }

  /** Keeps a message that is no task with the dead. */
  bury(line: Line, raw: Arrived, error: Error): void {
    this.do(() => this.#bury(line, raw, error));
  }

  /** No handler here has this name: another worker may. Bounded, with a growing delay: never a hot loop. */
  passOn(held: Held): void {
    this.do(() => this.#passOn(held, unregistered));
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
    void chore.then(() => this.#chores.delete(chore));
  }

  #obstacleOf(held: Held, raw: Arrived): (() => Promise<unknown>) | undefined {
    const { message, lease } = held;
    const { clock, topology, memory, carrier } = this.#options;
    if (!carrier.isGuarded && readThin(message.headers) !== undefined) return () => this.#passOn(held, unguarded);
    if (memory.isCopy(held)) return () => held.line.acknowledge([held.tag]);
    if (message.waitMs !== undefined) return () => this.giveBack('session.claim', [held], message.waitMs);
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

  async #passOn(held: Held, problem: string): Promise<void> {
    const passed = (held.message.passed ?? 0) + 1;
    if (passed > mostPasses) {
      await this.#die(held, held.lease.attempt - 1, 'unregistered', problem);
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
}
