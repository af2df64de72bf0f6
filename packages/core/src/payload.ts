import { CorruptTaskError, ValidationError } from './errors.ts';
import type { Payload } from './task.ts';

// JSON never starts with this, so text and bytes cannot be mistaken for each other.
const bytesPrefix = 'b64:';

/** Deepest nesting of arrays and objects a payload may have. */
export const deepestPayload = 500;

/**
 * Encodes a value as it is stored: JSON, or base64 for a top-level `Uint8Array`. What JSON would change silently is
 * refused with the path to it: `NaN`, infinities, `bigint`, functions, symbols, `Map`, `Set`, promises, boxed
 * primitives, invalid dates, nested bytes, cycles. As in JSON, object properties that are `undefined` are left out, and `toJSON` is honoured (a `Date` becomes its
 * ISO text). -0, lone surrogates, U+0000 and `__proto__` keys survive. `undefined` encodes to `undefined`: absent.
 *
 * @param option what the value is, for the message.
 * @throws ValidationError with the path to what cannot be stored.
 */
export function encodePayload(value: unknown, option: string): Payload | undefined {
  if (value === undefined) return undefined;
  if (value instanceof Uint8Array) {
    return written(
      () => bytesPrefix + Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'),
      option,
    );
  }
  const audit: Audit = { option, path: [], negativeZero: false };
  inspect(value, audit);
  return written(() => (audit.negativeZero ? writeWithNegativeZero(value) : JSON.stringify(value)), option);
}

/** No string may be longer than half a billion characters; which error says so depends on who makes it. */
function written(write: () => string, option: string): string {
  try {
    return write();
  } catch (error) {
    const tooLong = error instanceof RangeError || (error as { code?: unknown } | null)?.code === 'ERR_STRING_TOO_LONG';
    if (!tooLong) throw error;
    throw new ValidationError(`${option} is larger than any text can be; store large data elsewhere`, {
      option,
      reason: 'payload-too-large',
      cause: error,
    });
  }
}

/**
 * Encodes a value a broker has to keep. `undefined` stays absent.
 * @param maxBytes the broker's `payload.maxBytes`
 * @throws ValidationError when it cannot be stored, or is too large (reason `payload-too-large`)
 */
export function encodeBounded(value: unknown, option: string, maxBytes: number): Payload | undefined {
  const payload = encodePayload(value, option);
  // A UTF-16 unit is at most three bytes of UTF-8: most values need not be measured.
  if (payload === undefined || payload.length * 3 <= maxBytes) return payload;
  const bytes = Buffer.byteLength(payload);
  if (bytes <= maxBytes) return payload;
  throw new ValidationError(
    `${option} takes ${bytes} bytes, more than the ${maxBytes} this broker accepts; store large data elsewhere and keep a reference`,
    { option, reason: 'payload-too-large' },
  );
}

/** Decodes what `encodePayload` made. @throws CorruptTaskError when it is neither JSON nor base64 */
export function decodePayload(payload: Payload | undefined): unknown {
  if (payload === undefined) return undefined;
  if (payload.startsWith(bytesPrefix)) return decodeBytes(payload.slice(bytesPrefix.length));
  try {
    return JSON.parse(payload);
  } catch (cause) {
    throw new CorruptTaskError('the stored payload is not valid JSON', { cause, reason: 'decode-failed' });
  }
}

function decodeBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  // Buffer skips what is not base64 without a word; the length then tells (PAY-12).
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  if (bytes.length === (text.length / 4) * 3 - padding) return bytes;
  throw new CorruptTaskError('the stored payload is not valid base64', { reason: 'decode-failed' });
}

interface Audit {
  readonly option: string;
  /** To what is looked at: names and indexes. It is written out for the message only. */
  readonly path: (string | number)[];
  negativeZero: boolean;
}

function inspect(value: unknown, audit: Audit): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      if (!Number.isFinite(value)) throw unstorable(audit, `is ${value}`);
      if (value === 0 && Object.is(value, -0)) audit.negativeZero = true;
      return;
    case 'object':
      if (value !== null) inspectObject(value, audit);
      return;
    case 'undefined':
      throw unstorable(audit, 'is undefined (use null)');
    default:
      throw unstorable(audit, `is a ${typeof value}`);
  }
}

function inspectObject(value: object, audit: Audit): void {
  const { path } = audit;
  if (path.length >= deepestPayload) {
    throw unstorable(audit, `is nested deeper than ${deepestPayload} levels or circular`);
  }
  refuseSilentLoss(value, audit);
  const form = writtenForm(value);
  if (typeof form !== 'object' || form === null) {
    inspect(form, audit);
    return;
  }
  if (form !== value) refuseSilentLoss(form, audit);
  if (Array.isArray(form)) {
    for (let index = 0; index < form.length; index++) {
      path.push(index);
      inspect(form[index], audit);
      path.pop();
    }
    return;
  }
  for (const key of Object.keys(form)) {
    const member = (form as Record<string, unknown>)[key];
    if (member === undefined) continue;
    path.push(key);
    inspect(member, audit);
    path.pop();
  }
}

/** What JSON writes in place of an object: it asks `toJSON` once, and does not ask the answer again. */
function writtenForm(value: object): unknown {
  const toJson: unknown = (value as { toJSON?: unknown }).toJSON;
  return typeof toJson === 'function' ? toJson.call(value, '') : value;
}

const lossy = [Map, Set, Promise, Number, String, Boolean, BigInt, Symbol] as const;

/** JSON would write these as `{}`, as `null`, or throw without saying where. */
function refuseSilentLoss(value: object, audit: Audit): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) return;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
    throw unstorable(audit, 'holds bytes other than a top-level Uint8Array');
  }
  if (value instanceof Date && Number.isNaN(value.getTime())) throw unstorable(audit, 'is an invalid Date');
  const loss = lossy.find((type) => value instanceof type);
  if (loss !== undefined) throw unstorable(audit, `is a ${loss.name} object`);
}

/** Keys are the caller's words: enough of them to find the place, not all of a deep path. */
const longestPath = 200;

function unstorable({ option, path }: Audit, problem: string): ValidationError {
  const text = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
  const whole = text.startsWith('.') ? text.slice(1) : text;
  const short = whole.length <= longestPath ? whole : `${whole.slice(0, longestPath)}…`;
  const where = path.length === 0 ? option : `${option}: ${short}`;
  return new ValidationError(`${where} ${problem}, which cannot be stored`, { option, reason: 'unstorable-value' });
}

/** JSON.stringify writes -0 as 0; JSON itself, and JSON.parse, know -0. Rare, so it may be slower. */
function writeWithNegativeZero(value: unknown): string {
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const form = writtenForm(value);
  if (typeof form !== 'object' || form === null) return writeWithNegativeZero(form);
  if (Array.isArray(form)) return `[${form.map(writeWithNegativeZero).join(',')}]`;
  const members = Object.keys(form)
    .filter((key) => (form as Record<string, unknown>)[key] !== undefined)
    .map((key) => `${JSON.stringify(key)}:${writeWithNegativeZero((form as Record<string, unknown>)[key])}`);
  return `{${members.join(',')}}`;
}
