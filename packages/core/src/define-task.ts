import type { StandardSchemaV1 } from '@standard-schema/spec';
import { checkInteger, checkName } from './adapter/checks.ts';
import { type Duration, parseDuration } from './duration.ts';
import { ValidationError } from './errors.ts';
import { checkKnownOptions, kindOf } from './known-options.ts';
import { checkAttempts, defaultRetry, type RetryPolicy } from './retry-policy.ts';
import { priorityRange } from './task.ts';

/** What `defineTask` takes. `InputSchema` and `OutputSchema` are any Standard Schema: zod, valibot, arktype, `typed`. */
export interface TaskOptions<
  Name extends string,
  InputSchema extends StandardSchemaV1 | undefined,
  OutputSchema extends StandardSchemaV1 | undefined,
> {
  /** Stored with every task; workers find the handler by it. 1 to 255 bytes. */
  readonly name: Name;
  /** Default `'default'`. */
  readonly queue?: string;
  /**
   * Checked when enqueueing, so that the caller sees the mistake, and again in the worker, because stored data may be
   * older than the schema. What is stored is the value before the schema's transforms; they run once, in the worker.
   */
  readonly input?: InputSchema;
  /** Checks what the handler returns before it is stored. */
  readonly output?: OutputSchema;
  /** Default: five attempts, exponential from 1 s (see `defaultRetry`). */
  readonly retry?: RetryPolicy;
  /** Longest run of one attempt. Then its signal aborts, its slot is freed and the attempt has failed. Default: none. */
  readonly timeout?: Duration;
  /** 0 to 9, higher runs first. Default 4. */
  readonly priority?: number;
  /** Version of the input's shape, kept with each task and shown to the handler. Default 1. */
  readonly version?: number;
}

/** A task, declared once and imported by producers and workers alike. Holds no handler and no driver. */
export interface TaskDefinition<
  Name extends string = string,
  InputSchema extends StandardSchemaV1 | undefined = StandardSchemaV1 | undefined,
  OutputSchema extends StandardSchemaV1 | undefined = StandardSchemaV1 | undefined,
> {
  readonly name: Name;
  readonly queue: string;
  readonly input: InputSchema;
  readonly output: OutputSchema;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number | undefined;
  readonly priority: number;
  readonly version: number;
}

/** What a producer passes. `unknown` without a schema. */
export type TaskInput<D extends TaskDefinition> = D['input'] extends StandardSchemaV1<infer In, unknown> ? In : unknown;

/** What a handler receives: the schema's output. */
export type TaskParsedInput<D extends TaskDefinition> =
  D['input'] extends StandardSchemaV1<unknown, infer Out> ? Out : unknown;

/** What a handler returns. */
export type TaskReturn<D extends TaskDefinition> =
  D['output'] extends StandardSchemaV1<infer In, unknown> ? In : unknown;

/** What `handle.result()` resolves to. */
export type TaskOutput<D extends TaskDefinition> =
  D['output'] extends StandardSchemaV1<unknown, infer Out> ? Out : unknown;

const knownOptions = ['name', 'queue', 'input', 'output', 'retry', 'timeout', 'priority', 'version'] as const;

/**
 * Declares a task.
 *
 * @example
 * export const sendEmail = defineTask({
 *   name: 'email.send',
 *   input: z.object({ to: z.string() }),
 *   retry: exponential({ attempts: 5, base: '1s', max: '5m' }),
 *   timeout: '30s',
 * });
 * @throws ValidationError naming the option
 */
export function defineTask<
  const Name extends string,
  InputSchema extends StandardSchemaV1 | undefined = undefined,
  OutputSchema extends StandardSchemaV1 | undefined = undefined,
>(options: TaskOptions<Name, InputSchema, OutputSchema>): TaskDefinition<Name, InputSchema, OutputSchema> {
  checkKnownOptions(options, knownOptions, 'defineTask');
  checkName(options.name, 'name');
  const timeoutMs = options.timeout === undefined ? undefined : parseDuration(options.timeout, 'timeout');
  if (timeoutMs === 0) throw new ValidationError('timeout must be longer than 0', { option: 'timeout' });
  return Object.freeze({
    name: options.name,
    queue: checkName(options.queue ?? 'default', 'queue'),
    input: checkSchema(options.input, 'input') as InputSchema,
    output: checkSchema(options.output, 'output') as OutputSchema,
    retry: checkRetry(options.retry ?? defaultRetry),
    timeoutMs,
    priority: checkInteger(
      options.priority ?? priorityRange.normal,
      'priority',
      priorityRange.lowest,
      priorityRange.highest,
    ),
    version: checkInteger(options.version ?? 1, 'version', 0, 2_147_483_647),
  });
}

/** A schema that checks nothing and only gives a type, for programs without a schema library. */
export function typed<T>(): StandardSchemaV1<T, T> {
  return { '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as T }) } };
}

function checkSchema(schema: unknown, option: string): unknown {
  if (schema === undefined) return undefined;
  const standard = (schema as { '~standard'?: { validate?: unknown } } | null)?.['~standard'];
  if (typeof standard?.validate === 'function') return schema;
  throw new ValidationError(
    `${option} must be a Standard Schema (zod, valibot, arktype, typed<T>()); got ${kindOf(schema)}`,
    {
      option,
    },
  );
}

function checkRetry(retry: RetryPolicy): RetryPolicy {
  if (typeof retry !== 'object' || retry === null || typeof retry.delay !== 'function') {
    throw new ValidationError(
      `retry must be a policy made by none, fixed, linear, exponential, delays or custom; got ${kindOf(retry)}`,
      { option: 'retry' },
    );
  }
  checkAttempts(retry.attempts, 'retry.attempts');
  return retry;
}
