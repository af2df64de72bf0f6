import { throwIfAborted } from '../adapter/deadline.ts';
import type { Broker, EnqueueOutcome, QueueStore } from '../broker/broker.ts';
import type { Capabilities } from '../broker/capabilities.ts';
import { checkBroker, useBroker } from '../broker-users.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { TaskDefinition, TaskInput, TaskOutput } from '../define-task.ts';
import { type Duration, parseDuration } from '../duration.ts';
import { AbortedError, ClosedError, isMillraceError, UnavailableError, ValidationError } from '../errors.ts';
import { checkKnownOptions, kindOf } from '../known-options.ts';
import { encodePayload } from '../payload.ts';
import type { NewTask, TaskHeaders } from '../task.ts';
import { validate } from '../validate.ts';
import { type BatchLimits, EnqueueBatcher } from './enqueue-batcher.ts';
import { EnqueueManyError } from './enqueue-many-error.ts';
import { buildTask, type EnqueueOptions } from './enqueue-options.ts';
import { requireSupport } from './require-support.ts';
import { createTaskControl, type TaskControl } from './task-control.ts';
import { TaskHandle } from './task-handle.ts';

/** What `createClient` takes. */
export interface ClientOptions<Tx> {
  readonly broker: Broker<Tx>;
  /** How long an enqueue may take, resending included, before it rejects. Default `'10s'`. */
  readonly enqueueTimeout?: Duration;
  /** Headers for every task, asked at each enqueue: trace context, tenant. */
  readonly headers?: () => TaskHeaders;
  /** Whether the broker is closed with its last client or worker. Default true. */
  readonly closeBroker?: boolean;
  /** For tests. */
  readonly clock?: Clock;
}

/** One item of `enqueueMany`: its input and, where it differs, its own options. */
export interface EnqueueItem<Input> {
  readonly input: Input;
  readonly options?: Omit<EnqueueOptions<never>, 'transaction' | 'signal'>;
}

/** The producer's side: enqueues tasks, looks them up, controls them. */
export interface Client<Tx = never> extends AsyncDisposable {
  /**
   * Stores a task. Resolves when the broker has it for good; what happened is in `handle.outcome`.
   * @throws ValidationError UnsupportedError UnavailableError IndeterminateError BackpressureError ClosedError AbortedError
   */
  enqueue<D extends TaskDefinition>(
    definition: D,
    input: TaskInput<D>,
    options?: EnqueueOptions<Tx>,
  ): Promise<TaskHandle<TaskOutput<D>>>;
  /**
   * Stores many tasks of one definition in as few round trips as possible, in order. All inputs are checked first: an
   * invalid one rejects the call before anything is stored. When the broker stores some and not others, the call
   * rejects with an `EnqueueManyError`, whose `outcomes` hold the handles of those that are stored.
   * @throws EnqueueManyError, and what `enqueue` throws when nothing was stored
   */
  enqueueMany<D extends TaskDefinition>(
    definition: D,
    items: readonly EnqueueItem<TaskInput<D>>[],
    options?: Pick<EnqueueOptions<Tx>, 'transaction' | 'signal'>,
  ): Promise<TaskHandle<TaskOutput<D>>[]>;
  /** A handle for a task enqueued elsewhere. */
  handle<D extends TaskDefinition>(definition: D, id: string): TaskHandle<TaskOutput<D>>;
  readonly tasks: TaskControl;
  readonly queues: QueueStore;
  /** What the broker can do; opens it if need be. */
  capabilities(): Promise<Capabilities>;
  /** Waits for enqueues in flight and lets go of the broker. Safe to repeat. */
  close(): Promise<void>;
}

const knownOptions = ['broker', 'enqueueTimeout', 'headers', 'closeBroker', 'clock'] as const;

/** A call of more tasks is stored in several steps, each of which is stored or not. */
const largestBatch = 1_000;

