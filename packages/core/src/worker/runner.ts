import type { SettleOp } from '../broker/session.ts';
import { type Duration, parseDuration } from '../duration.ts';
import { AbortedError, isMillraceError, LeaseLostError, ValidationError } from '../errors.ts';
import { decodePayload, encodeBounded } from '../payload.ts';
import { defaultRetry } from '../retry-policy.ts';
import type { FailureKind } from '../task.ts';
import { validate } from '../validate.ts';
import { describeFailure } from './failure.ts';
import { isNonRetryable, isRetryAfter, isSnooze } from './outcome.ts';
import type { SettleBuffer } from './settle-buffer.ts';
import type { Middleware } from './task-context.ts';
import type { RunSupport, TaskRun } from './task-run.ts';

/** What the runner needs besides what runs need. */
export interface RunnerOptions extends RunSupport {
  readonly instance: string;
  readonly settles: SettleBuffer;
  readonly middleware: readonly Middleware[];
  readonly random: () => number;
  /** Called once per run, when its slot is free again. */
  readonly onEnded: (run: TaskRun) => void;
}

/** The stored value, or what the handler returned, does not fit: running it again would not help. */
class InvalidTask extends Error {}

/** Runs one attempt from the stored input to the settle: decode, validate, middleware, handler, policy. */
export class Runner {
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Starts a run. Never throws, whatever the handler does. */
  start(run: TaskRun): void {
    const { timeoutMs } = run.delivery;
    if (timeoutMs !== undefined) this.#watchTimeout(run, timeoutMs);
    let result: unknown;
    try {
      result = this.#invoke(run);
      if (isThenable(result)) {
        result.then(
          (value) => this.#returned(run, value),
          (error: unknown) => this.#threw(run, error),
        );
        return;
      }
    } catch (error) {
      this.#threw(run, error);
      return;
    }
    this.#returned(run, result);
  }

