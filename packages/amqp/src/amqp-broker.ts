import {
  type Broker,
  type BrokerEnqueueOptions,
  type BrokerHealth,
  type Capabilities,
  type EnqueueOutcome,
  type Guard,
  isMillraceError,
  type MaintenanceBudget,
  type MaintenanceReport,
  type NewTask,
  type QueueStore,
  type Session,
  type SessionOptions,
  type TaskStore,
} from '@millrace/core';
import { checkInteger, checkSessionOptions, findTaskError, Lifecycle, throwIfAborted } from '@millrace/core/adapter';
import { amqpCapabilities } from './capabilities.ts';
import { Carrier, type EndHeldTask, type Parcel } from './carrier.ts';
import type { ConnectionSettings } from './connection.ts';
import { DeadLetters } from './dead-letters.ts';
import { takeGuard } from './guard-option.ts';
import { GuardedBroker } from './guarded-broker.ts';
import { Link } from './link.ts';
import { Memory } from './memory.ts';
import { delayOf, toMessage } from './message.ts';
import {
  type AmqpBrokerOptions,
  type AmqpSettings,
  type GuardedAmqpBrokerOptions,
  readAmqpOptions,
} from './options.ts';
import { Publisher } from './publisher.ts';
import { AmqpQueueStore } from './queue-store.ts';
import { AmqpSession } from './session.ts';
import { unsupported } from './settle.ts';
import { findReservedHeader } from './thin-message.ts';
import { Topology } from './topology.ts';

/** A broker whose tasks are messages in RabbitMQ. */
export interface AmqpBroker<Tx = never> extends Broker<Tx> {
  readonly kind: 'amqp';
  /** Tasks that failed for good, as far as no guard holds them. */
  readonly dead: DeadLetters;
}

/** A broker whose tasks are brought by RabbitMQ and held by a guard. `Tx` is what the guard's store can join. */
export interface GuardedAmqpBroker<Tx = never> extends AmqpBroker<Tx> {
  /** The tasks the guard holds; dead ones are found with `states: ['failed']`. */
  readonly tasks: TaskStore;
}

/**
 * A broker on RabbitMQ 3.10 or newer. A task is a message: durable, delayed, retried and kept when dead, but not to be
 * looked up. With a guard, a store holds the tasks that need more, or all of them, and messages bring their ids.
 * @throws ValidationError naming the option, ConfigurationError for a URL that is none
 */
export function amqpBroker<Tx>(options: GuardedAmqpBrokerOptions<Tx>): GuardedAmqpBroker<Tx>;
export function amqpBroker(options: AmqpBrokerOptions): AmqpBroker;
export function amqpBroker<Tx>(
  options: AmqpBrokerOptions & { readonly guard?: Guard<Tx> },
): AmqpBroker | GuardedAmqpBroker<Tx> {
  const settings = readAmqpOptions(options);
  const { guard } = options;
  if (guard === undefined) return new MessageBroker(settings);
  const messages: AmqpBroker = new MessageBroker(settings, (taskId) => guarded.endUnregistered(taskId));
  const guarded: GuardedBroker<Tx> = new GuardedBroker(takeGuard(guard), messages, settings.clock);
  return guarded;
}

class MessageBroker implements AmqpBroker {
  readonly kind = 'amqp';
  readonly queues: QueueStore;
  readonly dead: DeadLetters;
  readonly #settings: AmqpSettings;
  readonly #connection: ConnectionSettings;
  readonly #lifecycle: Lifecycle<Capabilities>;
  readonly #link: Link;
  readonly #topology: Topology;
  readonly #publisher: Publisher;
  readonly #carrier: Carrier;
  readonly #memory = new Memory();
  readonly #sessions = new Set<AmqpSession>();
  readonly #requireOpen = (op: string): Capabilities => this.#lifecycle.require(op);
  #closing = false;

