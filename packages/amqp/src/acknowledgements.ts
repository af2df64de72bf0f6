import type { Channel, ConsumeMessage } from 'amqplib';
import type { Subscription } from './subscription.ts';

/** What acknowledging needs of a line. */
export interface AcknowledgementsOptions {
  readonly channel: () => Promise<Channel> | undefined;
  /** Subscriptions that are being cancelled are; `undefined` when none is. */
  readonly cancelled: () => Promise<unknown> | undefined;
  /** Resolves when the server has read everything written on the channel so far. */
  readonly barrier: (channel: Channel) => Promise<void>;
  /** Resolves when the queue has applied it. */
  readonly logBarrier: () => Promise<void>;
}

/**
 * Settles the server may have in flight per queue. Beyond 32 of them a quorum queue keeps them at the channel, and
 * they would be lost with it.
 */
const mostCommands = 24;

/** Acknowledgements that the server makes one settle of per subscription: everything up to `last`, or `last` alone. */
interface Move {
  readonly last: number;
  readonly multiple: boolean;
  readonly commands: number;
}

/**
 * What is out on a channel, and its acknowledgements: written at once, as few as possible, and believed when the server
 * has answered a call that came after them. One such call is under way at a time; what is written meanwhile shares the
 * next one.
 */
export class Acknowledgements {
  readonly #options: AcknowledgementsOptions;
  /** In order of delivery, and by which subscription it came. */
  readonly #out = new Map<number, Subscription>();
  readonly #unapplied = new Unapplied();
  #writing: Promise<unknown> | undefined;
  readonly #barriers: SharedBarrier;

  constructor(options: AcknowledgementsOptions) {
    this.#options = options;
    this.#barriers = new SharedBarrier(options.barrier);
  }

  /** Deliveries that are not acknowledged. */
  get out(): number {
    return this.#out.size;
  }

  /** A message came. */
  arrived(deliveryTag: number, by: Subscription): void {
    this.#out.set(deliveryTag, by);
    by.received += 1;
    by.credit -= 1;
    this.#unapplied.arrived(by);
  }

  /** Settles sent so far; see `applied`. */
  get sent(): number {
    return this.#unapplied.sent;
  }

  /** The queue has answered a call that came behind the first `sent` settles. */
  applied(sent: number): void {
    this.#unapplied.apply(sent);
  }

  /** The channel is over. */
  clear(): void {
    this.#out.clear();
    this.#unapplied.clear();
  }

