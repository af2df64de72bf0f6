import { CorruptTaskError, type NewTask, priorityRange, type TaskError, taskListLimits } from '@millrace/core';
import type { ConsumeMessage, GetMessage, Options } from 'amqplib';

/** A task as it travels: the message is all there is of it. The wire format is in docs/amqp-wire-format.md. */
export interface TaskMessage {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly input?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly timeoutMs?: number;
  readonly key?: string;
  readonly group?: string;
  readonly owner?: string;
  readonly version: number;
  readonly createdAt: number;
  readonly runAt: number;
  readonly expiresAt?: number;
  /** Attempts charged before this copy was published. */
  readonly attempt: number;
  /** The highest fence given out before this copy was published. */
  readonly fence: number;
  readonly errors: readonly TaskError[];
  /** What is left of a delay that is longer than one pass of the cascade. */
  readonly waitMs?: number;
  /** How often workers without a handler passed it on. */
  readonly passed?: number;
  /** Kind of the failure, on dead tasks. */
  readonly failure?: string;
  readonly diedAt?: number;
}

/** What is in the one header of ours, as JSON. Everything is optional for producers in other languages. */
type Envelope = Partial<Omit<TaskMessage, 'id' | 'name' | 'input' | 'priority' | 'maxAttempts'>> & {
  readonly v?: number;
  readonly maxAttempts?: number | 'unlimited';
};

/** The header that holds what AMQP's own properties do not. */
export const envelopeHeader = 'x-millrace';
const formatVersion = 1;
/** All headers of a message have to fit into one frame; larger ones of the caller travel in the body. */
const longestHeadersBytes = 32_768;
const bytesPrefix = 'b64:';
const longType = 'application/vnd.millrace.long+json';
/** What a message without the header means: the defaults of @millrace/core. */
const usual = { version: 1, maxAttempts: 5 } as const;
/** A task is sent sooner after it was made, or it was not made by the clock of this process. */
const longestUnsentMs = 1_000;
const noErrors: readonly TaskError[] = Object.freeze([]);
const noHeaders: Readonly<Record<string, string>> = Object.freeze({});
const plainFields: ReadonlySet<string> = new Set([
  ...['id', 'name', 'queue', 'input', 'headers', 'priority', 'maxAttempts', 'version', 'createdAt', 'runAt'],
  ...['attempt', 'fence', 'errors'],
]);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Content and properties of a message. */
export interface Encoded {
  /** Text is sent as UTF-8. */
  readonly content: Buffer | string;
  readonly options: Options.Publish;
}

/** The message a new task becomes. */
export function toMessage(task: NewTask, now: number, delayMs: number): TaskMessage {
  const madeAt = task.fresh === true ? timeOfId(task.id) : undefined;
  // Then the id says it, and no header has to.
  const createdAt = madeAt !== undefined && madeAt <= now && now - madeAt < longestUnsentMs ? madeAt : now;
  const dueAt = task.runAt ?? now + delayMs;
  const message: Mutable<TaskMessage> = {
    id: task.id,
    name: task.name,
    queue: task.queue,
    headers: task.headers,
    priority: task.priority,
    maxAttempts: task.maxAttempts,
    version: task.version,
    createdAt,
    runAt: dueAt > now ? dueAt : createdAt,
    attempt: 0,
    fence: 0,
    errors: noErrors,
  };
  if (task.input !== undefined) message.input = task.input;
  if (task.timeoutMs !== undefined) message.timeoutMs = task.timeoutMs;
  if (task.key !== undefined) message.key = task.key;
  if (task.group !== undefined) message.group = task.group;
  if (task.owner !== undefined) message.owner = task.owner;
  if (task.expiresAt !== undefined) message.expiresAt = task.expiresAt;
  else if (task.expiresInMs !== undefined) message.expiresAt = now + task.expiresInMs;
  return message;
}

/** Milliseconds until a new task is due. */
export function delayOf(task: NewTask, now: number): number {
  return task.runAt === undefined ? task.delayMs : Math.max(0, task.runAt - now);
}

