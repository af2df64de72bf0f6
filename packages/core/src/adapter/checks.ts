import type { Capabilities } from '../broker/capabilities.ts';
import type { ClaimRequest, SessionOptions } from '../broker/session.ts';
import { ValidationError } from '../errors.ts';
import { kindOf } from '../known-options.ts';
import { checkAttempts } from '../retry-policy.ts';
import { type NewTask, priorityRange } from '../task.ts';

/** Longest id, name, queue, key, group, owner and header name, in UTF-8 bytes. */
export const longestNameBytes = 255;

/**
 * A name every backend can keep: 1 to 255 bytes of well-formed text without U+0000. Everything else is allowed:
 * dots, spaces, quotes, emoji come back as they were (PAY-13).
 * @throws ValidationError with reason `invalid-name`
 */
export function checkName(value: unknown, option: string): string {
  if (typeof value !== 'string') throw invalidName(option, `must be a string; got ${kindOf(value)}`);
  if (value.length === 0) throw invalidName(option, 'must not be empty');
  if (isLongerThan(longestNameBytes, value)) {
    throw invalidName(option, `must be at most ${longestNameBytes} bytes of UTF-8`);
  }
  if (value.includes('\0')) throw invalidName(option, 'must not contain U+0000');
  if (!value.isWellFormed()) throw invalidName(option, 'must not contain lone surrogates');
  return value;
}

/** A UTF-16 unit is at most three bytes of UTF-8: most texts need not be measured. */
function isLongerThan(bytes: number, text: string): boolean {
  return text.length * 3 > bytes && Buffer.byteLength(text) > bytes;
}

function invalidName(option: string, problem: string): ValidationError {
  return new ValidationError(`${option} ${problem}`, { option, reason: 'invalid-name' });
}

/** A whole number within bounds. @throws ValidationError naming the option */
export function checkInteger(value: unknown, option: string, lowest: number, highest: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= lowest && value <= highest) return value;
  throw new ValidationError(`${option} must be a whole number from ${lowest} to ${highest}; got ${kindOf(value)}`, {
    option,
  });
}

/** Checks one task against the contract and the broker's limits. Returns the error instead of throwing it. */
export function findTaskError(task: NewTask, capabilities: Capabilities): ValidationError | undefined {
  try {
    checkTask(task, capabilities);
    return undefined;
  } catch (error) {
    if (error instanceof ValidationError) return error;
    throw error;
  }
}

/** Names that were right: tasks that come together mostly share theirs. */
let lastName: string | undefined;
let lastQueue: string | undefined;

function checkTask(task: NewTask, capabilities: Capabilities): void {
  checkName(task.id, 'id');
  if (task.name !== lastName) lastName = checkName(task.name, 'name');
  if (task.queue !== lastQueue) lastQueue = checkName(task.queue, 'queue');
  if (task.key !== undefined) checkName(task.key, 'key');
  if (task.group !== undefined) checkName(task.group, 'group');
  if (task.owner !== undefined) checkName(task.owner, 'owner');
  checkInteger(task.priority, 'priority', priorityRange.lowest, priorityRange.highest);
  checkAttempts(task.maxAttempts, 'maxAttempts');
  checkInteger(task.version, 'version', 0, 2_147_483_647);
  checkInteger(task.delayMs, 'delay', 0, capabilities.delay.maxMs);
  if (task.runAt !== undefined) checkInstant(task.runAt, 'runAt');
  if (task.expiresAt !== undefined) checkInstant(task.expiresAt, 'expiresAt');
  if (task.expiresInMs !== undefined) checkInteger(task.expiresInMs, 'expires', 0, capabilities.delay.maxMs);
  if (task.timeoutMs !== undefined) checkInteger(task.timeoutMs, 'timeout', 1, Number.MAX_SAFE_INTEGER);
  const room = capabilities.payload.maxBytes - headerBytes(task);
  if (room < 0 || (task.input !== undefined && isLongerThan(room, task.input))) {
    const bytes = payloadBytes(task.input) + headerBytes(task);
    throw new ValidationError(
      `input and headers take ${bytes} bytes, more than the ${capabilities.payload.maxBytes} this broker accepts; store large data elsewhere and pass a reference`,
      { option: 'input', reason: 'payload-too-large' },
    );
  }
}

/** Bytes a payload takes when stored. */
export function payloadBytes(payload: string | undefined): number {
  return payload === undefined ? 0 : Buffer.byteLength(payload);
}

function headerBytes(task: NewTask): number {
  let bytes = 0;
  for (const name in task.headers) {
    const value: unknown = task.headers[name];
    checkName(name, 'headers');
    if (typeof value !== 'string') {
      throw new ValidationError(`headers['${name}'] must be a string; got ${kindOf(value)}`, { option: 'headers' });
    }
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  return bytes;
}

// The range of a JavaScript Date, which every backend's timestamp covers too.
const furthestInstant = 8_640_000_000_000_000;

function checkInstant(value: unknown, option: string): void {
  checkInteger(value, option, -furthestInstant, furthestInstant);
}

/** @throws ValidationError naming the option */
export function checkClaimRequest(request: ClaimRequest, capabilities: Capabilities): void {
  checkInteger(request.limit, 'limit', 1, capabilities.batch.maxClaim);
  checkInteger(request.waitMs, 'waitMs', 0, 2_147_483_647);
  if (request.queues.length === 0) {
    throw new ValidationError('queues must name at least one queue', { option: 'queues' });
  }
  if (request.names.length === 0) {
    throw new ValidationError('names must hold at least one task name', { option: 'names' });
  }
  for (const queue of request.queues) checkName(queue, 'queues');
  for (const name of request.names) checkName(name, 'names');
}

/**
 * What `Session.claimTasks` may be asked for. An id that no task can have is no error: nothing has it.
 * @throws ValidationError naming the option
 */
export function checkClaimIds(ids: readonly string[], capabilities: Capabilities): void {
  if (!Array.isArray(ids)) {
    throw new ValidationError(`ids must be a list of task ids; got ${kindOf(ids)}`, { option: 'ids' });
  }
  checkInteger(ids.length, 'ids.length', 1, capabilities.batch.maxClaim);
  const seen = new Set<unknown>();
  for (const id of ids) {
    if (typeof id !== 'string') {
      throw new ValidationError(`ids must hold strings; got ${kindOf(id)}`, { option: 'ids' });
    }
    if (seen.has(id)) {
      throw new ValidationError(`ids must name each task once; '${id}' is there twice`, { option: 'ids' });
    }
    seen.add(id);
  }
}

/** @throws ValidationError naming the option */
export function checkSessionOptions(options: SessionOptions, capabilities: Capabilities): void {
  checkName(options.instance, 'instance');
  checkName(options.host, 'host');
  checkInteger(options.ttlMs, 'ttl', capabilities.session.minTtlMs, capabilities.session.maxTtlMs);
}