/** Creates a client. The broker is opened with the first call. @throws ValidationError naming the option */
export function createClient<Tx = never>(options: ClientOptions<Tx>): Client<Tx> {
  checkKnownOptions(options, knownOptions, 'createClient');
  const { broker, clock = systemClock } = options;
  checkBroker(broker);
  const timeoutMs = parseDuration(options.enqueueTimeout ?? '10s', 'enqueueTimeout');
  if (options.headers !== undefined && typeof options.headers !== 'function') {
    throw new ValidationError(`headers must be a function that gives them; got ${kindOf(options.headers)}`, {
      option: 'headers',
    });
  }
  const release = options.closeBroker === false ? async () => {} : useBroker(broker);
  let opening: Promise<Capabilities> | undefined;
  let capabilities: Capabilities | undefined;
  const limits = (): BatchLimits => capabilities?.batch ?? { maxEnqueue: 1 };
  const batcher = new EnqueueBatcher(broker, timeoutMs, clock, limits);
  let closed = false;

  function opened(): Promise<Capabilities> {
    if (closed) return Promise.reject(new ClosedError('this client is closed', { reason: 'closed' }));
    opening ??= broker.open().then(
      (value) => {
        capabilities = value;
        return value;
      },
      (error: unknown) => {
        opening = undefined;
        throw error;
      },
    );
    return opening;
  }

  const control = createTaskControl(broker, opened, clock);

  /** At once, unless a schema or the broker has to be waited for: a promise for every task would cost as much again. */
  function build(
    definition: TaskDefinition,
    input: unknown,
    itemOptions: EnqueueOptions<unknown> | undefined,
  ): NewTask | Promise<NewTask> {
    const checked = validate(definition.input, input, 'input');
    return checked instanceof Promise
      ? checked.then(() => buildChecked(definition, input, itemOptions))
      : buildChecked(definition, input, itemOptions);
  }

  function buildChecked(
    definition: TaskDefinition,
    input: unknown,
    itemOptions: EnqueueOptions<unknown> | undefined,
  ): NewTask | Promise<NewTask> {
    const task = buildTask(definition, encodePayload(input, 'input'), itemOptions, options.headers?.());
    const checkSupport = (known: Capabilities): NewTask => {
      requireSupport(broker.kind, known, task, itemOptions?.transaction);
      return task;
    };
    return capabilities === undefined ? opened().then(checkSupport) : checkSupport(capabilities);
  }

  function storeOne(
    task: NewTask,
    callOptions: EnqueueOptions<unknown> | undefined,
  ): Promise<EnqueueOutcome | undefined> {
    if (!closed && callOptions?.signal === undefined && callOptions?.transaction === undefined)
      return batcher.add(task);
    return store([task], callOptions).then(([outcome]) => outcome);
  }

  async function store(
    tasks: readonly NewTask[],
    callOptions: Pick<EnqueueOptions<unknown>, 'transaction' | 'signal'> | undefined,
  ): Promise<EnqueueOutcome[]> {
    if (closed) throw new ClosedError('this client is closed', { op: 'enqueue', reason: 'closed' });
    throwIfAborted(callOptions?.signal, 'enqueue');
    const transaction = callOptions?.transaction as Tx | undefined;
    const size = Math.min(largestBatch, limits().maxEnqueue);
    const work = tasks.length <= size ? storeBatch(tasks, transaction) : storeBatches(tasks, transaction, size);
    return callOptions?.signal === undefined ? work : abandonOnAbort(work, callOptions.signal);
  }

  function storeBatch(tasks: readonly NewTask[], transaction: Tx | undefined): Promise<EnqueueOutcome[]> {
    return transaction === undefined ? batcher.addInOrder(tasks) : broker.enqueue(tasks, { transaction });
  }

  /** One after the other: that keeps the order, and a transaction runs on one connection. */
  async function storeBatches(
    tasks: readonly NewTask[],
    transaction: Tx | undefined,
    size: number,
  ): Promise<EnqueueOutcome[]> {
    const outcomes: EnqueueOutcome[] = [];
    for (let start = 0; start < tasks.length; start += size) {
      const batch = tasks.slice(start, start + size);
      try {
        for (const outcome of await storeBatch(batch, transaction)) outcomes.push(outcome);
      } catch (error) {
        if (start === 0 || !isMillraceError(error)) throw error;
        // What was stored before must not be lost with it.
        for (const _task of batch) outcomes.push({ status: 'rejected', error });
        const rest = new UnavailableError('not sent, because tasks before it could not be stored', {
          op: 'enqueue',
          adapter: broker.kind,
          cause: error,
        });
        while (outcomes.length < tasks.length) outcomes.push({ status: 'rejected', error: rest });
      }
      if (outcomes.length === tasks.length) break;
    }
    return outcomes;
  }

  return {
    async enqueue(definition, input, itemOptions) {
      const made = build(definition, input, itemOptions);
      const task = made instanceof Promise ? await made : made;
      return toHandle(task, await storeOne(task, itemOptions), control);
    },
    async enqueueMany(definition, items, callOptions) {
      checkItems(items);
      if (items.length === 0) return [];
      const tasks: NewTask[] = [];
      for (const item of items) {
        const itemOptions = callOptions === undefined ? item.options : { ...item.options, ...callOptions };
        const made = build(definition, item.input, itemOptions);
        tasks.push(made instanceof Promise ? await made : made);
      }
      const outcomes = await store(tasks, callOptions);
      return toHandles(tasks, outcomes, control);
    },
    handle: (_definition, id) => new TaskHandle(id, { status: 'accepted' }, control),
    tasks: control,
    queues: openingQueues(broker, opened),
    capabilities: opened,
    async close() {
      closed = true;
      await batcher.drain();
      await release();
    },
    async [Symbol.asyncDispose]() {
      await this.close();
    },
  };
}

