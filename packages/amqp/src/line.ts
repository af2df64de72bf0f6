import type { Clock } from '@millrace/core';
import { sleep } from '@millrace/core/adapter';
import type { Channel, ConsumeMessage, GetMessage } from 'amqplib';
import { Acknowledgements } from './acknowledgements.ts';
import { isBlank } from './blank.ts';
import { Pace } from './pace.ts';
import { Subscription } from './subscription.ts';

/** What a line needs of its session. */
export interface LineOptions {
  readonly queue: string;
  readonly openChannel: (onEnd: (error: Error | undefined) => void) => Promise<Channel>;
  /** Makes the queue if need be; its name at the server. */
  readonly ensureQueue: () => Promise<string>;
  /** The queue was found missing. */
  readonly onMissing: () => void;
  readonly onArrival: (line: Line, message: ConsumeMessage | GetMessage) => void;
  /** Somebody else left a message that is no task. */
  readonly onBlank: (line: Line, deliveryTag: number) => void;
  /** Puts so many blanks into the queue. Never rejects. */
  readonly sendBlanks: (count: number) => Promise<void>;
  readonly clock: Clock;
  readonly isLost: () => boolean;
  /** The channel is over. `held`: tasks were out on it, and the server gives them to somebody else. */
  readonly onLost: (error: Error | undefined, held: boolean) => void;
}

/** `internal-error`: RabbitMQ's answer to a subscription to a quorum queue that is just being made. */
const internalError = 541;
const renewedTag = 'renewed';
/** How often a call is tried on a new channel. */
const mostAttempts = 3;
/** Deliveries that were promised come with the next answers; after so many looks somebody else has taken them. */
const mostLooks = 4;
/** So few are for those who wait for the next task. */
const mostParked = 4;
/** What takes the messages that come while subscriptions are cancelled; more of it where they come fast. */
const bridgeCredits = [16, 64] as const;
/** Blanks come at once where the queue is led by the node they were sent to, else a little later. */
const mostBlankLooks = 20;
const blankLookMs = 10;
/** Those of one who leaves at the same time may have been taken for his own. */
const mostBlankRounds = 3;

/**
 * One queue as a session sees it, on a channel of its own. The server counts every delivery, claimed or not, as one
 * that may have been run. So a line has no more credit at the server than somebody waits for or will soon, and a
 * subscription is cancelled when its credit is used up and not before: what is on its way when it is cancelled would be
 * counted, too.
 */
export class Line {
  readonly queue: string;
  readonly #options: LineOptions;
  readonly #acknowledgements: Acknowledgements;
  #channel: Promise<Channel> | undefined;
  #current: Channel | undefined;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #cancelling = new Set<Promise<unknown>>();
  /** Take what comes while others are cancelled. */
  readonly #bridges = new Set<Subscription>();
  /** Brought by them. */
  readonly #blanks: number[] = [];
  #ending: Promise<void> = Promise.resolve();
  #onRenewed: ((message: ConsumeMessage) => void) | undefined;
  #prefetch = 0;
  #getting = false;
  #lastTag = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #raising: Promise<void> | undefined;
  /** How its claims come. */
  readonly pace: Pace = new Pace();
  /** Tasks of it that were given to claims and are not being settled. */
  claimed = 0;