  /**
   * Acknowledges deliveries. `true` once the server has it for good: the answer to a later call on the same channel
   * proves that (120 of 120 acknowledgements without it were lost with the connection).
   */
  async acknowledge(tags: readonly number[]): Promise<boolean> {
    try {
      const channel = await this.#options.channel();
      if (channel === undefined || !(await this.#write(channel, tags))) return false;
      await this.#barriers.next(channel);
      return true;
    } catch {
      return false;
    }
  }

  /** In turn: an acknowledgement of everything up to a message must not meet another one half written. */
  #write(channel: Channel, tags: readonly number[]): Promise<boolean> | boolean {
    if (this.#writing === undefined && this.#options.cancelled() === undefined) {
      const moves = this.#take(tags);
      if (moves === undefined) return false;
      const [move] = moves;
      if (moves.length === 1 && move !== undefined && this.#unapplied.count + move.commands <= mostCommands) {
        this.#send(channel, move);
        return true;
      }
      return this.#inTurn(() => this.#sendAll(channel, moves));
    }
    return this.#inTurn(async () => {
      const moves = this.#take(tags);
      return moves !== undefined && this.#sendAll(channel, moves);
    });
  }

  #inTurn(work: () => Promise<boolean>): Promise<boolean> {
    const turn = (this.#writing ?? Promise.resolve()).then(work);
    const writing = turn
      .catch(() => {})
      .then(() => {
        if (this.#writing === writing) this.#writing = undefined;
      });
    this.#writing = writing;
    return turn;
  }

  async #sendAll(channel: Channel, moves: readonly Move[]): Promise<boolean> {
    for (const move of moves) {
      if (this.#unapplied.count + move.commands > mostCommands) {
        const { sent } = this.#unapplied;
        await this.#options.logBarrier();
        this.#unapplied.apply(sent);
      }
      // An acknowledgement gives credit back to the subscription it came by, if that is still there.
      for (let open = this.#options.cancelled(); open !== undefined; open = this.#options.cancelled()) await open;
      this.#send(channel, move);
    }
    return true;
  }

  #send(channel: Channel, { last, multiple, commands }: Move): void {
    channel.ack({ fields: { deliveryTag: last } } as ConsumeMessage, multiple);
    this.#unapplied.add(commands);
  }

  /**
   * Notes them as settled, and says how: everything up to the first that stays out as one acknowledgement, the others
   * one by one. `undefined` when one of them is not out.
   */
  #take(tags: readonly number[]): Move[] | undefined {
    const wanted = new Set(tags);
    for (const tag of wanted) if (!this.#out.has(tag)) return undefined;
    const moves: Move[] = [];
    let sources = new Set<Subscription>();
    let last = 0;
    let left = wanted.size;
    for (const [tag, by] of this.#out) {
      if (left === 0 || !wanted.has(tag)) break;
      // The server settles once per subscription, so that is what counts.
      if (sources.size === mostCommands && !sources.has(by)) {
        moves.push({ last, multiple: true, commands: sources.size });
        sources = new Set();
      }
      sources.add(by);
      last = tag;
      left -= 1;
    }
    if (last > 0) moves.push({ last, multiple: true, commands: sources.size });
    if (left > 0) for (const tag of wanted) if (tag > last) moves.push({ last: tag, multiple: false, commands: 1 });
    for (const tag of wanted) this.#settled(tag);
    return moves;
  }

  #settled(tag: number): void {
    const by = this.#out.get(tag);
    this.#out.delete(tag);
    if (by === undefined) return;
    by.credit += 1;
    this.#unapplied.settled(by);
  }
}

/** One call that proves for many that what they wrote has arrived. */
export class SharedBarrier {
  readonly #ask: (channel: Channel) => Promise<void>;
  /** The one under way: it says nothing of what is written after it. */
  #current: Promise<unknown> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(ask: (channel: Channel) => Promise<void>) {
    this.#ask = ask;
  }

  /** Resolves with the answer to a call that begins after this one. */
  next(channel: Channel): Promise<void> {
    this.#next ??= this.#current.then(() => {
      const barrier = this.#ask(channel);
      this.#current = barrier.catch(() => {});
      this.#next = undefined;
      return barrier;
    });
    return this.#next;
  }
}

/**
 * How many settles a queue may not have applied yet. Where a subscription's credit is used up, a further delivery by it
 * proves that those which made room for it were applied, and all that were sent before them.
 */
class Unapplied {
  #sent = 0;
  #applied = 0;
  #latest: Subscription | undefined;
  #proof: { readonly by: Subscription; readonly received: number; readonly sent: number } | undefined;

  /** Settles so far. */
  get sent(): number {
    return this.#sent;
  }

  get count(): number {
    return this.#sent - this.#applied;
  }

  settled(by: Subscription): void {
    this.#latest = by;
  }

  add(commands: number): void {
    this.#sent += commands;
    if (this.#proof === undefined) this.#awaitProof();
  }

  arrived(by: Subscription): void {
    if (this.#proof?.by !== by || by.received < this.#proof.received) return;
    this.apply(this.#proof.sent);
  }

  /** Of all settles so far, the first ones are applied. */
  apply(sent: number): void {
    this.#applied = Math.max(this.#applied, sent);
    this.#proof = undefined;
    if (this.#sent > this.#applied) this.#awaitProof();
  }

  clear(): void {
    this.apply(this.#sent);
  }

  #awaitProof(): void {
    const by = this.#latest;
    if (by !== undefined) this.#proof = { by, received: by.most, sent: this.#sent };
  }
}