  /** @param endHeld ends a task that a guard holds and nobody can run; absent without a guard */
  constructor(settings: AmqpSettings, endHeld?: EndHeldTask) {
    const { url, tls, clock, operationTimeoutMs, namespace } = settings;
    this.#settings = settings;
    this.#connection = { url, tls, timeoutMs: operationTimeoutMs };
    this.#lifecycle = new Lifecycle(
      'amqp',
      () => this.#open(),
      () => this.#end(),
    );
    this.#link = new Link({
      settings: this.#connection,
      label: `millrace ${namespace}`,
      clock,
      timeoutMs: operationTimeoutMs,
      attempts: settings.reconnectAttempts,
      intervalMs: settings.reconnectMs,
      onConnected: () => this.#topology.forget(),
    });
    this.#topology = new Topology(this.#link, settings);
    this.#publisher = new Publisher(this.#link, clock, operationTimeoutMs);
    this.#carrier = new Carrier(this.#topology, this.#publisher, settings, endHeld);
    this.queues = new AmqpQueueStore(this.#link, this.#topology, this.#requireOpen);
    this.dead = new DeadLetters({
      link: this.#link,
      topology: this.#topology,
      carrier: this.#carrier,
      requireOpen: this.#requireOpen,
    });
  }

  open(): Promise<Capabilities> {
    return this.#lifecycle.open();
  }

  async enqueue(tasks: readonly NewTask[], options: BrokerEnqueueOptions<never> = {}): Promise<EnqueueOutcome[]> {
    const capabilities = this.#requireOpen('enqueue');
    throwIfAborted(options.signal, 'enqueue');
    if (options.transaction !== undefined) {
      throw unsupported('transactions', 'a task cannot be enqueued in a transaction of yours');
    }
    checkInteger(tasks.length, 'tasks.length', 0, capabilities.batch.maxEnqueue);
    const outcomes: EnqueueOutcome[] = tasks.map(() => ({ status: 'accepted' }));
    const sent: number[] = [];
    const parcels: Parcel[] = [];
    const now = this.#settings.clock.now();
    tasks.forEach((task, index) => {
      const error =
        findTaskError(task, capabilities) ??
        (this.#carrier.isGuarded ? undefined : findReservedHeader(task.headers)) ??
        (task.key === undefined ? undefined : unsupported('unique', 'a unique key cannot be kept'));
      if (error !== undefined) {
        outcomes[index] = { status: 'rejected', error };
        return;
      }
      const delayMs = delayOf(task, now);
      sent.push(index);
      parcels.push({ message: toMessage(task, now, delayMs), queue: task.queue, delayMs });
    });
    const problems = await this.#carrier.send('enqueue', parcels);
    // What nobody knows of one task, nobody knows of the call: it is repeated as a whole.
    const unknown = problems.find((problem) => isMillraceError(problem, 'INDETERMINATE'));
    if (unknown !== undefined) throw unknown;
    const [first] = problems;
    if (first !== undefined && problems.every((problem) => problem?.code === first.code)) throw first;
    problems.forEach((error, position) => {
      if (error !== undefined) outcomes[sent[position] as number] = { status: 'rejected', error };
    });
    return outcomes;
  }

  async openSession(options: SessionOptions): Promise<Session> {
    const capabilities = this.#requireOpen('openSession');
    checkSessionOptions(options, capabilities);
    const session = await AmqpSession.open(
      {
        settings: this.#settings,
        connection: this.#connection,
        topology: this.#topology,
        carrier: this.#carrier,
        memory: this.#memory,
        publisher: this.#publisher,
        requireOpen: this.#requireOpen,
        onEnd: (ended) => this.#sessions.delete(ended),
      },
      options,
    );
    if (this.#closing) {
      await session.end();
      this.#requireOpen('openSession');
    }
    this.#sessions.add(session);
    return session;
  }

  /** The server takes tasks back and removes old dead ones by itself. */
  async maintain(budget: MaintenanceBudget): Promise<MaintenanceReport> {
    this.#requireOpen('maintain');
    throwIfAborted(budget.signal, 'maintain');
    checkInteger(budget.maxTasks, 'maxTasks', 1, Number.MAX_SAFE_INTEGER);
    return { reclaimed: 0, expired: 0, pruned: 0, more: false };
  }

  async health(): Promise<BrokerHealth> {
    try {
      this.#requireOpen('health');
      const { connection, publishing } = await this.#link.require('health');
      if (connection.blocked) {
        return { state: 'degraded', detail: 'the server is short of memory or disk and takes no messages for now' };
      }
      await publishing.prefetch(0);
      return { state: 'ready' };
    } catch (error) {
      return { state: 'down', detail: (error as Error).message };
    }
  }

  close(): Promise<void> {
    return this.#lifecycle.close();
  }

  async #open(): Promise<Capabilities> {
    const { connection } = await this.#link.require('open');
    await this.#topology.open(connection.facts);
    return amqpCapabilities(this.#settings, connection.facts, this.#topology.queueType);
  }

  async #end(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#sessions].map((session) => session.end()));
    await this.#link.close();
  }
}
