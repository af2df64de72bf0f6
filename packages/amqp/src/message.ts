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
const defaultMaxAttempts = 3;

/** Content and properties of a message. */
export interface Encoded {
  readonly content: Buffer;
  readonly options: Options.Publish;
}

/** The message a new task becomes. */
export function toMessage(task: NewTask, now: number, delayMs: number): TaskMessage {
  const { delayMs: _delay, expiresInMs, fresh: _fresh, keyUntil: _until, onConflict: _conflict, runAt, ...kept } = task;
  const expiresAt = task.expiresAt ?? (expiresInMs === undefined ? undefined : now + expiresInMs);
  return {
    ...kept,
    createdAt: now,
    runAt: Math.max(now, runAt ?? now + delayMs),
    ...(expiresAt !== undefined && { expiresAt }),
    attempt: 0,
    fence: 0,
    errors: [],
  };
}

/** Milliseconds until a new task is due. */
export function delayOf(task: NewTask, now: number): number {
  return task.runAt === undefined ? task.delayMs : Math.max(0, task.runAt - now);
}

export function encodeMessage(message: TaskMessage): Encoded {
  const { id, name, input, priority, headers, errors, attempt, fence, maxAttempts, ...rest } = message;
  const hasHeaders = Object.keys(headers).length > 0;
  const long = hasHeaders && headerBytes(headers) > longestHeadersBytes;
  const envelope: Envelope = {
    v: formatVersion,
    ...rest,
    maxAttempts: maxAttempts === Number.POSITIVE_INFINITY ? 'unlimited' : maxAttempts,
    ...(attempt > 0 && { attempt }),
    ...(fence > 0 && { fence }),
    ...(hasHeaders && !long && { headers }),
    ...(errors.length > 0 && { errors: trimmed(errors) }),
  };
  const { content, ...kind } = long ? encodeLong(input, headers) : encodeBody(input);
  return {
    content,
    options: {
      messageId: id,
      type: name,
      priority,
      ...kind,
      persistent: true,
      mandatory: true,
      timestamp: Math.floor(message.createdAt / 1_000),
      headers: { [envelopeHeader]: JSON.stringify(envelope) },
    },
  };
}

/** @throws CorruptTaskError when it is no task */
export function decodeMessage(
  { content, properties }: Pick<ConsumeMessage | GetMessage, 'content' | 'properties'>,
  queue: string,
): TaskMessage {
  const { messageId, type, priority } = properties as { messageId?: unknown; type?: unknown; priority?: unknown };
  if (typeof messageId !== 'string' || messageId === '') throw corrupt('it has no message_id');
  if (typeof type !== 'string' || type === '') throw corrupt('it has no type, which is the name of the task');
  const envelope = readEnvelope(properties.headers?.[envelopeHeader]);
  const { v: _version, maxAttempts, ...rest } = envelope;
  const now = Number(properties.timestamp) * 1_000;
  const createdAt = envelope.createdAt ?? (Number.isFinite(now) ? now : 0);
  return {
    priority: typeof priority === 'number' ? priority : priorityRange.normal,
    version: 0,
    createdAt,
    runAt: createdAt,
    attempt: 0,
    fence: 0,
    errors: [],
    ...rest,
    queue: envelope.queue ?? queue,
    id: messageId,
    name: type,
    maxAttempts: maxAttempts === 'unlimited' ? Number.POSITIVE_INFINITY : (maxAttempts ?? defaultMaxAttempts),
    ...decodeBody(content, properties.contentType, envelope.headers ?? {}),
  };
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
  try {
    const envelope: unknown = JSON.parse(String(header));
    if (typeof envelope === 'object' && envelope !== null && !Array.isArray(envelope)) return envelope as Envelope;
  } catch {
    // Said below.
  }
  throw corrupt(`its header ${envelopeHeader} is no JSON object`);
}

function headerBytes(headers: Readonly<Record<string, string>>): number {
  let bytes = 0;
  for (const name in headers) bytes += name.length + (headers[name]?.length ?? 0);
  return bytes * 2;
}

/** JSON as it is; bytes as bytes; nothing as an empty body of no type. */
function encodeBody(input: string | undefined): { readonly content: Buffer; readonly contentType?: string } {
  if (input === undefined) return { content: Buffer.alloc(0) };
  if (input.startsWith(bytesPrefix)) {
    const base64 = input.slice(bytesPrefix.length);
    const content = Buffer.from(base64, 'base64');
    // What is no canonical base64 has to come back as it was, so it stays text.
    if (content.toString('base64') === base64) return { content, contentType: 'application/octet-stream' };
  }
  return { content: Buffer.from(input), contentType: 'application/json' };
}

function encodeLong(
  input: string | undefined,
  headers: Readonly<Record<string, string>>,
): { readonly content: Buffer; readonly contentType: string } {
  return { content: Buffer.from(JSON.stringify({ input, headers })), contentType: longType };
}

function decodeBody(
  content: Buffer,
  contentType: unknown,
  headers: Readonly<Record<string, string>>,
): Pick<TaskMessage, 'input' | 'headers'> {
  if (contentType === longType) {
    try {
      return JSON.parse(content.toString()) as Pick<TaskMessage, 'input' | 'headers'>;
    } catch {
      throw corrupt('its body is no JSON although it says so');
    }
  }
  if (contentType === 'application/octet-stream') return { input: bytesPrefix + content.toString('base64'), headers };
  if (content.length === 0 && contentType === undefined) return { headers };
  return { input: content.toString(), headers };
}

function corrupt(problem: string): CorruptTaskError {
  return new CorruptTaskError(`a message is no task of ours: ${problem}`, { adapter: 'amqp', reason: 'decode-failed' });
}