  #invoke(run: TaskRun): unknown {
    const input = checked(() => validate(run.handler.definition.input, decodePayload(run.delivery.input), 'input'));
    if (!isThenable(input)) return this.#call(run, input);
    return input.then((late) => {
      // Told to stop, or over, while the schema was busy: the handler must not begin any more.
      if (run.abortReason !== undefined) throw run.abortReason;
      return this.#call(run, late);
    }, invalid);
  }

  #call(run: TaskRun, input: unknown): unknown {
    const { middleware } = this.#options;
    if (middleware.length === 0) return run.handler.run(input, run);
    const step = async (index: number): Promise<unknown> => {
      const layer = middleware[index];
      if (layer === undefined) return run.handler.run(input, run);
      let called = false;
      return layer(run, () => {
        // A second run of the handler in one attempt would do its work twice.
        if (called) throw new Error('a middleware called next twice');
        called = true;
        return step(index + 1);
      });
    };
    return step(0);
  }

  #returned(run: TaskRun, value: unknown): void {
    if (run.ended) {
      this.#reportLate(run, 'finished');
      return;
    }
    try {
      const output = checked(() => validate(run.handler.definition.output, value, 'output'));
      if (isThenable(output)) {
        output.then(
          (late) => this.#complete(run, late),
          (error: unknown) => this.#threw(run, asInvalid(error)),
        );
      } else {
        this.#complete(run, output);
      }
    } catch (error) {
      this.#threw(run, error);
    }
  }

  #complete(run: TaskRun, value: unknown): void {
    if (run.ended) {
      this.#reportLate(run, 'finished');
      return;
    }
    const { lease } = run.delivery;
    let output: string | undefined;
    try {
      output = encodeBounded(value, 'output', this.#options.limits().payloadBytes);
    } catch (error) {
      this.#threw(run, asInvalid(error));
      return;
    }
    this.end(run, output === undefined ? { type: 'complete', lease } : { type: 'complete', lease, output });
  }

  #threw(run: TaskRun, error: unknown): void {
    if (run.ended) this.#reportLate(run, 'failed', error);
    else this.end(run, this.#judge(run, error));
  }

  /** What a thrown error means: a stop that was asked for, a wish of the handler's, or a failure. */
  #judge(run: TaskRun, error: unknown): SettleOp {
    const { lease } = run.delivery;
    const stop = run.abortReason;
    if (run.requested === 'pause') return { type: 'pause', lease };
    if (run.requested !== undefined) return { type: 'cancel', lease };
    // A handler that ends because the worker shuts down has not failed.
    if (stop instanceof AbortedError && stop.why === 'shutdown') return { type: 'release', lease };
    if (isSnooze(error)) {
      const tooLong = this.#tooLong(run, error.delayMs);
      return tooLong === undefined
        ? { type: 'snooze', lease, delayMs: error.delayMs }
        : this.#fail(run, 'error', tooLong);
    }
    if (isInvalid(error)) return this.#fail(run, 'invalid', error.cause);
    return this.#retryOrFail(run, 'error', error);
  }

  #fail(run: TaskRun, kind: FailureKind, error: unknown): SettleOp {
    return { type: 'fail', lease: run.delivery.lease, failure: describeFailure(error, kind, this.#options.instance) };
  }

  #retryOrFail(run: TaskRun, kind: 'error' | 'timeout', error: unknown): SettleOp {
    const { lease, maxAttempts } = run.delivery;
    if (lease.attempt >= maxAttempts || isNonRetryable(error)) return this.#fail(run, kind, error);
    const delayMs = isRetryAfter(error) ? error.delayMs : this.#policyDelay(run, kind, error);
    // Sooner than asked for would break the promise the policy made.
    if (delayMs === 'give up' || this.#tooLong(run, delayMs) !== undefined) return this.#fail(run, kind, error);
    return { type: 'retry', lease, delayMs, failure: describeFailure(error, kind, this.#options.instance) };
  }

  #tooLong(run: TaskRun, delayMs: number): Error | undefined {
    const longest = this.#options.limits().delayMs;
    if (delayMs <= longest) return undefined;
    const problem = `a delay of ${delayMs} ms is longer than the ${longest} ms this broker can keep`;
    this.#options.logger.error({ taskId: run.id, task: run.name }, `${problem}; the task ends as failed`);
    return new ValidationError(problem, { option: 'delay' });
  }

  #policyDelay(run: TaskRun, kind: 'error' | 'timeout', error: unknown): number | 'give up' {
    const { retry } = run.handler.definition;
    // How often is the task's own limit; an enqueue may have raised it above the policy's, whose last delay then stays.
    const policy = retry.attempts === 1 ? defaultRetry : retry;
    const attempt = Math.min(run.attempt, policy.attempts === run.maxAttempts ? run.attempt : policy.attempts - 1);
    try {
      const delay: unknown = policy.delay({ attempt, kind, error }, this.#options.random());
      // An async policy is refused below; its rejection must not take the process down.
      if (delay instanceof Promise) delay.catch(() => {});
      // A policy may be anybody's object; a broker gets whole milliseconds or nothing.
      return delay === 'give up' ? delay : parseDuration(delay as Duration, 'the delay of the retry policy');
    } catch (policyError) {
      this.#options.logger.error(
        { taskId: run.id, task: run.name, error: policyError },
        'the retry policy threw or gave no duration; the task ends as failed',
      );
      return 'give up';
    }
  }

  #watchTimeout(run: TaskRun, timeoutMs: number): void {
    const { clock } = this.#options;
    run.deadline = new Date(clock.now() + timeoutMs);
    run.timeoutTimer = clock.setTimer(() => {
      const error = new AbortedError('timeout', `the attempt took longer than ${timeoutMs} ms`, { op: 'run' });
      run.abort(error);
      this.end(run, run.requested === undefined ? this.#retryOrFail(run, 'timeout', error) : this.#judge(run, error));
    }, timeoutMs);
  }

  /** Ends a run's lease with an operation, after what it reported. Only the first call counts. */
  end(run: TaskRun, operation: SettleOp): void {
    if (run.ended) return;
    const { reports, settles } = this.#options;
    this.#leave(run);
    run.settledAs = operation.type;
    settles.add(run.session, operation, reports.has(run.id, run.fence) ? reports.flush() : undefined);
    this.#options.onEnded(run);
  }

  /** Ends a run whose handler must not begin any more: it was told to stop first, or the worker is stopping. */
  skip(run: TaskRun): void {
    run.abort(new AbortedError('shutdown', 'the worker is shutting down', { op: 'run' }));
    this.end(run, this.#judge(run, run.abortReason));
  }

  /** The session is gone: nothing can be settled any more. */
  lose(run: TaskRun, reason: unknown): void {
    if (run.ended) return;
    this.#leave(run);
    run.abort(
      reason instanceof LeaseLostError ? reason : new LeaseLostError('the session was lost', { cause: reason }),
    );
    this.#options.onEnded(run);
  }

  #leave(run: TaskRun): void {
    run.ended = true;
    if (run.timeoutTimer !== undefined) this.#options.clock.clearTimer(run.timeoutTimer);
  }

  #reportLate(run: TaskRun, how: 'finished' | 'failed', error?: unknown): void {
    this.#options.logger.warn(
      { taskId: run.id, task: run.name, attempt: run.attempt, ...(error === undefined ? {} : { error }) },
      `a handler ${how} after its run had ended; its outcome was dropped`,
    );
  }
}

function checked(step: () => unknown): unknown {
  try {
    return step();
  } catch (error) {
    throw asInvalid(error);
  }
}

function invalid(error: unknown): never {
  throw asInvalid(error);
}

/** A schema that throws by itself is a defect that a retry may not hit; only a verdict makes a task invalid. */
function asInvalid(error: unknown): unknown {
  const verdict = isMillraceError(error, 'VALIDATION') || isMillraceError(error, 'CORRUPT_TASK');
  return verdict ? new InvalidTask('invalid', { cause: error }) : error;
}

function isInvalid(error: unknown): error is InvalidTask {
  try {
    return error instanceof InvalidTask;
  } catch {
    // A handler may throw a revoked proxy, which cannot be asked anything.
    return false;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const may = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return may && typeof (value as { then?: unknown }).then === 'function';
}