/** Options beside the input instead of in `options` would be lost without a word (BAD-01). */
function checkItems(items: readonly EnqueueItem<unknown>[]): void {
  if (!Array.isArray(items)) {
    throw new ValidationError(`enqueueMany needs an array of { input, options? }; got ${kindOf(items)}`, {
      option: 'items',
    });
  }
  for (const item of items) checkKnownOptions(item, ['input', 'options'], 'an item of enqueueMany');
}

/** The broker's queues, for callers that may be the first to use it. */
function openingQueues(broker: Broker<unknown>, opened: () => Promise<Capabilities>): QueueStore {
  const queues = async (): Promise<QueueStore> => {
    await opened();
    return broker.queues;
  };
  return {
    stats: async (names) => (await queues()).stats(names),
    pause: async (queue) => (await queues()).pause(queue),
    resume: async (queue) => (await queues()).resume(queue),
    purge: async (queue) => (await queues()).purge(queue),
  };
}

function toHandle<Output>(
  task: NewTask,
  outcome: EnqueueOutcome | undefined,
  control: TaskControl,
): TaskHandle<Output> {
  if (outcome === undefined) throw new Error('the broker answered fewer outcomes than tasks');
  if (outcome.status === 'rejected') throw outcome.error;
  return new TaskHandle<Output>(task.id, outcome, control);
}

function toHandles<Output>(
  tasks: readonly NewTask[],
  outcomes: readonly EnqueueOutcome[],
  control: TaskControl,
): TaskHandle<Output>[] {
  const first = outcomes.find((outcome) => outcome.status === 'rejected');
  if (first === undefined) return tasks.map((task, index) => toHandle<Output>(task, outcomes[index], control));
  // Nothing stored, and all for one reason: that reason says it all.
  if (outcomes.every((outcome) => outcome.status === 'rejected' && outcome.error === first.error)) throw first.error;
  const results = tasks.map((task, index): PromiseSettledResult<TaskHandle<Output>> => {
    const outcome = outcomes[index];
    return outcome?.status === 'rejected'
      ? { status: 'rejected', reason: outcome.error }
      : { status: 'fulfilled', value: toHandle<Output>(task, outcome, control) };
  });
  throw new EnqueueManyError<Output>(results, first.error);
}

/** Rejects as soon as the caller gives up; the outcome of what is under way is then unknown to it. */
function abandonOnAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void =>
      reject(
        new AbortedError('caller', 'enqueue was aborted while under way; the task may have been stored', {
          op: 'enqueue',
          cause: signal.reason,
        }),
      );
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
