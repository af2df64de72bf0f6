import {
  type BrokerEnqueueOptions,
  type BrokerHealth,
  type Capabilities,
  type Clock,
  ConfigurationError,
  type EnqueueOutcome,
  type Guard,
  isMillraceError,
  type MaintenanceBudget,
  type MaintenanceReport,
  type MillraceError,
  type NewTask,
  type QueueStore,
  type Session,
  type SessionOptions,
  type TaskStore,
} from '@millrace/core';
import { checkInteger, checkSessionOptions, Lifecycle, throwIfAborted } from '@millrace/core/adapter';
import type { AmqpBroker, GuardedAmqpBroker } from './amqp-broker.ts';
import { ClosedQueues } from './closed-queues.ts';
import type { DeadLetters } from './dead-letters.ts';
import { unavailable } from './errors.ts';
import { guardedCapabilities } from './guarded-capabilities.ts';
import { enqueueGuarded } from './guarded-enqueue.ts';
import { GuardedQueueStore } from './guarded-queue-store.ts';
import { GuardedSession, type GuardSession } from './guarded-session.ts';
import { GuardedTaskStore } from './guarded-task-store.ts';
import { Sweep } from './sweep.ts';
import { unregistered } from './thin-message.ts';
import { ThinPublisher } from './thin-publisher.ts';

/** The session that ends a task nobody can run lives this long at most. */
const briefTtlMs = 30_000;

/**
 * RabbitMQ and a store as one broker of the full profile. The store holds what it guards, RabbitMQ brings its id to a
 * worker. Made of the two brokers' own contract alone: neither knows of the other.
 */
export class GuardedBroker<Tx> implements GuardedAmqpBroker<Tx> {
  readonly kind = 'amqp';
  readonly queues: QueueStore;
  readonly tasks: TaskStore;
  readonly dead: DeadLetters;
  readonly #guard: Guard<Tx>;
  readonly #messages: AmqpBroker;
  readonly #clock: Clock;
  readonly #publisher: ThinPublisher;
  readonly #sweep: Sweep;
  readonly #closedQueues: ClosedQueues;
  readonly #lifecycle: Lifecycle<Capabilities>;
  readonly #sessions = new Set<GuardedSession>();
  readonly #requireOpen = (op: string): Capabilities => this.#lifecycle.require(op);
  readonly #enqueues = new Set<Promise<void>>();
  #closing = false;

  /** @param messages RabbitMQ alone; it is this broker's from now on, as the guard is */
  constructor(guard: Guard<Tx>, messages: AmqpBroker, clock: Clock) {
    this.#guard = guard;
    this.#messages = messages;
    this.#clock = clock;
    this.#publisher = new ThinPublisher(messages, guard.kind, clock);
    this.#sweep = new Sweep({ guard, queues: messages.queues, publisher: this.#publisher, clock });
    this.#closedQueues = new ClosedQueues(clock);
    this.queues = new GuardedQueueStore(guard.mode, guard.broker.queues, messages.queues);
    this.tasks = new GuardedTaskStore(guard.broker.tasks, this.#publisher);
    this.dead = messages.dead;
    this.#lifecycle = new Lifecycle(
      'amqp',
      () => this.#open(),
      () => this.#end(),
    );
  }

  open(): Promise<Capabilities> {
    return this.#lifecycle.open();
  }