/** @param direct it goes to its own queue, which says whose task it is */
export function encodeMessage(message: TaskMessage, { direct = false }: { readonly direct?: boolean } = {}): Encoded {
  const { input, headers } = message;
  let long = false;
  let hasHeaders = false;
  for (const _name in headers) {
    hasHeaders = true;
    long = headerBytes(headers) > longestHeadersBytes;
    break;
  }
  const isPlain = !hasHeaders && isUntouched(message);
  const options: Options.Publish = {
    messageId: message.id,
    type: message.name,
    priority: message.priority,
    persistent: true,
    mandatory: true,
    timestamp: Math.floor(message.createdAt / 1_000),
  };
  // A server spends a tenth of its time for a message on the headers of it.
  if (!(isPlain && direct && isUsual(message))) {
    const envelope = isPlain ? plainEnvelope(message) : fullEnvelope(message, hasHeaders && !long);
    options.headers = { [envelopeHeader]: envelope };
  }
  const { content, contentType } = long ? encodeLong(input, headers) : encodeBody(input);
  if (contentType !== undefined) options.contentType = contentType;
  return { content, options };
}

/** Nothing has happened to it yet, and it asks for nothing special. */
function isUntouched(message: TaskMessage): boolean {
  for (const field in message) if (!plainFields.has(field)) return false;
  return message.attempt === 0 && message.fence === 0 && message.errors.length === 0;
}

/** A message without the header says the same. */
function isUsual({ id, version, maxAttempts, createdAt, runAt }: TaskMessage): boolean {
  return (
    version === usual.version && maxAttempts === usual.maxAttempts && runAt === createdAt && timeOfId(id) === createdAt
  );
}

/** When a UUIDv7 was made (RFC 9562); `undefined` for other ids. */
function timeOfId(id: string): number | undefined {
  if (id.length !== 36 || id[14] !== '7' || id[8] !== '-' || id[13] !== '-') return undefined;
  const hex = id.slice(0, 8) + id.slice(9, 13);
  return /^[0-9a-f]{12}$/.test(hex) ? Number.parseInt(hex, 16) : undefined;
}

/** What tasks of one definition have in common is written once. */
function plainEnvelope({ queue, version, maxAttempts, createdAt, runAt }: TaskMessage): string {
  if (queue !== lastPlain.queue || version !== lastPlain.version || maxAttempts !== lastPlain.maxAttempts) {
    const start = JSON.stringify({ v: formatVersion, queue, version, maxAttempts: written(maxAttempts) }).slice(0, -1);
    lastPlain = { queue, version, maxAttempts, start: `${start},"createdAt":` };
  }
  return runAt === createdAt ? `${lastPlain.start}${createdAt}}` : `${lastPlain.start}${createdAt},"runAt":${runAt}}`;
}

let lastPlain = { queue: '', version: Number.NaN, maxAttempts: 0, start: '' };

function fullEnvelope(message: TaskMessage, withHeaders: boolean): string {
  const { id: _id, name: _name, input: _input, priority: _priority, ...rest } = message;
  const { headers, errors, attempt, fence, maxAttempts, ...kept } = rest;
  const envelope: Envelope = {
    v: formatVersion,
    ...kept,
    maxAttempts: written(maxAttempts),
    ...(attempt > 0 && { attempt }),
    ...(fence > 0 && { fence }),
    ...(withHeaders && { headers }),
    ...(errors.length > 0 && { errors: trimmed(errors) }),
  };
  return JSON.stringify(envelope);
}

const written = (maxAttempts: number): number | 'unlimited' =>
  maxAttempts === Number.POSITIVE_INFINITY ? 'unlimited' : maxAttempts;

