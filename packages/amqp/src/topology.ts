import { createHash } from 'node:crypto';
import { sleep } from '@millrace/core/adapter';
import type { Channel } from 'amqplib';
import { buildCascade, checkCascade, delayExit, exitKey, type QueueType } from './cascade.ts';
import { explainRefusal } from './errors.ts';
import type { Link } from './link.ts';
import { deadQueueOf, queueNameOf, queueOfName } from './names.ts';
import type { AmqpSettings } from './options.ts';
import type { ServerFacts } from './server-facts.ts';

/** Ten years: longer than any attempt, and what every server accepts. */
const noTimeoutMs = 315_360_000_000;
/** Ninety queues and three hundred bindings, once per vhost. */
const longestBuildMs = 30_000;
/** How long the server takes to tell everybody that a queue is gone. */
const deletedMs = 500;
/** A delivery that is renewed is delivered again long before; one that comes back is older. */
const expiredMs = 1_000;
/** The private queue of a session that is gone goes, too. */
const unusedMs = 60_000;
/** "Never" as every version understands it: -1 makes 3.10 drop a message at its first redelivery. */
const noDeliveryLimit = 1_000_000;

/** Queues, exchanges and bindings: made once per connection, and again when they were lost. */
export class Topology {
  readonly #link: Link;
  readonly #settings: AmqpSettings;
  readonly #declared = new Map<string, Promise<string>>();
  readonly #names = new Map<string, string>();
  /** Names that the caller has chosen. */
  readonly #given: ReadonlyMap<string, string>;
  readonly #missed = new Set<string>();
  #facts: ServerFacts | undefined;
  #type: QueueType = 'quorum';

