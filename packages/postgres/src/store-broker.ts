import type {
  Broker,
  BrokerEnqueueOptions,
  BrokerHealth,
  Capabilities,
  EnqueueOutcome,
  Guard,
  MaintenanceBudget,
  MaintenanceReport,
  NewTask,
  OverdueRequest,
  OverdueTask,
  QueueStore,
  Session,
  SessionOptions,
  TaskStore,
} from '@millrace/core';
import {
  checkInteger,
  checkOverdueRequest,
  checkSessionOptions,
  Lifecycle,
  throwIfAborted,
  Wakeups,
} from '@millrace/core/adapter';
import { postgresCapabilities } from './capabilities.ts';
import type { Database } from './connection.ts';
import { Endings } from './endings.ts';
import { type EnqueueContext, enqueueTasks, type PostgresTransaction } from './enqueue.ts';
import { maintainStore } from './maintenance.ts';
import { Notifier } from './notify.ts';
import type { StoreSettings } from './options.ts';
import { PostgresQueueStore } from './queue-store.ts';
import { openSchema } from './schema.ts';
import { PostgresSession } from './session.ts';
import type { Statements } from './statements.ts';
import { PostgresTaskStore } from './task-store.ts';

/** A broker whose tasks live in PostgreSQL. */
export interface PostgresBroker extends Broker<PostgresTransaction> {
  readonly kind: 'postgres' | 'pglite';
  readonly tasks: TaskStore;
}

/** How long a message to ourselves may take before a pooler is believed to swallow it. */
const probeMs = 1_000;
const healthTimeoutMs = 3_000;