/** @throws CorruptTaskError when it is no task */
export function decodeMessage(
  { content, properties }: Pick<ConsumeMessage | GetMessage, 'content' | 'properties'>,
  queue: string,
): TaskMessage {
  const { messageId, type, priority } = properties as { messageId?: unknown; type?: unknown; priority?: unknown };
  if (typeof messageId !== 'string' || messageId === '') throw corrupt('it has no message_id');
  if (typeof type !== 'string' || type === '') throw corrupt('it has no type, which is the name of the task');
  const envelope = readEnvelope(properties.headers?.[envelopeHeader]);
  const { v: _version, ...rest } = envelope;
  const { maxAttempts } = envelope;
  let { createdAt } = envelope;
  if (createdAt === undefined) {
    const seconds = Number(properties.timestamp);
    const madeAt = timeOfId(messageId);
    if (madeAt !== undefined && Math.floor(madeAt / 1_000) === seconds) createdAt = madeAt;
    else createdAt = Number.isFinite(seconds) ? seconds * 1_000 : 0;
  }
  const message: Mutable<TaskMessage> = {
    runAt: createdAt,
    attempt: 0,
    fence: 0,
    errors: noErrors,
    version: usual.version,
    ...rest,
    id: messageId,
    name: type,
    queue: envelope.queue ?? queue,
    createdAt,
    headers: envelope.headers ?? noHeaders,
    priority: typeof priority === 'number' ? priority : priorityRange.normal,
    maxAttempts: maxAttempts === 'unlimited' ? Number.POSITIVE_INFINITY : (maxAttempts ?? usual.maxAttempts),
  };
  readBody(message, content, properties.contentType);
  return message;
}

/** The error list with one more at its end, as long as it may be. */
export function withError(errors: readonly TaskError[], error: TaskError): TaskError[] {
  return [...errors, error].slice(-taskListLimits.errors);
}

/** Times and stacks of all attempts must not fill the header: older ones keep what fits. */
function trimmed(errors: readonly TaskError[]): readonly TaskError[] {
  const longest = Math.floor(longestHeadersBytes / 2 / errors.length);
  return errors.map((error) => ({
    ...error,
    message: error.message.slice(0, longest),
    ...(error.stack !== undefined && {
      stack: error.stack.slice(0, Math.max(0, longest - Math.min(error.message.length, longest))),
    }),
  }));
}

function readEnvelope(header: unknown): Envelope {
  if (header === undefined) return {};
  // Tasks that were enqueued together have the same one.
  if (header === lastRead.header) return lastRead.envelope;
  try {
    const envelope: unknown = JSON.parse(String(header));
    if (typeof envelope === 'object' && envelope !== null && !Array.isArray(envelope)) {
      if (typeof header === 'string') lastRead = { header, envelope };
      return envelope;
    }
  } catch {
    // Said below.
  }
  throw corrupt(`its header ${envelopeHeader} is no JSON object`);
}

let lastRead: { readonly header: string; readonly envelope: Envelope } = { header: '', envelope: {} };

function headerBytes(headers: Readonly<Record<string, string>>): number {
  let bytes = 0;
  for (const name in headers) bytes += name.length + (headers[name]?.length ?? 0);
  return bytes * 2;
}

/** JSON as it is; bytes as bytes; nothing as an empty body of no type. */
function encodeBody(input: string | undefined): { readonly content: Buffer | string; readonly contentType?: string } {
  if (input === undefined) return { content: '' };
  if (input.startsWith(bytesPrefix)) {
    const base64 = input.slice(bytesPrefix.length);
    const content = Buffer.from(base64, 'base64');
    // What is no canonical base64 has to come back as it was, so it stays text.
    if (content.toString('base64') === base64) return { content, contentType: 'application/octet-stream' };
  }
  return { content: input, contentType: 'application/json' };
}

function encodeLong(
  input: string | undefined,
  headers: Readonly<Record<string, string>>,
): { readonly content: string; readonly contentType: string } {
  return { content: JSON.stringify({ input, headers }), contentType: longType };
}

function readBody(message: Mutable<TaskMessage>, content: Buffer, contentType: unknown): void {
  if (contentType === longType) {
    try {
      Object.assign(message, JSON.parse(content.toString()) as Pick<TaskMessage, 'input' | 'headers'>);
    } catch {
      throw corrupt('its body is no JSON although it says so');
    }
  } else if (contentType === 'application/octet-stream') {
    message.input = bytesPrefix + content.toString('base64');
  } else if (content.length > 0 || contentType !== undefined) {
    message.input = content.toString();
  }
}

function corrupt(problem: string): CorruptTaskError {
  return new CorruptTaskError(`a message is no task of ours: ${problem}`, { adapter: 'amqp', reason: 'decode-failed' });
}
