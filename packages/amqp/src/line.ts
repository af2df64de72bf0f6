import type { Channel, ConsumeMessage, GetMessage } from 'amqplib';

/** What a line needs of its session. */
export interface LineOptions {
  readonly queue: string;
  readonly openChannel: (onEnd: (error: Error | undefined) => void) => Promise<Channel>;
  /** Makes the queue if need be; its name at the server. */
  readonly ensureQueue: () => Promise<string>;
  /** The queue was found missing. */
  readonly onMissing: () => void;
  readonly onArrival: (line: Line, message: ConsumeMessage | GetMessage) => void;
  readonly isLost: () => boolean;
  /** The channel is over. `held`: tasks were out on it, and the server gives them to somebody else. */
  readonly onLost: (error: Error | undefined, held: boolean) => void;
}

/**
 * Settles the server may have in flight per queue. Beyond 32 of them a quorum queue keeps them at the channel, and
 * they would be lost with it.
 */
const mostCommands = 24;
/** `internal-error`: RabbitMQ's answer to a subscription to a quorum queue that is just being made. */
const internalError = 541;
const renewedTag = 'renewed';
/** How often a call is tried on a new channel. */
const mostAttempts = 3;
/** Deliveries that were promised come with the next answers; after so many looks somebody else has taken them. */
const mostLooks = 4;

/**
 * One queue as a session sees it, on a channel of its own. It never has more credit at the server than somebody waits
 * for: the server counts every delivery, claimed or not, as one that may have been run. For the same reason a
 * subscription is only cancelled when its credit is used up: what is on its way when it is cancelled before would be
 * counted, too.
 */
export class Line {
  readonly queue: string;
  readonly #options: LineOptions;
  #channel: Promise<Channel> | undefined;
  #current: Channel | undefined;
  /** Credit left, by consumer tag. */
  readonly #subscriptions = new Map<string, number>();
  /** What is out, in order of delivery, and by which subscription it came. */
  readonly #unsettled = new Map<number, string>();
  readonly #cancelling = new Set<Promise<unknown>>();
  #onRenewed: ((message: ConsumeMessage) => void) | undefined;
  #prefetch = 0;
  #getting = false;
  #lastTag = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #acknowledging: Promise<unknown> = Promise.resolve();

  constructor(options: LineOptions) {
    this.queue = options.queue;
    this.#options = options;
  }