  async enqueue(tasks: readonly NewTask[], options: BrokerEnqueueOptions<Tx> = {}): Promise<EnqueueOutcome[]> {
    const capabilities = this.#requireOpen('enqueue');
    throwIfAborted(options.signal, 'enqueue');
    checkInteger(tasks.length, 'tasks.length', 0, capabilities.batch.maxEnqueue);
    const context = { guard: this.#guard, messages: this.#messages, publisher: this.#publisher, capabilities };
    const enqueueing = enqueueGuarded(context, tasks, options);
    // Closing waits for it: what is stored by then is brought, too.
    const ended = enqueueing.then(
      () => {},
      () => {},
    );
    this.#enqueues.add(ended);
    void ended.then(() => this.#enqueues.delete(ended));
    return enqueueing;
  }

  async openSession(options: SessionOptions): Promise<Session> {
    checkSessionOptions(options, this.#requireOpen('openSession'));
    const tasks = await this.#openGuardSession(options);
    let messages: Session;
    try {
      // Nothing is ever asked of the holder of a message.
      messages = await this.#messages.openSession({ ...options, onSignal: () => {} });
    } catch (error) {
      await tasks.end();
      throw error;
    }
    const owner = {
      kind: this.#guard.kind,
      clock: this.#clock,
      publisher: this.#publisher,
      closedQueues: this.#closedQueues,
      requireOpen: this.#requireOpen,
      onEnd: (ended: GuardedSession) => this.#sessions.delete(ended),
    };
    const session = new GuardedSession(owner, options, tasks, messages);
    if (this.#closing) {
      await session.end();
      this.#requireOpen('openSession');
    }
    this.#sessions.add(session);
    return session;
  }

  /** The store's maintenance, and the sweep for tasks whose message is gone. */
  async maintain(budget: MaintenanceBudget): Promise<MaintenanceReport> {
    this.#requireOpen('maintain');
    const report = await this.#guard.broker.maintain(budget);
    await this.#sweep.run().catch((error: unknown) => {
      // What was done is done; what is to be brought waits for the server that is away.
      if (!isMillraceError(error, 'UNAVAILABLE') && !isMillraceError(error, 'INDETERMINATE')) throw error;
    });
    return report;
  }

  /** As well as the worse of the two. */
  async health(): Promise<BrokerHealth> {
    try {
      this.#requireOpen('health');
    } catch (error) {
      return { state: 'down', detail: (error as Error).message };
    }
    const [messages, store] = await Promise.all([this.#messages.health(), this.#guard.broker.health()]);
    const worse = (['down', 'degraded'] as const).find((state) => messages.state === state || store.state === state);
    if (worse === undefined) return { state: 'ready' };
    const [whose, { detail }] = messages.state === worse ? ['RabbitMQ', messages] : ['the guard', store];
    return { state: worse, detail: `${whose}: ${detail ?? worse}` };
  }

  close(): Promise<void> {
    return this.#lifecycle.close();
  }

  /**
   * A worker gave up passing a thin message on, because nobody runs tasks of that name: the task ends as dead.
   * Returns why that is not known to have happened.
   */
  async endUnregistered(taskId: string): Promise<MillraceError | undefined> {
    const op = 'session.claim';
    try {
      const { minTtlMs, maxTtlMs } = this.#requireOpen(op).session;
      const ttlMs = Math.min(maxTtlMs, Math.max(minTtlMs, briefTtlMs));
      const options = { instance: 'unregistered', host: 'unregistered', ttlMs, onSignal: () => {} };
      const session = await this.#openGuardSession(options);
      try {
        const [verdict] = await session.claimTasks([taskId]);
        // Otherwise it has moved on, and its next message finds out.
        if (verdict?.status !== 'claimed') return undefined;
        const { lease } = verdict.delivery;
        const failure = { kind: 'unregistered', name: 'Error', message: unregistered } as const;
        const [outcome] = await session.settle([{ type: 'fail', lease, failure }]);
        return outcome === 'unknown' ? unavailable(op, 'the guard did not answer') : undefined;
      } finally {
        await session.end();
      }
    } catch (error) {
      return unavailable(op, (error as Error).message, error);
    }
  }

  async #openGuardSession(options: SessionOptions): Promise<GuardSession> {
    const session = await this.#guard.broker.openSession(options);
    if (session.claimTasks !== undefined) return session as GuardSession;
    await session.end();
    throw noClaims(this.#guard.kind);
  }

  async #open(): Promise<Capabilities> {
    const [store, messages] = await Promise.all([this.#guard.broker.open(), this.#messages.open()]);
    if (!store.claimById) throw noClaims(this.#guard.kind);
    return guardedCapabilities(this.#guard.mode, store, messages);
  }

  async #end(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#sessions].map((session) => session.end()));
    await Promise.all(this.#enqueues);
    await this.#publisher.close();
    await Promise.all([this.#messages.close(), this.#guard.broker.close()]);
  }
}

function noClaims(kind: string): ConfigurationError {
  return new ConfigurationError(`a broker of kind ${kind} cannot be a guard: its sessions do not claim by id`, {
    op: 'open',
    adapter: 'amqp',
    option: 'guard',
  });
}
