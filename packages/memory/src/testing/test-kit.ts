import {
  type Client,
  createClient,
  createWorker,
  type Duration,
  parseDuration,
  type TaskDefinition,
  type TaskHeaders,
  type TaskInput,
  type TaskOutput,
  type Worker,
  type WorkerOptions,
} from '@millrace/core';
import { type MemoryBroker, memoryBroker } from '../memory-broker.ts';
import type { MemoryTransaction } from '../transaction.ts';
import { becomeIdle } from './idle.ts';
import { type InlineRunOptions, runInline } from './inline-run.ts';
import { patientBroker } from './patient-broker.ts';
import { readTasks, type TestTask } from './test-task.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Options of {@link createTestKit}: those of a worker, and a few of its own. */
export interface TestKitOptions extends Omit<WorkerOptions, 'broker' | 'clock' | 'closeBroker'> {
  /** Where virtual time begins. Default: 2030-01-01T00:00:00Z. */
  readonly start?: Date | number;
  /** Headers for every task the client enqueues, as `createClient` takes them. */
  readonly headers?: () => TaskHeaders;
}

/** Client, broker and a started worker in one process, on a clock that only the test moves. */
export interface TestKit extends AsyncDisposable {
  readonly clock: VirtualClock;
  readonly broker: MemoryBroker;
  readonly client: Client<MemoryTransaction>;
  readonly worker: Worker;
  /**
   * Resolves when there is nothing to do at this instant: no handler runs, no task is due, every outcome is stored.
   * Time stands still meanwhile.
   * @param options.timeout how long handlers may really take. Default `'4s'`, which is below the limit of most runners.
   */
  idle(options?: { readonly timeout?: Duration }): Promise<void>;
  /** The same as `clock.advance`: moves time on, running what falls due on the way. */
  advance(duration: Duration): Promise<void>;
  /**
   * Calls the handler of a task once, without broker or worker, and returns its output or throws what it threw.
   * Tasks it enqueues go to the kit's client.
   */
  runInline<D extends TaskDefinition>(
    definition: D,
    input: TaskInput<D>,
    options?: InlineRunOptions,
  ): Promise<TaskOutput<D>>;
  /** The tasks of a definition, or all, with decoded payloads, in the order they were created. */
  tasks<D extends TaskDefinition>(definition?: D): Promise<TestTask<D>[]>;
  /** Stops the worker without waiting for handlers, and closes the rest. Safe to repeat. */
  close(): Promise<void>;
}

/**
 * Runs your handlers as in production, without a server and without waiting: days pass in milliseconds.
 *
 * @example
 * await using kit = createTestKit({ handlers: [handle(sendEmail, …)] });
 * await kit.client.enqueue(sendEmail, { to: 'a@b.c' }, { delay: '5m' });
 * await kit.advance('5m');
 * await kit.idle();
 * const [task] = await kit.tasks(sendEmail); // task.state is 'succeeded'
 * @throws ValidationError naming the option
 */
export function createTestKit(options: TestKitOptions): TestKit {
  const { start, headers, ...workerOptions } = options;
  const clock = new VirtualClock(start);
  // A test that lets a month pass still wants to see what happened in it.
  const broker = memoryBroker({ clock, retention: false });
  const client = createClient<MemoryTransaction>({
    broker,
    clock,
    closeBroker: false,
    ...(headers !== undefined && { headers }),
  });
  const worker = createWorker({
    // Long intervals: nobody else is there to be watched, and each timer on the way costs a moment of the test.
    // `idle` does the maintenance that a test can see.
    sessionTtl: '1d',
    maintenance: '1h',
    // The same delays in every run.
    random: () => 0.5,
    // A task is claimed when it starts, so that states are what a test expects.
    prefetch: 0,
    ...workerOptions,
    broker: patientBroker(broker),
    clock,
    closeBroker: false,
  });
  const started = worker.start();
  // Reported by whatever the test awaits next.
  started.catch(() => {});
  const { handlers } = options;
  const parts = {
    broker,
    worker,
    names: handlers.map((handler) => handler.definition.name),
    queues: options.queues ?? [...new Set(handlers.map((handler) => handler.definition.queue))],
  };
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    const stopping = worker.stop({ force: true });
    let stopped = false;
    const ended = stopping.finally(() => {
      stopped = true;
    });
    // Stopping waits by the clock for handlers that are deaf; nobody else moves it now.
    while (!stopped) await clock.advance('1s').catch(() => {});
    await ended;
    await client.close();
    await broker.close();
  }

  return {
    clock,
    broker,
    client,
    worker,
    async idle(idleOptions = {}) {
      await started;
      await becomeIdle(parts, parseDuration(idleOptions.timeout ?? '4s', 'timeout'));
    },
    async advance(duration) {
      await started;
      await clock.advance(duration);
    },
    runInline: (definition, input, inlineOptions = {}) =>
      runInline({ handlers, client, now: () => clock.now() }, definition, input, inlineOptions),
    tasks: (definition) => readTasks(client, definition),
    close() {
      closing ??= close();
      return closing;
    },
    [Symbol.asyncDispose]() {
      return this.close();
    },
  };
}