  get #mayReceive(): boolean {
    return this.#getting || this.#subscriptions.size > 0;
  }

  /** Messages the server may still send unasked. */
  get credit(): number {
    let credit = 0;
    for (const left of this.#subscriptions.values()) credit += left;
    return credit;
  }

  /** Fetches what waits now, up to a number; when it resolves, everything fetched has arrived. */
  look(limit: number): Promise<void> {
    return this.#inTurn(async (channel, name) => {
      const wanted = limit - this.credit;
      if (this.#options.isLost()) return;
      const { messageCount } = await channel.checkQueue(name);
      const credit = this.#options.isLost() ? 0 : Math.min(wanted, messageCount);
      if (credit > 0) await this.#subscribe(channel, name, credit);
      for (let looks = 0; this.credit > 0 && looks < (credit > 0 ? mostLooks : 1); looks++)
        await this.#barrier(channel);
    });
  }

  /** The same one by one: slower, but it leaves no credit behind when others are faster. */
  fetch(limit: number): Promise<void> {
    return this.#inTurn(async (channel, name) => {
      for (let count = 0; count < limit && !this.#options.isLost(); count++) {
        this.#getting = true;
        const message = await channel.get(name);
        this.#getting = false;
        if (message === false) return;
        this.#unsettled.set(message.fields.deliveryTag, `get ${message.fields.deliveryTag}`);
        this.#options.onArrival(this, message);
      }
    });
  }

  /** What was sent with the credit there is has arrived when it resolves. */
  catchUp(): Promise<void> {
    return this.credit === 0 ? Promise.resolve() : this.#inTurn((channel) => this.#barrier(channel));
  }

  /** The queue was made anew: a channel that knew the old one is not used again. */
  retire(): void {
    if (this.#current === undefined || this.#unsettled.size > 0) return;
    const channel = this.#current;
    this.#ended(undefined);
    channel.close().catch(() => {});
  }

  /** Has the next message sent as soon as there is one. */
  park(): Promise<void> {
    return this.#inTurn(async (channel, name) => {
      if (this.credit === 0 && !this.#options.isLost()) await this.#subscribe(channel, name, 1);
    });
  }

  /** The calls so far are done. Never rejects. */
  async idle(): Promise<void> {
    await this.#turn;
  }

  /** Sends nothing unasked any more. What was on its way has arrived when it resolves. */
  unpark(): Promise<void> {
    if (this.credit === 0) return Promise.resolve();
    return this.#inTurn(async (channel) => {
      for (const tag of this.#subscriptions.keys()) await channel.cancel(tag);
      this.#subscriptions.clear();
      await this.#barrier(channel);
    });
  }

  /** Everything from another queue as well, as it comes, to somebody else. */
  subscribeTo(queue: string, onArrival: (message: ConsumeMessage) => void): Promise<void> {
    return this.#inTurn(async (channel) => {
      await channel.prefetch(0);
      this.#prefetch = 0;
      this.#onRenewed = onArrival;
      await channel.consume(queue, () => {}, { consumerTag: renewedTag });
    });
  }

  /**
   * Acknowledges deliveries. `true` once the server has it for good: the answer to a later call on the same channel
   * proves that (120 of 120 acknowledgements without it were lost with the connection).
   */
  acknowledge(tags: readonly number[]): Promise<boolean> {
    const work = this.#acknowledging.then(() => this.#acknowledge(new Set(tags)));
    this.#acknowledging = work;
    return work;
  }

  async #acknowledge(tags: Set<number>): Promise<boolean> {
    try {
      const channel = await this.#channel;
      if (channel === undefined) return false;
      for (const tag of tags) if (!this.#unsettled.has(tag)) return false;
      // An acknowledgement gives credit back to the subscription it came by, if that is still there.
      await Promise.all(this.#cancelling);
      let commands = 0;
      for (const { last, multiple, count } of this.#moves(tags)) {
        if (commands + count > mostCommands) {
          await this.#logBarrier();
          commands = 0;
        }
        channel.ack({ fields: { deliveryTag: last } } as ConsumeMessage, multiple);
        commands += count;
      }
      for (const tag of tags) this.#settled(tag);
      await this.#barrier(channel);
      return true;
    } catch {
      return false;
    }
  }

  /** As few acknowledgements as possible: everything up to the first that stays out as one, the others one by one. */
  #moves(tags: Set<number>): { readonly last: number; readonly multiple: boolean; readonly count: number }[] {
    const moves: { readonly last: number; readonly multiple: boolean; readonly count: number }[] = [];
    let sources = new Set<string>();
    let last = 0;
    let contiguous = true;
    let left = tags.size;
    for (const [tag, source] of this.#unsettled) {
      if (left === 0) break;
      if (tags.has(tag)) left -= 1;
      if (contiguous && tags.has(tag)) {
        // The server settles once per subscription, so that is what counts.
        if (sources.size === mostCommands && !sources.has(source)) {
          moves.push({ last, multiple: true, count: sources.size });
          sources = new Set();
        }
        sources.add(source);
        last = tag;
        continue;
      }
      if (contiguous && sources.size > 0) moves.push({ last, multiple: true, count: sources.size });
      contiguous = false;
      if (tags.has(tag)) moves.push({ last: tag, multiple: false, count: 1 });
    }
    if (contiguous && sources.size > 0) moves.push({ last, multiple: true, count: sources.size });
    return moves;
  }

  #settled(tag: number): void {
    const source = this.#unsettled.get(tag) ?? '';
    this.#unsettled.delete(tag);
    const left = this.#subscriptions.get(source);
    if (left !== undefined) this.#subscriptions.set(source, left + 1);
  }

  /** Takes turns, so that calls of several claims do not mix. */
  #inTurn<T>(work: (channel: Channel, name: string) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => this.#attempt(work));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** A queue that was deleted is made again, and a channel that broke opened again, as long as nothing was out on it. */
  async #attempt<T>(work: (channel: Channel, name: string) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const name = await this.#options.ensureQueue();
      const channel = await this.#open();
      try {
        return await work(channel, name);
      } catch (error) {
        if (attempt === mostAttempts || this.#options.isLost()) throw error;
        if ((error as { code?: unknown }).code === 404) this.#options.onMissing();
        // The answer comes before the word that the channel is over.
        else await new Promise<void>((resolve) => setImmediate(resolve));
        if ((await this.#channel) === channel) throw error;
      }
    }
  }

  #open(): Promise<Channel> {
    this.#channel ??= this.#openChannel();
    return this.#channel;
  }

  async #openChannel(): Promise<Channel> {
    try {
      let own: Channel | undefined;
      const channel = await this.#options.openChannel((error) => {
        // Another one may be open by now.
        if (this.#current === own) this.#ended(error);
      });
      own = channel;
      this.#current = channel;
      this.#prefetch = 0;
      // amqplib's own handlers end the channel for a message that comes after its subscription was cancelled.
      channel.removeAllListeners('delivery');
      channel.removeAllListeners('cancel');
      channel.on('delivery', (message: ConsumeMessage) => this.#arrived(channel, message));
      channel.on('cancel', () => this.#cancelled(channel));
      return channel;
    } catch (error) {
      this.#channel = undefined;
      throw error;
    }
  }

  /**
   * The server ended a subscription: the queue was deleted, or a delivery was out for too long. The channel remembers
   * the old queue and would answer for that one, so it goes.
   */
  #cancelled(channel: Channel): void {
    this.#subscriptions.clear();
    this.#ended(undefined);
    channel.close().catch(() => {});
    this.#options.onMissing();
  }

  #arrived(channel: Channel, message: ConsumeMessage): void {
    const { consumerTag, deliveryTag } = message.fields;
    this.#unsettled.set(deliveryTag, consumerTag);
    if (consumerTag === renewedTag) {
      this.#onRenewed?.(message);
      return;
    }
    const left = (this.#subscriptions.get(consumerTag) ?? 0) - 1;
    if (left > 0) this.#subscriptions.set(consumerTag, left);
    else if (this.#subscriptions.delete(consumerTag)) this.#cancel(channel, consumerTag);
    this.#options.onArrival(this, message);
  }

  #cancel(channel: Channel, consumerTag: string): void {
    const cancelling = channel.cancel(consumerTag).then(
      () => {},
      () => {},
    );
    this.#cancelling.add(cancelling);
    void cancelling.then(() => this.#cancelling.delete(cancelling));
  }

  async #subscribe(channel: Channel, name: string, credit: number): Promise<void> {
    if (this.#prefetch !== credit) {
      await channel.prefetch(credit);
      this.#prefetch = credit;
    }
    // A tag of its own each time: a quorum queue counts what is out under an old one against the new credit. No bare
    // number: RabbitMQ 3.10 uses those for what is fetched one by one.
    this.#lastTag += 1;
    const consumerTag = `claim ${this.#lastTag}`;
    this.#subscriptions.set(consumerTag, credit);
    await channel.consume(name, () => {}, { consumerTag });
  }

  async #barrier(channel: Channel): Promise<void> {
    await channel.prefetch(this.#prefetch);
  }

  /** Waits until the queue has applied what was settled so far: a subscription goes through its log, behind it. */
  #logBarrier(): Promise<void> {
    return this.#inTurn((channel, name) => this.#subscribe(channel, name, 1));
  }

  #ended(error: Error | undefined): void {
    // What the server had credit to send may have been out, too; an internal error of its own it answers with nothing.
    const failed = (error as { code?: unknown } | undefined)?.code === internalError;
    const held = this.#unsettled.size > 0 || (this.#mayReceive && !failed);
    this.#channel = undefined;
    this.#current = undefined;
    this.#getting = false;
    this.#subscriptions.clear();
    this.#unsettled.clear();
    this.#options.onLost(error, held);
  }
}
