import {
  type Client,
  decodePayload,
  encodePayload,
  type Handler,
  silentLogger,
  type TaskContext,
  type TaskDefinition,
  type TaskHeaders,
  type TaskInput,
  type TaskOutput,
  ValidationError,
} from '@millrace/core';

/** What the context of an inline run shows the handler. Default: a first and only attempt. */
export interface InlineRunOptions {
  readonly id?: string;
  readonly attempt?: number;
  readonly maxAttempts?: number;
  readonly headers?: TaskHeaders;
  readonly key?: string;
  readonly group?: string;
  readonly owner?: string;
  readonly version?: number;
  /** Default: one that never aborts. */
  readonly signal?: AbortSignal;
  /** What an earlier attempt saved. */
  readonly checkpoint?: unknown;
}

/** What an inline run needs of its kit. */
export interface InlineRunSupport {
  readonly handlers: readonly Handler[];
  readonly client: Client<never>;
  readonly now: () => number;
}

/**
 * Calls a handler once, as a worker would after decoding and validating its input, and returns what would be stored
 * as its output. No broker, no middleware, no timeout, no retry: what the handler throws is thrown.
 */
export async function runInline<D extends TaskDefinition>(
  support: InlineRunSupport,
  definition: D,
  input: TaskInput<D>,
  options: InlineRunOptions,
): Promise<TaskOutput<D>> {
  const handler = support.handlers.find((each) => each.definition.name === definition.name);
  if (handler === undefined) {
    throw new ValidationError(`the kit has no handler for the task '${definition.name}'`, { option: 'handlers' });
  }
  const stored = decodePayload(encodePayload(input, 'input'));
  const parsed = await parse(handler.definition.input, stored, 'input');
  const result = await handler.run(parsed, inlineContext(handler.definition, support, options));
  const output = await parse(handler.definition.output, result, 'output');
  return decodePayload(encodePayload(output, 'output')) as TaskOutput<D>;
}

async function parse(schema: TaskDefinition['input'], value: unknown, option: string): Promise<unknown> {
  if (schema === undefined) return value;
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return result.value;
  const problems = result.issues.map((issue) => issue.message).join('; ');
  throw new ValidationError(`${option} does not match its schema: ${problems}`, { option, reason: 'invalid-value' });
}

function inlineContext(
  definition: TaskDefinition,
  { client, now }: InlineRunSupport,
  options: InlineRunOptions,
): TaskContext {
  let checkpoint = encodePayload(options.checkpoint, 'checkpoint');
  const { attempt = 1, headers = {} } = options;
  return {
    id: options.id ?? 'inline',
    name: definition.name,
    queue: definition.queue,
    attempt,
    maxAttempts: options.maxAttempts ?? attempt,
    fence: attempt,
    version: options.version ?? definition.version,
    headers,
    key: options.key,
    group: options.group,
    owner: options.owner,
    createdAt: now(),
    deadline: undefined,
    signal: options.signal ?? new AbortController().signal,
    checkpoint: {
      get: () => decodePayload(checkpoint),
      set: async (value) => {
        checkpoint = encodePayload(value === undefined ? null : value, 'checkpoint');
      },
    },
    progress: (value) => {
      // Refuses what could not be stored, as a real run does.
      encodePayload(value, 'progress');
    },
    log: silentLogger,
    enqueue: (child, input, childOptions) =>
      client.enqueue(child, input, { ...childOptions, headers: { ...headers, ...childOptions?.headers } }),
  };
}
