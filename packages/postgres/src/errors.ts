import {
  BackpressureError,
  ClosedError,
  ConfigurationError,
  IndeterminateError,
  isMillraceError,
  type MillraceError,
  UnavailableError,
} from '@millrace/core';
import { explainTlsError, type TlsWays } from '@millrace/core/adapter';

/** What is known about a call that failed. */
export interface FailedCall {
  readonly op: string;
  readonly adapter: string;
  /** Whether the statement had been handed to the connection: then it may have been applied. */
  readonly sent: boolean;
  readonly writes: boolean;
}

/** An error of this package, and what may be done about it without asking the caller. */
export interface Failure {
  readonly error: MillraceError;
  /**
   * `always`: the server undid it and repeating helps. `if-harmless`: the connection broke, so it may have happened.
   * `never`: repeating gives the same.
   */
  readonly repeat: 'always' | 'if-harmless' | 'never';
  /** The connection must not be used again. */
  readonly connectionBroken: boolean;
}

/** What calls under way get when the broker is closed. */
export function closed(adapter: string): ClosedError {
  return new ClosedError('this broker is closed', { adapter, reason: 'closed' });
}

/** Thrown inside this package when a call's time is over. */
export class DeadlineError extends Error {}

interface ServerError {
  readonly code: string;
  readonly severity: string;
  readonly message: string;
}

/** SQLSTATEs (or their classes, two characters) with a meaning of their own. */
const meanings: Readonly<Record<string, { readonly is: Meaning; readonly reason: string; readonly fix?: string }>> = {
  '28000': {
    is: 'configuration',
    reason: 'authentication',
    fix: 'check the user and pg_hba.conf, which may ask for TLS (sslmode=verify-full) or a certificate of the client (sslcert and sslkey)',
  },
  '28': { is: 'configuration', reason: 'authentication', fix: 'check user, password and pg_hba.conf' },
  '3D': { is: 'configuration', reason: 'missing-database', fix: 'create the database or correct its name' },
  '42501': { is: 'configuration', reason: 'permission', fix: 'grant the user access to the schema' },
  '3F': { is: 'configuration', reason: 'schema-missing', fix: 'the schema was dropped; open the broker again' },
  '42P01': { is: 'configuration', reason: 'schema-missing', fix: 'a table was dropped; open the broker again' },
  '42883': { is: 'configuration', reason: 'schema-missing', fix: 'a function was dropped; open the broker again' },
  '23505': { is: 'unavailable', reason: 'already-there', fix: 'an id or unique key is stored already' },
  '25006': { is: 'unavailable', reason: 'read-only', fix: 'this server takes no writes now' },
  '55P03': { is: 'unavailable', reason: 'transaction-conflict', fix: 'another transaction holds the same id or key' },
  '57014': { is: 'unavailable', reason: 'timeout' },
  '40': { is: 'conflict', reason: 'transaction-conflict' },
  '26000': { is: 'conflict', reason: 'statement-lost' },
  '0A000': { is: 'conflict', reason: 'statement-outdated' },
  '53': { is: 'full', reason: 'server-resources' },
  '53300': { is: 'unavailable', reason: 'too-many-connections' },
  '54': { is: 'configuration', reason: 'server-limit' },
  '57P': { is: 'connection', reason: 'server-shutdown' },
  '08': { is: 'connection', reason: 'connection' },
};

type Meaning = 'configuration' | 'unavailable' | 'conflict' | 'full' | 'connection';

const tlsWays: TlsWays = {
  authority: 'sslrootcert in the URL or ssl.ca of `client` or your pool',
  client: 'sslcert and sslkey in the URL or ssl.cert and ssl.key of `client` or your pool',
  plain: 'turn ssl on there, or leave sslmode out',
};

/** Network errors that the configuration causes: waiting does not help. */
const configurationMessages =
  /SASL|password must be a string|unsupported startup parameter|certificate|no pg_hba|wrong TLS/i;

