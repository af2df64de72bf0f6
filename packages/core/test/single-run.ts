import type { Delivery, SettleOp } from '../src/broker/session.ts';
import { createClient } from '../src/client/create-client.ts';
import { defineTask, type TaskDefinition } from '../src/define-task.ts';
import { encodePayload } from '../src/payload.ts';
import { fixed } from '../src/retry-policy.ts';
import { ReportBuffer } from '../src/worker/report-buffer.ts';
import { Runner } from '../src/worker/runner.ts';
import { SettleBuffer } from '../src/worker/settle-buffer.ts';
import type { Middleware, TaskContext } from '../src/worker/task-context.ts';
import { TaskRun } from '../src/worker/task-run.ts';
import { ManualClock, turns, until } from './manual-clock.ts';
import { delivery, ScriptedBroker, ScriptedSession } from './scripted-broker.ts';

/** How a single run is set up. */
export interface SingleRunOptions {
  readonly definition?: TaskDefinition;
  readonly delivery?: Partial<Delivery> & { readonly attempt?: number };
  /** Encoded for the delivery; `delivery.input` is stored as it is. */
  readonly input?: unknown;
  readonly middleware?: readonly Middleware[];
  readonly random?: () => number;
}

/** A line of the worker's log. */
export interface LoggedLine {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** Retries after a second, up to the delivery's three attempts. */
export const retried: TaskDefinition = defineTask({ name: 'work', retry: fixed({ attempts: 3, delay: '1s' }) });

/** One run of one handler as a worker makes it, with a scripted session around it. */
export class SingleRun {
  readonly clock: ManualClock = new ManualClock();
  readonly session: ScriptedSession = new ScriptedSession();
  readonly broker: ScriptedBroker = new ScriptedBroker();
  readonly logged: LoggedLine[] = [];
  readonly runner: Runner;
  readonly run: TaskRun;
  /** Times the slot was freed. */
  endings = 0;

  constructor(handler: (input: never, context: TaskContext) => unknown, options: SingleRunOptions = {}) {
    const log =
      (level: string) =>
      (first: Readonly<Record<string, unknown>> | string, message?: string): void => {
        this.logged.push({ level, fields: typeof first === 'string' ? {} : first, message: message ?? String(first) });
      };
    const { clock } = this;
    const support = {
      clock,
      logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
      reports: new ReportBuffer(clock, () => {}),
      client: () => createClient({ broker: this.broker, clock }),
      limits: () => ({ payloadBytes: 10_000, delayMs: 1_000_000_000 }),
    };
    this.runner = new Runner({
      ...support,
      instance: 'worker-1',
      settles: new SettleBuffer(clock, () => {}),
      middleware: options.middleware ?? [],
      random: options.random ?? (() => 0.5),
      onEnded: () => {
        this.endings++;
      },
    });
    const input = encodePayload(options.input, 'input');
    const claimed = delivery({ ...(input === undefined ? {} : { input }), ...options.delivery });
    const definition = options.definition ?? retried;
    const run = handler as (input: unknown, context: TaskContext) => unknown;
    this.run = new TaskRun(claimed, this.session, { definition, concurrency: undefined, run }, support);
  }

  start(): this {
    this.runner.start(this.run);
    return this;
  }

  /** How the run was settled, once it is; its slot was freed exactly once. */
  async settled(): Promise<SettleOp> {
    await until(() => this.session.settled.length > 0, 'the settle');
    await turns();
    if (this.session.settled.length !== 1 || this.endings !== 1) {
      throw new Error(`settled ${this.session.settled.length} times, ended ${this.endings} times`);
    }
    return this.session.settled[0]!;
  }

  get warnings(): string[] {
    return this.logged.filter(({ level }) => level === 'warn' || level === 'error').map(({ message }) => message);
  }
}

/** Runs a handler to its settle. */
export function settleOf(
  handler: (input: never, context: TaskContext) => unknown,
  options?: SingleRunOptions,
): Promise<SettleOp> {
  return new SingleRun(handler, options).start().settled();
}
