import type { Delivery, Session, SettleOp } from '../broker/session.ts';
import type { Client } from '../client/create-client.ts';
import type { Clock, TimerHandle } from '../clock.ts';
import { IndeterminateError, LeaseLostError } from '../errors.ts';
import type { Logger, LogMethod } from '../logger.ts';
import { decodePayload, encodeBounded } from '../payload.ts';
import type { StopRequest, TaskHeaders, TaskLogLine } from '../task.ts';
import type { Handler } from './handle.ts';
import type { ReportBuffer } from './report-buffer.ts';
import type { Checkpoint, TaskContext } from './task-context.ts';

/** What the broker can keep, as its capabilities say. */
export interface RunLimits {
  /** Largest output, checkpoint or progress. */
  readonly payloadBytes: number;
  /** Longest delay of a retry or a snooze. */
  readonly delayMs: number;
}

/** What a run needs from its worker. */
export interface RunSupport {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reports: ReportBuffer;
  readonly client: () => Client<unknown>;
  /** Known once the broker is open, which it is before anything runs. */
  readonly limits: () => RunLimits;
}

/**
 * One attempt at one task, and the context its handler sees. Thousands are made per second: what most handlers never
 * touch (signal, checkpoint, logger) is made when first asked for.
 */
export class TaskRun implements TaskContext {
  readonly delivery: Delivery;
  readonly session: Session;
  readonly handler: Handler;
  readonly #support: RunSupport;
  /** On the worker's monotonic clock. */
  readonly startedAt: number;
  /** Set once the lease was settled or lost: whatever the handler still does no longer counts. */
  ended = false;
  /** How its lease was settled; `undefined` while it runs, and when the session was lost. */
  settledAs: SettleOp['type'] | undefined;
  /** A stop that was asked for by a user. */
  requested: StopRequest | undefined;
  timeoutTimer: TimerHandle | undefined;
  /** Among the runs of its worker. */
  place = -1;
  deadline: Date | undefined;
  #abortReason: Error | undefined;
  #controller: AbortController | undefined;
  #checkpoint: Checkpoint | undefined;
  #log: Logger | undefined;

  constructor(delivery: Delivery, session: Session, handler: Handler, support: RunSupport) {
    this.delivery = delivery;
    this.session = session;
    this.handler = handler;
    this.#support = support;
    this.startedAt = support.clock.monotonic();
  }

  get id(): string {
    return this.delivery.lease.taskId;
  }
  get name(): string {
    return this.delivery.name;
  }
  get queue(): string {
    return this.delivery.queue;
  }
  get attempt(): number {
    return this.delivery.lease.attempt;
  }
  get maxAttempts(): number {
    return this.delivery.maxAttempts;
  }
  get fence(): number {
    return this.delivery.lease.fence;
  }
  get version(): number {
    return this.delivery.version;
  }
  get headers(): TaskHeaders {
    return this.delivery.headers;
  }
  get key(): string | undefined {
    return this.delivery.key;
  }
  get group(): string | undefined {
    return this.delivery.group;
  }
  get owner(): string | undefined {
    return this.delivery.owner;
  }
  get createdAt(): number {
    return this.delivery.createdAt;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** Why the run should stop, once it should. */
  get abortReason(): Error | undefined {
    return this.#abortReason;
  }

  /** Tells the handler to stop; the first reason stays. */
  abort(reason: Error): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.#controller?.abort(reason);
  }

  get checkpoint(): Checkpoint {
    this.#checkpoint ??= this.#createCheckpoint();
    return this.#checkpoint;
  }

  #createCheckpoint(): Checkpoint {
    let saved = this.delivery.checkpoint;
    return {
      get: () => decodePayload(saved),
      set: async (value) => {
        const checkpoint = this.#encode(value, 'checkpoint');
        if (this.ended) throw this.#lateError('checkpoint.set');
        const { lease } = this.delivery;
        const outcome = await this.#support.reports.send(this.session, { lease, checkpoint });
        if (outcome === 'applied') saved = checkpoint;
        else if (outcome === 'stale' || this.ended) throw this.#lateError('checkpoint.set');
        else throw this.#unansweredError('checkpoint.set');
      },
    };
  }

  #encode(value: unknown, option: string): string {
    const { payloadBytes } = this.#support.limits();
    return encodeBounded(value === undefined ? null : value, option, payloadBytes) ?? 'null';
  }

  #lateError(op: string): LeaseLostError {
    return new LeaseLostError(`${op}: task ${this.id} is no longer held by this run`, { op });
  }

  #unansweredError(op: string): IndeterminateError {
    return new IndeterminateError(`${op}: the broker did not answer; it may have saved the value. Set it again`, {
      op,
    });
  }

  // Functions, not methods: handlers take them off the context, as in `async (input, { progress, enqueue }) => …`.
  get progress(): TaskContext['progress'] {
    return (value) => {
      const progress = this.#encode(value, 'progress');
      if (!this.ended) this.#support.reports.add(this.session, { lease: this.delivery.lease, progress });
    };
  }

  get log(): Logger {
    this.#log ??= {
      debug: this.#logMethod('debug'),
      info: this.#logMethod('info'),
      warn: this.#logMethod('warn'),
      error: this.#logMethod('error'),
    };
    return this.#log;
  }

  #logMethod(level: TaskLogLine['level']): LogMethod {
    return (first: Readonly<Record<string, unknown>> | string, message?: string) => {
      const own = { taskId: this.id, task: this.name, queue: this.queue, attempt: this.attempt };
      const fields = typeof first === 'string' ? undefined : first;
      const text = message ?? (typeof first === 'string' ? first : '');
      this.#support.logger[level]({ ...own, ...fields }, text);
      if (this.ended) return;
      const line: TaskLogLine = { level, message: withFields(text, fields), at: this.#support.clock.now() };
      this.#support.reports.add(this.session, { lease: this.delivery.lease, log: [line] });
    };
  }

  get enqueue(): TaskContext['enqueue'] {
    return (definition, input, options) =>
      this.#support.client().enqueue(definition, input, {
        ...options,
        headers: { ...this.headers, ...options?.headers },
      });
  }
}

const longestLogLine = 2_000;

function withFields(message: string, fields: Readonly<Record<string, unknown>> | undefined): string {
  let text = message;
  if (fields !== undefined) {
    try {
      text = `${message} ${JSON.stringify(fields)}`;
    } catch {
      // Circular or hostile fields still reach the logger; the stored line does without them.
    }
  }
  return text.slice(0, longestLogLine).toWellFormed();
}
