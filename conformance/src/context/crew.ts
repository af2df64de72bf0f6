import {
  type Broker,
  createClient,
  createWorker,
  defineTask,
  fixed,
  type Handler,
  handle,
  type Logger,
  type LogMethod,
  type Client as Producer,
  type RetryPolicy,
  type TaskContext,
  type TaskDefinition,
  type Worker,
  type WorkerOptions,
} from '@millrace/core';
import { usual } from './builders.ts';
import type { Client } from './client.ts';
import type { ScenarioContext } from './scenario-context.ts';

/** One call of a worker's logger. */
export interface Logged {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A started worker and what surrounds it. */
export interface Hired {
  readonly worker: Worker;
  readonly client: Client;
  readonly logged: readonly Logged[];
}

/** How a scenario hires a worker. */
export type HireOptions = Partial<Omit<WorkerOptions, 'broker' | 'handlers' | 'clock' | 'closeBroker'>> & {
  /** Default: the scenario's client. */
  readonly client?: Client;
  /** Instead of the client's own broker: one that records, say. */
  readonly broker?: Broker<unknown>;
  readonly started?: false;
};

/** A worker of the core on this broker, started unless told otherwise; stopped at the end. */
export async function hire(
  t: ScenarioContext,
  handlers: readonly Handler[],
  options: HireOptions = {},
): Promise<Hired> {
  const { client = t.client, broker = client.broker, started, ...rest } = options;
  const logged: Logged[] = [];
  const worker = createWorker({
    broker,
    handlers,
    clock: client.target.clock,
    logger: recordingLogger(logged),
    closeBroker: false,
    maintenance: Math.max(1, Math.round(Math.min(t.unitMs, t.capabilities.session.sweepMs))),
    ...rest,
  });
  t.defer(async () => {
    client.thaw();
    await worker.stop({ force: true });
  });
  if (started !== false) await t.soon(worker.start(), 'the start of a worker');
  return { worker, client, logged };
}

/** A client of the core on this broker; closed at the end. */
export function producer(t: ScenarioContext, client: Client = t.client): Producer<unknown> {
  const made = createClient<unknown>({ broker: client.broker, clock: client.target.clock, closeBroker: false });
  t.defer(() => made.close());
  return made;
}

/** The usual task, run by `fn`. Retries at once, three runs in total. */
export function job(
  fn: (input: unknown, context: TaskContext) => unknown,
  options: {
    readonly name?: string;
    readonly queue?: string;
    readonly retry?: RetryPolicy;
    readonly concurrency?: number;
  } = {},
): { readonly definition: TaskDefinition<string, undefined, undefined>; readonly handler: Handler } {
  const { name = usual.name, queue = usual.queue, retry = fixed({ attempts: 3, delay: 0 }), concurrency } = options;
  const definition = defineTask({ name, queue, retry });
  const handler = handle(definition, fn, concurrency === undefined ? {} : { concurrency });
  return { definition, handler };
}

function recordingLogger(logged: Logged[]): Logger {
  const method =
    (level: Logged['level']): LogMethod =>
    (first: Readonly<Record<string, unknown>> | string, message?: string) => {
      const fields = typeof first === 'string' ? {} : first;
      logged.push({ level, message: message ?? (typeof first === 'string' ? first : ''), fields });
    };
  return { debug: method('debug'), info: method('info'), warn: method('warn'), error: method('error') };
}
