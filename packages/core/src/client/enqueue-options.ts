import { checkInteger, checkName } from '../adapter/checks.ts';
import type { TaskDefinition } from '../define-task.ts';
import { type Duration, parseDuration } from '../duration.ts';
import { ValidationError } from '../errors.ts';
import { checkKnownOptions, kindOf } from '../known-options.ts';
import { checkAttempts } from '../retry-policy.ts';
import {
  type KeyConflict,
  type KeyUntil,
  type NewTask,
  type Payload,
  priorityRange,
  type TaskHeaders,
} from '../task.ts';
import { newTaskId } from './task-id.ts';

/** How one task is enqueued. */
export interface EnqueueOptions<Tx = never> {
  /** Your own id, 1 to 255 bytes. Enqueueing it again, in whatever state the task is, stores nothing. Default: UUIDv7. */
  readonly id?: string;
  /** Wait this long before the first run, by the broker's clock. Not together with `runAt`. */
  readonly delay?: Duration;
  /** Due at this instant; one in the past means now. */
  readonly runAt?: Date;
  /** Never start it later than this: a span from now, or an instant. Too late, it ends as failed, kind `expired`. */
  readonly expires?: Duration | Date;
  /** 0 to 9, higher runs first. Default: the definition's. */
  readonly priority?: number;
  /** Runs in total. Default: the definition's `retry.attempts`. */
  readonly attempts?: number;
  /** Default: the definition's. */
  readonly timeout?: Duration;
  /** Default: the definition's. */
  readonly queue?: string;
  /** Unique key within the queue: while it is taken, enqueueing it again stores no second task. */
  readonly key?: string;
  /** How long the key stays taken. Default `'settled'`: until the task has ended. */
  readonly keyUntil?: KeyUntil;
  /** When the key is taken: `'ignore'` keeps the task as it is (default), `'replace'` gives a waiting one the new content. */
  readonly onConflict?: KeyConflict;
  /** Labels to filter by. */
  readonly group?: string;
  readonly owner?: string;
  /** Travels with the task, to the handler and to the tasks it enqueues. */
  readonly headers?: TaskHeaders;
  /** Store it in your own transaction: there when it commits, never when it rolls back. Where the broker can. */
  readonly transaction?: Tx;
  /** Gives up waiting. The task may have been stored all the same. */
  readonly signal?: AbortSignal;
}

const knownOptions = [
  'id',
  'delay',
  'runAt',
  'expires',
  'priority',
  'attempts',
  'timeout',
  'queue',
  'key',
  'keyUntil',
  'onConflict',
  'group',
  'owner',
  'headers',
  'transaction',
  'signal',
] as const;

const noHeaders: TaskHeaders = Object.freeze({});

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Makes the task a broker stores from a definition and a call's options. @throws ValidationError naming the option */
export function buildTask(
  definition: TaskDefinition,
  input: Payload | undefined,
  options: EnqueueOptions<unknown> | undefined,
  inherited: TaskHeaders | undefined,
): NewTask {
  const task: Mutable<NewTask> = {
    id: options?.id ?? newTaskId(),
    name: definition.name,
    queue: definition.queue,
    // A copy: it may be sent later, and the caller may go on using its object.
    headers: inherited === undefined ? noHeaders : { ...inherited },
    priority: definition.priority,
    delayMs: 0,
    maxAttempts: definition.retry.attempts,
    version: definition.version,
  };
  if (input !== undefined) task.input = input;
  if (definition.timeoutMs !== undefined) task.timeoutMs = definition.timeoutMs;
  if (options?.id === undefined) task.fresh = true;
  if (options !== undefined) applyOptions(task, options);
  return task;
}

function applyOptions(task: Mutable<NewTask>, options: EnqueueOptions<unknown>): void {
  checkKnownOptions(options, knownOptions, 'enqueue');
  if (options.id !== undefined) checkName(options.id, 'id');
  applyTimes(task, options);
  if (options.queue !== undefined) task.queue = checkName(options.queue, 'queue');
  if (options.priority !== undefined) {
    task.priority = checkInteger(options.priority, 'priority', priorityRange.lowest, priorityRange.highest);
  }
  if (options.attempts !== undefined) task.maxAttempts = checkAttempts(options.attempts, 'attempts');
  if (options.group !== undefined) task.group = checkName(options.group, 'group');
  if (options.owner !== undefined) task.owner = checkName(options.owner, 'owner');
  if (options.headers !== undefined) task.headers = { ...task.headers, ...options.headers };
  applyKey(task, options);
}

function applyTimes(task: Mutable<NewTask>, options: EnqueueOptions<unknown>): void {
  if (options.delay !== undefined && options.runAt !== undefined) {
    throw new ValidationError('delay and runAt exclude each other; give one of them', { option: 'runAt' });
  }
  if (options.delay !== undefined) task.delayMs = parseDuration(options.delay, 'delay');
  if (options.runAt !== undefined) task.runAt = instant(options.runAt, 'runAt');
  if (options.timeout !== undefined) {
    task.timeoutMs = checkInteger(parseDuration(options.timeout, 'timeout'), 'timeout', 1, Number.MAX_SAFE_INTEGER);
  }
  if (options.expires instanceof Date) task.expiresAt = instant(options.expires, 'expires');
  else if (options.expires !== undefined) task.expiresInMs = parseDuration(options.expires, 'expires');
}

function applyKey(task: Mutable<NewTask>, options: EnqueueOptions<unknown>): void {
  if (options.key === undefined) {
    for (const option of ['keyUntil', 'onConflict'] as const) {
      if (options[option] !== undefined) throw new ValidationError(`${option} needs a key`, { option });
    }
    return;
  }
  task.key = checkName(options.key, 'key');
  task.keyUntil = oneOf(options.keyUntil ?? 'settled', ['started', 'settled'], 'keyUntil');
  task.onConflict = oneOf(options.onConflict ?? 'ignore', ['ignore', 'replace'], 'onConflict');
}

function instant(value: unknown, option: string): number {
  const time = value instanceof Date ? value.getTime() : Number.NaN;
  if (Number.isNaN(time)) throw new ValidationError(`${option} must be a valid Date; got ${kindOf(value)}`, { option });
  return time;
}

function oneOf<T extends string>(value: T, allowed: readonly T[], option: string): T {
  if (allowed.includes(value)) return value;
  throw new ValidationError(`${option} must be one of ${allowed.join(', ')}; got ${kindOf(value)}`, { option });
}
