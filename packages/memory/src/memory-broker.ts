import {
  type Broker,
  type BrokerEnqueueOptions,
  type BrokerHealth,
  type Capabilities,
  type Clock,
  type EnqueueOutcome,
  type Guard,
  type MaintenanceBudget,
  type MaintenanceReport,
  type MillraceError,
  type NewTask,
  type OverdueRequest,
  type OverdueTask,
  type QueueStore,
  type Session,
  type SessionOptions,
  systemClock,
  type TaskStore,
  ValidationError,
} from '@millrace/core';
import {
  checkInteger,
  checkOverdueRequest,
  checkSessionOptions,
  findTaskError,
  Lifecycle,
  throwIfAborted,
} from '@millrace/core/adapter';
import { memoryCapabilities } from './capabilities.ts';
import { placeTask, waitUntilFree } from './enqueue.ts';
import { maintainStore } from './maintenance.ts';
import { namedStore } from './named-store.ts';
import {
  checkOptions,
  type MemoryBrokerOptions,
  type Retention,
  readMaxPayloadBytes,
  readRetention,
} from './options.ts';
import { overdueTasks } from './overdue.ts';
import { MemoryQueueStore } from './queue-store.ts';
import { MemorySession } from './session.ts';
import { type MemoryStore, StoreState } from './store.ts';
import { MemoryTaskStore } from './task-store.ts';
import { type MemoryTransaction, OpenTransaction } from './transaction.ts';

/** A broker whose tasks live in this process. */
export interface MemoryBroker extends Broker<MemoryTransaction> {
  readonly kind: 'memory';
  readonly tasks: TaskStore;
  /** Where its tasks are. */
  readonly store: MemoryStore;
  /**
   * Runs `work` with a transaction to enqueue in. When it resolves, its tasks become visible and workers are woken;
   * when it rejects, they were never there and the error is passed on.
   * @throws ClosedError
   */
  transaction<T>(work: (transaction: MemoryTransaction) => Promise<T>): Promise<T>;
}

/**
 * A broker that keeps everything in this process: for tests, for trying things out, and as the executable
 * specification of the contract. Its tasks end with the process.
 * @throws ValidationError naming the option
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): MemoryBroker {
  return makeStoreBroker(options, 'memoryBroker');
}

/**
 * A memory broker that can tell what is overdue.
 * @param taker what takes the options, for the message. @throws ValidationError naming the option
 */
export function makeStoreBroker(options: MemoryBrokerOptions, taker: string): MemoryBroker & Pick<Guard, 'overdue'> {
  checkOptions(options, taker);
  return new StoreBroker(findStore(options), options);
}

function findStore(options: MemoryBrokerOptions): StoreState {
  if (options.name !== undefined) return namedStore(options.name, options.clock);
  if (options.store === undefined) return new StoreState(options.clock ?? systemClock);
  if (options.store instanceof StoreState) return options.store;
  throw new ValidationError('store must come from createMemoryStore()', { option: 'store' });
}

class StoreBroker implements MemoryBroker, Pick<Guard, 'overdue'> {
  readonly kind = 'memory';
  readonly queues: QueueStore;
  readonly tasks: TaskStore;
  readonly store: StoreState;
  readonly #clock: Clock;
  readonly #retention: Retention;
  readonly #lifecycle: Lifecycle<Capabilities>;
  readonly #closed = new AbortController();
  readonly #sessions = new Set<MemorySession>();
  readonly #requireOpen = (op: string): Capabilities => this.#lifecycle.require(op);

  constructor(store: StoreState, options: MemoryBrokerOptions) {
    this.store = store;
    this.#clock = options.clock ?? store.clock;
    this.#retention = readRetention(options.retention);
    const capabilities = memoryCapabilities(this.#retention, readMaxPayloadBytes(options.maxPayloadBytes));
    this.#lifecycle = new Lifecycle(
      'memory',
      async () => capabilities,
      () => this.#endAll(),
    );
    this.tasks = new MemoryTaskStore(store, this.#requireOpen, this.#closed.signal);
    this.queues = new MemoryQueueStore(store, this.#requireOpen);
  }

  open(): Promise<Capabilities> {
    return this.#lifecycle.open();
  }

  async enqueue(
    tasks: readonly NewTask[],
    options: BrokerEnqueueOptions<MemoryTransaction> = {},
  ): Promise<EnqueueOutcome[]> {
    const capabilities = this.#requireOpen('enqueue');
    throwIfAborted(options.signal, 'enqueue');
    checkInteger(tasks.length, 'tasks.length', 0, capabilities.batch.maxEnqueue);
    const transaction = this.#findTransaction(options.transaction);
    const outcomes: EnqueueOutcome[] = [];
    for (const task of tasks) {
      let error: MillraceError | undefined = findTaskError(task, capabilities);
      const blocked = error === undefined && waitUntilFree(this.store, task, transaction, options.signal);
      if (blocked instanceof Promise) {
        error = await blocked;
        if (transaction !== undefined) requireOpenTransaction(transaction);
      }
      outcomes.push(error === undefined ? placeTask(this.store, task, transaction) : { status: 'rejected', error });
    }
    return outcomes;
  }

  async transaction<T>(work: (transaction: MemoryTransaction) => Promise<T>): Promise<T> {
    this.#requireOpen('transaction');
    const transaction = new OpenTransaction(this.store);
    try {
      const result = await work(transaction);
      this.#requireOpen('transaction');
      // What was to be replaced may have ended meanwhile: then the new content becomes a task of its own.
      for (const task of transaction.commit()) placeTask(this.store, task);
      return result;
    } finally {
      if (transaction.open) transaction.rollback();
    }
  }

  async openSession(options: SessionOptions): Promise<Session> {
    checkSessionOptions(options, this.#requireOpen('openSession'));
    const session = new MemorySession(
      {
        store: this.store,
        clock: this.#clock,
        requireOpen: this.#requireOpen,
        onEnd: (ended) => this.#sessions.delete(ended),
      },
      options,
    );
    this.#sessions.add(session);
    return session;
  }

  async maintain(budget: MaintenanceBudget): Promise<MaintenanceReport> {
    this.#requireOpen('maintain');
    throwIfAborted(budget.signal, 'maintain');
    checkInteger(budget.maxTasks, 'maxTasks', 1, Number.MAX_SAFE_INTEGER);
    return maintainStore(this.store, budget, this.#retention);
  }

  async overdue(request: OverdueRequest): Promise<OverdueTask[]> {
    this.#requireOpen('overdue');
    checkOverdueRequest(request);
    return overdueTasks(this.store, request);
  }

  async health(): Promise<BrokerHealth> {
    try {
      this.#requireOpen('health');
      return { state: 'ready' };
    } catch (error) {
      return { state: 'down', detail: (error as Error).message };
    }
  }

  close(): Promise<void> {
    return this.#lifecycle.close();
  }

  async #endAll(): Promise<void> {
    this.#closed.abort();
    for (const session of [...this.#sessions]) await session.end();
  }

  #findTransaction(transaction: MemoryTransaction | undefined): OpenTransaction | undefined {
    if (transaction === undefined) return undefined;
    if (transaction instanceof OpenTransaction && transaction.store === this.store) {
      return requireOpenTransaction(transaction);
    }
    throw new ValidationError("transaction must come from this broker's transaction()", { option: 'transaction' });
  }
}

function requireOpenTransaction(transaction: OpenTransaction): OpenTransaction {
  if (transaction.open) return transaction;
  throw new ValidationError('transaction has ended; await every enqueue before its function returns', {
    option: 'transaction',
    op: 'enqueue',
    adapter: 'memory',
  });
}