/** Turns whatever a driver threw into an error of ours. Neither passwords nor payloads get into the message. */
export function explainFailure(thrown: unknown, call: FailedCall): Failure {
  if (isMillraceError(thrown)) return { error: thrown, repeat: 'never', connectionBroken: false };
  const details = { op: call.op, adapter: call.adapter, cause: harmlessCause(thrown) };
  if (thrown instanceof DeadlineError) return lost(call, 'the server did not answer in time', 'timeout', details);
  const server = asServerError(thrown);
  return server === undefined ? explainNetwork(thrown, call, details) : explainServer(server, call, details);
}

/** Why the driver takes no connection options like these. */
export function explainOptions(thrown: unknown, adapter: string): MillraceError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return unusable(`the options cannot be used: ${message}`, { op: 'open', adapter, cause: harmlessCause(thrown) })
    .error;
}

interface Details {
  readonly op: string;
  readonly adapter: string;
  readonly cause: unknown;
}

function explainServer(server: ServerError, call: FailedCall, details: Details): Failure {
  const { code, severity } = server;
  const meaning = meanings[code] ?? meanings[code.slice(0, 3)] ?? meanings[code.slice(0, 2)];
  // A server that ends the connection has not committed, unless it does so between the commit and its answer.
  const connectionBroken = severity === 'FATAL' || severity === 'PANIC';
  const said = `${server.message} (SQLSTATE ${code})`;
  const message = meaning?.fix === undefined ? said : `${said}; ${meaning.fix}`;
  const text = `${call.op}: ${message}`;
  const more = { ...details, reason: meaning?.reason ?? 'server-error' };
  switch (meaning?.is) {
    case 'connection':
      return lost(call, message, meaning.reason, details);
    case 'conflict':
      // Serialization failures, deadlocks and forgotten statements: undone by the server, a repetition goes through.
      return { error: new UnavailableError(text, more), repeat: 'always', connectionBroken: code[0] !== '4' };
    case 'unavailable':
      return { error: new UnavailableError(text, more), repeat: 'never', connectionBroken };
    case 'full':
      return { error: new BackpressureError(text, more), repeat: 'never', connectionBroken };
    default:
      return { error: new ConfigurationError(text, more), repeat: 'never', connectionBroken };
  }
}

function explainNetwork(thrown: unknown, call: FailedCall, details: Details): Failure {
  const code = codeOf(thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  // What was sent on a connection that worked may have been applied, whatever broke it.
  const tls = call.sent ? undefined : explainTlsError(thrown, tlsWays);
  if (tls !== undefined || configurationMessages.test(message)) return unusable(tls ?? message, details);
  if (/does not support SSL/.test(message)) return unusable(`${message}; ${tlsWays.plain}`, details);
  return lost(call, code === '' ? message : `${message} (${code})`, 'connection', details);
}

function unusable(problem: string, details: Details): Failure {
  const text = `${details.op}: cannot connect: ${problem}`;
  const error = new ConfigurationError(text, { ...details, reason: 'connection-settings' });
  return { error, repeat: 'never', connectionBroken: true };
}

function lost(call: FailedCall, message: string, reason: string, details: Details): Failure {
  const more = { ...details, reason };
  const error =
    call.sent && call.writes
      ? new IndeterminateError(`${call.op}: the answer was lost, it may have been applied: ${message}`, more)
      : new UnavailableError(`${call.op}: the server cannot be reached: ${message}`, more);
  return { error, repeat: 'if-harmless', connectionBroken: true };
}

function asServerError(thrown: unknown): ServerError | undefined {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  const { code, severity, message } = thrown as Partial<ServerError>;
  const isState = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && typeof severity === 'string';
  return isState ? { code, severity, message: withoutValues(code, String(message)) } : undefined;
}

/** Messages of data errors (classes 22 and 23) quote the value. */
function withoutValues(code: string, message: string): string {
  return /^2[23]/.test(code) ? 'the server refused a value' : message;
}

/** The driver's error without its `detail`, which quotes rows, and without what else hangs on it. */
function harmlessCause(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return undefined;
  const server = asServerError(thrown);
  const copy = new Error(server === undefined ? thrown.message : server.message);
  copy.name = thrown.name;
  if (thrown.stack !== undefined) copy.stack = thrown.stack.replace(thrown.message, copy.message);
  return Object.assign(copy, { code: codeOf(thrown) });
}

function codeOf(thrown: unknown): string {
  const code: unknown = typeof thrown === 'object' && thrown !== null ? (thrown as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : '';
}