  constructor(link: Link, settings: AmqpSettings) {
    this.#link = link;
    this.#settings = settings;
    this.#given = new Map(settings.queues.flatMap(({ name, queue }) => (queue === undefined ? [] : [[name, queue]])));
    for (const [queue, name] of this.#given) this.#names.set(queue, name);
  }

  /** What work queues are made of on this server. */
  get queueType(): QueueType {
    return this.#type;
  }

  get deadQueue(): string {
    return deadQueueOf(this.#settings.namespace);
  }

  /** Queues that were used or named in the options. */
  get known(): string[] {
    return [...new Set([...this.#settings.queues.map(({ name }) => name), ...this.#declared.keys()])];
  }

  /** The queue's name at the server. */
  nameOf(queue: string): string {
    let name = this.#names.get(queue);
    if (name === undefined) {
      name = queueNameOf(this.#settings.namespace, queue);
      this.#names.set(queue, name);
    }
    return name;
  }

  /** Whether the queue's name at the server says which queue it is. */
  isNamedAfter(queue: string): boolean {
    return !this.#given.has(queue);
  }

  /** The queue that has a name at the server. */
  queueAt(name: string): string {
    for (const [queue, given] of this.#names) if (given === name) return queue;
    return queueOfName(this.#settings.namespace, name);
  }

  /** Makes what every queue needs. @throws ConfigurationError UnavailableError */
  async open(facts: ServerFacts): Promise<void> {
    this.#facts = facts;
    this.#type = this.#settings.queueType ?? (facts.quorum ? 'quorum' : 'classic');
    await this.#ensureCascade('open');
    await this.#declare('open', `queue ${this.deadQueue}`, async (channel) => {
      await channel.assertQueue(this.deadQueue, { durable: true, arguments: this.#deadArguments() });
    });
    const { exchange } = this.#settings;
    if (exchange !== undefined) {
      await this.#declare('open', `exchange ${exchange.name}`, async (channel) => {
        await channel.assertExchange(exchange.name, exchange.type, { durable: true });
      });
    }
    for (const { name } of this.#settings.queues) await this.ensure('open', name);
  }

  /** Makes a queue unless it is known to be there. Returns its name at the server. */
  ensure(op: string, queue: string): Promise<string> {
    let declared = this.#declared.get(queue);
    if (declared === undefined) {
      declared = this.#ensureQueue(op, queue);
      this.#declared.set(queue, declared);
      declared.catch(() => {
        if (this.#declared.get(queue) === declared) this.#declared.delete(queue);
      });
    }
    return declared;
  }

  /**
   * Makes the private queue that a session renews its deliveries of a queue through. What comes back from a dead
   * session has expired, and goes to the queue it is for at once.
   */
  async ensureHolding(op: string, queue: string, sessionId: string): Promise<string> {
    const target = await this.ensure(op, queue);
    const name = `${this.#settings.namespace}.held.${sessionId}.${createHash('sha256').update(queue).digest('hex').slice(0, 16)}`;
    await this.#declare(op, `queue ${name}`, async (channel) => {
      await channel.assertQueue(name, {
        durable: true,
        arguments: {
          'x-queue-type': 'classic',
          'x-message-ttl': expiredMs,
          'x-expires': unusedMs,
          'x-dead-letter-exchange': '',
          'x-dead-letter-routing-key': target,
        },
      });
    });
    return name;
  }

  /** Everything may be gone: it is made again before its next use. */
  forget(): void {
    this.#declared.clear();
  }

  /** A queue was found missing. */
  miss(queue: string): void {
    this.#missed.add(queue);
    this.#declared.delete(queue);
  }

  /** Makes again what a message could not be routed to. */
  async repair(op: string, queue: string | undefined): Promise<void> {
    if (queue === undefined) {
      await this.#declare(op, `queue ${this.deadQueue}`, async (channel) => {
        await channel.assertQueue(this.deadQueue, { durable: true, arguments: this.#deadArguments() });
      });
      return;
    }
    this.miss(queue);
    await this.ensure(op, queue);
    await this.#buildCascade(op);
  }

  async #ensureCascade(op: string): Promise<void> {
    try {
      await this.#link.withChannel(op, (channel) => checkCascade(channel, this.#type));
    } catch (error) {
      if ((error as { code?: unknown }).code !== 404) throw explainRefusal(op, error, 'the delay exchanges');
      await this.#buildCascade(op);
    }
  }

  #buildCascade(op: string): Promise<void> {
    const limitMs = Math.max(this.#settings.operationTimeoutMs, longestBuildMs);
    return this.#declare(op, 'the delay queues', (channel) => buildCascade(channel, this.#type), limitMs);
  }

  async #ensureQueue(op: string, queue: string): Promise<string> {
    const name = this.nameOf(queue);
    // RabbitMQ 3.10 does not tell consumers of a deleted queue that is made again within moments, and sends them nothing.
    if (this.#missed.delete(queue)) await sleep(deletedMs, undefined, this.#settings.clock);
    const own = this.#settings.queues.find((each) => each.name === queue);
    const { exchange } = this.#settings;
    await this.#declare(op, `queue ${name}`, async (channel) => {
      await channel.assertQueue(name, { durable: true, arguments: { ...this.#workArguments(), ...own?.arguments } });
      await channel.bindQueue(name, delayExit(this.#type), exitKey(name));
      if (exchange === undefined) return;
      for (const key of own?.bindingKeys ?? [exchange.routingKey(queue)]) {
        await channel.bindQueue(name, exchange.name, key);
      }
    });
    return name;
  }

  async #declare(
    op: string,
    what: string,
    work: (channel: Channel) => Promise<void>,
    timeoutMs: number = this.#settings.operationTimeoutMs,
  ): Promise<void> {
    try {
      await this.#link.withChannel(op, work, timeoutMs);
    } catch (error) {
      throw explainRefusal(op, error, what);
    }
  }

  #workArguments(): Record<string, unknown> {
    return {
      'x-queue-type': this.#type,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': this.deadQueue,
      ...(this.#type === 'quorum'
        ? {
            // Attempts are counted and bounded by the adapter, which also says why a task died.
            'x-delivery-limit': noDeliveryLimit,
            'x-dead-letter-strategy': 'at-least-once',
            'x-overflow': 'reject-publish',
            'x-consumer-timeout': noTimeoutMs,
          }
        : this.#classicArguments()),
    };
  }

  #classicArguments(): Record<string, unknown> {
    // Classic queues of 4.3 have no consumer timeout and refuse the argument; before 3.12 it is ignored.
    const settable = this.#facts?.consumerTimeoutPerQueue === true && this.#facts.quorumPriorities !== 'strict';
    return { 'x-max-priority': 9, ...(settable && { 'x-consumer-timeout': noTimeoutMs }) };
  }

  #deadArguments(): Record<string, unknown> {
    return {
      'x-queue-type': this.#type,
      // Looking at dead tasks counts as delivering them: the default limit of 4.x would drop them after 20 looks.
      ...(this.#type === 'quorum' && { 'x-delivery-limit': noDeliveryLimit }),
    };
  }
}