  constructor(options: LineOptions) {
    this.queue = options.queue;
    this.#options = options;
    this.#acknowledgements = new Acknowledgements({
      channel: () => this.#channel,
      cancelled: () => (this.#cancelling.size === 0 ? undefined : Promise.all(this.#cancelling)),
      barrier: (channel) => this.#barrier(channel),
      // A subscription goes through the queue's log, behind what was settled before it.
      logBarrier: () => this.#inTurn(async (channel, name) => void (await this.#subscribe(channel, name, 1))),
    });
  }

  get #mayReceive(): boolean {
    return this.#getting || this.#subscriptions.size > 0;
  }

  /** Nothing is sent unasked. */
  get isAtRest(): boolean {
    return this.#subscriptions.size === 0;
  }

  /** Messages the server may still send unasked. */
  get credit(): number {
    let credit = 0;
    for (const subscription of this.#subscriptions.values()) credit += subscription.credit;
    return credit;
  }

  /** How many messages may be out, acknowledged ones being replaced at once; 0 without a standing subscription. */
  get standing(): number {
    let standing = 0;
    for (const { kept, size } of this.#subscriptions.values()) if (kept) standing += size;
    return standing;
  }

  /** Deliveries that are not acknowledged. */
  get out(): number {
    return this.#acknowledgements.out;
  }

  /** Brings what waits now, up to a number; when it resolves, everything brought has arrived. */
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
        const { sent } = this.#acknowledgements;
        const message = await channel.get(name);
        this.#acknowledgements.applied(sent);
        this.#getting = false;
        if (message === false) return;
        this.#acknowledgements.arrived(message.fields.deliveryTag, new Subscription('get', 1));
        if (isBlank(message)) this.#options.onBlank(this, message.fields.deliveryTag);
        else this.#options.onArrival(this, message);
      }
    });
  }

  /** What was sent with the credit there is has arrived when it resolves. */
  catchUp(): Promise<void> {
    return this.credit === 0 ? Promise.resolve() : this.#inTurn((channel) => this.#barrier(channel));
  }

  /** The queue was made anew: a channel that knew the old one is not used again. */
  retire(): void {
    if (this.#current === undefined || this.out > 0) return;
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

  /** Has that many more messages sent, now and whenever some of them are acknowledged. */
  stand(more: number): Promise<void> {
    this.#raising ??= this.#inTurn(async (channel, name) => {
      if (!this.#options.isLost()) await this.#subscribe(channel, name, more, true);
    }).finally(() => {
      this.#raising = undefined;
    });
    return this.#raising;
  }

  /** Ends what `stand` began, without a message that is just being sent by it. */
  sit(): Promise<void> {
    return this.#endSubscriptions(({ size }) => size > mostParked);
  }

  /** Has nothing sent unasked any more. What was sent has arrived when it resolves, and none was being sent. */
  leave(): Promise<void> {
    return this.#endSubscriptions(() => true);
  }

  /** One after the other: what the acknowledgements of one may have had sent is for the next to end. */
  #endSubscriptions(isToEnd: (subscription: Subscription) => boolean): Promise<void> {
    for (const subscription of this.#subscriptions.values()) {
      if (!subscription.kept) continue;
      subscription.kept = false;
      if (subscription.credit === 0 && this.#current !== undefined) this.#cancel(this.#current, subscription.tag);
    }
    this.#ending = this.#ending
      .catch(() => {})
      .then(async () => {
        if (![...this.#subscriptions.values()].some(isToEnd)) return;
        await this.#inTurn(async (channel, name) => {
          // Where tasks wait, they use up every credit.
          await this.#barrier(channel);
          const open = [...this.#subscriptions.values()].filter(isToEnd);
          if (open.length > 0) await this.#cancelAside(channel, name, open);
        });
        // Sooner, they would give back the credit they have used up.
        if (this.#blanks.length > 0) await this.acknowledge(this.#blanks.splice(0));
      });
    return this.#ending;
  }

  /**
   * Cancels subscriptions while another one, of higher priority, takes what comes: nothing is on its way by them. Blanks
   * use up what that one has left.
   */
  async #cancelAside(channel: Channel, name: string, open: Subscription[]): Promise<void> {
    for (const credit of bridgeCredits) {
      const bridge = await this.#subscribe(channel, name, credit, false, 1);
      this.#bridges.add(bridge);
      open.push(bridge);
      // What was sent by the others has come.
      await this.#barrier(channel);
      // What came meanwhile says what may come while they are cancelled.
      if (bridge.received <= credit / 4) break;
    }
    const bridge = open.pop() as Subscription;
    await this.#cancelAll(channel, open);
    for (let round = 0; bridge.credit > 0 && round < mostBlankRounds; round++) {
      await this.#options.sendBlanks(bridge.credit);
      await this.#barrier(channel);
      for (let look = 0; bridge.credit > 0 && look < mostBlankLooks; look++) {
        await sleep(blankLookMs, undefined, this.#options.clock);
      }
    }
    await this.#cancelAll(channel, [bridge]);
    await this.#barrier(channel);
    this.#bridges.clear();
  }

  /** The calls so far are done. Never rejects. */
  async idle(): Promise<void> {
    await this.#turn;
  }

  /** Everything from another queue as well, as it comes, to somebody else. */
  subscribeTo(queue: string, onArrival: (message: ConsumeMessage) => void): Promise<void> {
    return this.#inTurn(async (channel) => {
      this.#prefetch = 0;
      await channel.prefetch(0);
      this.#onRenewed = onArrival;
      await channel.consume(queue, () => {}, { consumerTag: renewedTag });
    });
  }

  /** Acknowledges deliveries. `true` once the server has it for good. */
  acknowledge(tags: readonly number[]): Promise<boolean> {
    return this.#acknowledgements.acknowledge(tags);
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
    const subscription = this.#subscriptions.get(consumerTag) ?? new Subscription(consumerTag, 0);
    this.#acknowledgements.arrived(deliveryTag, subscription);
    if (consumerTag === renewedTag) {
      this.#onRenewed?.(message);
      return;
    }
    if (subscription.credit <= 0 && !subscription.kept) this.#cancel(channel, consumerTag);
    if (!isBlank(message)) this.#options.onArrival(this, message);
    else if (this.#bridges.has(subscription)) this.#blanks.push(deliveryTag);
    else this.#options.onBlank(this, deliveryTag);
  }

  #cancel(channel: Channel, consumerTag: string): void {
    if (!this.#subscriptions.delete(consumerTag)) return;
    const cancelling = channel.cancel(consumerTag).then(
      () => {},
      () => {},
    );
    this.#cancelling.add(cancelling);
    void cancelling.then(() => this.#cancelling.delete(cancelling));
  }

  async #cancelAll(channel: Channel, subscriptions: readonly Subscription[]): Promise<void> {
    for (const { tag } of subscriptions) this.#cancel(channel, tag);
    await Promise.all(this.#cancelling);
  }

  async #subscribe(channel: Channel, name: string, credit: number, kept = false, priority = 0): Promise<Subscription> {
    if (this.#prefetch !== credit) {
      // Noted first: a barrier that is asked for meanwhile repeats the number, and must not bring the old one back.
      this.#prefetch = credit;
      await channel.prefetch(credit);
    }
    // A tag of its own each time: a quorum queue counts what is out under an old one against the new credit. No bare
    // number: RabbitMQ 3.10 uses those for what is fetched one by one.
    this.#lastTag += 1;
    const subscription = new Subscription(`claim ${this.#lastTag}`, credit, kept);
    this.#subscriptions.set(subscription.tag, subscription);
    const { tag: consumerTag } = subscription;
    const { sent } = this.#acknowledgements;
    await channel.consume(name, () => {}, { consumerTag, ...(priority > 0 && { priority }) });
    // It went through the queue's log.
    this.#acknowledgements.applied(sent);
    return subscription;
  }

  async #barrier(channel: Channel): Promise<void> {
    await channel.prefetch(this.#prefetch);
  }

  #ended(error: Error | undefined): void {
    // What the server had credit to send may have been out, too; an internal error of its own it answers with nothing.
    const failed = (error as { code?: unknown } | undefined)?.code === internalError;
    const held = this.out > 0 || (this.#mayReceive && !failed);
    this.#channel = undefined;
    this.#current = undefined;
    this.#getting = false;
    this.#subscriptions.clear();
    this.#acknowledgements.clear();
    this.#bridges.clear();
    this.#blanks.length = 0;
    this.#options.onLost(error, held);
  }
}