/** The broker on either kind of connection. */
export class StoreBroker implements PostgresBroker, Pick<Guard, 'overdue'> {
  readonly kind: 'postgres' | 'pglite';
  readonly queues: QueueStore;
  readonly tasks: TaskStore;
  /** Only on a server: nobody else can have a PGlite open. */
  readonly beat?: (sessionId: string) => Promise<'alive' | 'lost'>;
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #settings: StoreSettings;
  readonly #lifecycle: Lifecycle<Capabilities>;
  readonly #closed = new AbortController();
  readonly #sessions = new Set<PostgresSession>();
  readonly #wakeups: Wakeups;
  readonly #notifier: Notifier;
  readonly #endings: Endings;
  readonly #requireOpen = (op: string): Capabilities => this.#lifecycle.require(op);
  /** Work that came up here: for sleepers of this process at once, for others with a message. */
  readonly #onWork = (queues: readonly string[]): void => {
    this.#wake(queues);
    this.#notifier.announce(queues);
  };

  constructor(database: Database, statements: Statements, settings: StoreSettings) {
    const { clock, pollMs, schema } = settings;
    this.kind = database.adapter;
    this.#database = database;
    this.#statements = statements;
    this.#settings = settings;
    this.#lifecycle = new Lifecycle(
      database.adapter,
      () => this.#open(),
      () => this.#end(),
    );
    if (this.kind === 'postgres') this.beat = (sessionId) => this.#beat(sessionId);
    this.#wakeups = new Wakeups(clock);
    this.#notifier = new Notifier({
      database,
      statements,
      schema,
      clock,
      listeners: {
        onWork: (queues) => this.#wake(queues),
        onStop: (sessions) => this.#hurry(sessions),
        onEnded: (taskIds) => this.#endings.tell(taskIds),
      },
    });
    this.#endings = new Endings({
      database,
      statements,
      notifier: this.#notifier,
      clock,
      pollMs,
      closed: this.#closed.signal,
      canListen: () => this.#requireOpen('tasks.wait').wakeup.push,
    });
    const owner = {
      database,
      statements,
      clock,
      channel: this.#notifier.channel,
      requireOpen: this.#requireOpen,
      onWork: this.#onWork,
    };
    this.queues = new PostgresQueueStore(owner);
    this.tasks = new PostgresTaskStore({
      ...owner,
      onStopRequested: () => this.#hurry(undefined),
      onEnded: (taskIds) => this.#tellEnded(taskIds),
      waitForEnd: (ids, waitMs, signal) => this.#waitForEnd(ids, waitMs, signal),
    });
  }

  open(): Promise<Capabilities> {
    return this.#lifecycle.open();
  }

  async enqueue(
    tasks: readonly NewTask[],
    options: BrokerEnqueueOptions<PostgresTransaction> = {},
  ): Promise<EnqueueOutcome[]> {
    const capabilities = this.#requireOpen('enqueue');
    checkInteger(tasks.length, 'tasks.length', 0, capabilities.batch.maxEnqueue);
    const context: EnqueueContext = {
      database: this.#database,
      statements: this.#statements,
      notifier: this.#notifier,
      capabilities,
      pollMs: this.#settings.pollMs,
      operationTimeoutMs: this.#settings.operationTimeoutMs,
      clock: this.#settings.clock,
      wake: (queues) => this.#wake(queues),
    };
    return enqueueTasks(context, tasks, options);
  }

  async openSession(options: SessionOptions): Promise<Session> {
    const capabilities = this.#requireOpen('openSession');
    checkSessionOptions(options, capabilities);
    const session = await PostgresSession.open(
      {
        database: this.#database,
        statements: this.#statements,
        notifier: this.#notifier,
        wakeups: this.#wakeups,
        settings: this.#settings,
        requireOpen: this.#requireOpen,
        onSettled: (taskIds) => this.#tellEnded(taskIds),
        onEnd: (ended) => this.#sessions.delete(ended),
      },
      options,
    );
    if (this.#closed.signal.aborted) {
      await session.end();
      this.#requireOpen('openSession');
    }
    this.#sessions.add(session);
    if (capabilities.wakeup.push) this.#notifier.listen();
    return session;
  }

  async maintain(budget: MaintenanceBudget): Promise<MaintenanceReport> {
    this.#requireOpen('maintain');
    throwIfAborted(budget.signal, 'maintain');
    checkInteger(budget.maxTasks, 'maxTasks', 1, Number.MAX_SAFE_INTEGER);
    const context = {
      database: this.#database,
      statements: this.#statements,
      settings: this.#settings,
      onWork: this.#onWork,
    };
    return maintainStore(context, budget);
  }

  async overdue(request: OverdueRequest): Promise<OverdueTask[]> {
    this.#requireOpen('overdue');
    checkOverdueRequest(request);
    const { dueForMs, limit } = request;
    const call = { op: 'overdue', writes: false };
    const rows = await this.#database.query(this.#statements.findOverdue, [dueForMs, limit], call);
    return rows.map(([id, name, queue, priority]) => ({
      id: String(id),
      name: String(name),
      queue: String(queue),
      priority: Number(priority),
    }));
  }

  async health(): Promise<BrokerHealth> {
    try {
      const { wakeup } = this.#requireOpen('health');
      const call = {
        op: 'health',
        writes: false,
        timeoutMs: Math.min(healthTimeoutMs, this.#settings.operationTimeoutMs),
      };
      await this.#database.query(this.#statements.readVersion, [], call);
      if (!wakeup.push) {
        return { state: 'degraded', detail: 'a pooler swallows notifications: idle workers find work by polling' };
      }
      if (this.#notifier.listens && !this.#notifier.connected) {
        return { state: 'degraded', detail: 'the listening connection is down: idle workers find work by polling' };
      }
      return { state: 'ready' };
    } catch (error) {
      return { state: 'down', detail: (error as Error).message };
    }
  }

  close(): Promise<void> {
    return this.#lifecycle.close();
  }

  async #beat(sessionId: string): Promise<'alive' | 'lost'> {
    this.#requireOpen('beat');
    const call = { op: 'beat', harmless: true };
    const rows = await this.#database.query(this.#statements.beatSession, [sessionId], call);
    return rows[0]?.[0] === true ? 'alive' : 'lost';
  }

  async #open(): Promise<Capabilities> {
    try {
      const facts = await this.#database.open();
      await openSchema(this.#database, this.#statements, this.#settings);
      if (facts.exclusive) {
        await this.#database.query(this.#statements.abandonSessions, [], { op: 'open', harmless: true });
      }
      const push = facts.pooling === 'none' || (facts.pooling === 'session' && (await this.#notifier.reaches(probeMs)));
      return postgresCapabilities(this.#settings, facts, push);
    } catch (error) {
      await this.#database.close();
      throw error;
    }
  }

  async #end(): Promise<void> {
    this.#closed.abort();
    await Promise.all([...this.#sessions].map((session) => session.end()));
    await this.#notifier.close();
    await this.#database.close();
  }

  #wake(queues: readonly string[] | undefined): void {
    if (queues === undefined) this.#wakeups.wake();
    else for (const queue of queues) this.#wakeups.wake(queue);
  }

  #hurry(sessions: readonly string[] | undefined): void {
    for (const session of this.#sessions) {
      if (sessions === undefined || sessions.includes(session.id)) session.hurry();
    }
  }

  #tellEnded(taskIds: readonly string[]): void {
    this.#endings.tell(taskIds);
    this.#notifier.announceEnded(taskIds);
  }

  async #waitForEnd(ids: readonly string[], waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal, 'tasks.wait');
    await this.#endings.wait(ids, waitMs, signal);
    this.#requireOpen('tasks.wait');
  }
}
