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
  /** Whether the command had been handed to the connection: then it may have been applied. */
  readonly sent: boolean;
  readonly writes: boolean;
  /** Whether it was answered, and only its copies are in question: then no refusal can mean that nothing happened. */
  readonly applied?: boolean;
  /** Whether the connection is encrypted, as long as the server has not answered: it may expect the opposite. */
  readonly encrypted?: boolean;
}

/** An error of this package, and what may be done about it without asking the caller. */
export interface Failure {
  readonly error: MillraceError;
  /**
   * `always`: it was not applied and repeating may help. `if-harmless`: the connection broke, so it may have happened.
   * `never`: repeating gives the same.
   */
  readonly repeat: 'always' | 'if-harmless' | 'never';
  /** The connection leads to a server that will not do: make another. */
  readonly reconnect: boolean;
}

/** What calls under way get when the broker is closed. */
export function closed(op: string): ClosedError {
  return new ClosedError(`${op}: this broker is closed`, { op, adapter: 'redis', reason: 'closed' });
}

/** Thrown inside this package when a call's time is over. */
export class DeadlineError extends Error {}

/** Thrown inside this package when the connection ends while an answer is awaited. */
export class ConnectionLostError extends Error {}

interface Meaning {
  readonly is: 'configuration' | 'unavailable' | 'full';
  readonly reason: string;
  readonly fix?: string;
  /** Passes by itself, usually within seconds. */
  readonly passes?: true;
  readonly reconnect?: true;
}

/** First words of error replies. None of them was applied. */
const meanings: Readonly<Record<string, Meaning>> = {
  LOADING: { is: 'unavailable', reason: 'loading', passes: true },
  BUSY: { is: 'unavailable', reason: 'busy', passes: true },
  CLUSTERDOWN: { is: 'unavailable', reason: 'cluster-down', passes: true },
  TRYAGAIN: { is: 'unavailable', reason: 'resharding', passes: true },
  MASTERDOWN: { is: 'unavailable', reason: 'master-down', passes: true },
  READONLY: { is: 'unavailable', reason: 'read-only', passes: true, reconnect: true },
  NOREPLICAS: { is: 'unavailable', reason: 'too-few-replicas' },
  MISCONF: { is: 'unavailable', reason: 'persistence-failing', fix: 'see the log of the server' },
  OOM: { is: 'full', reason: 'out-of-memory', fix: 'raise maxmemory, or keep ended tasks for a shorter time' },
  NOAUTH: { is: 'configuration', reason: 'authentication', fix: 'the server wants a password' },
  WRONGPASS: { is: 'configuration', reason: 'authentication', fix: 'check user and password' },
  NOPERM: { is: 'configuration', reason: 'permission', fix: 'see docs/redis.md for the commands the user needs' },
  WRONGTYPE: { is: 'configuration', reason: 'foreign-keys', fix: 'another program uses keys of this prefix' },
  CROSSSLOT: { is: 'configuration', reason: 'cluster', fix: 'a proxy spreads the keys of a queue over several slots' },
};

const tlsWays: TlsWays = {
  authority: 'tls.ca of `connection`',
  client: 'tls.cert and tls.key of `connection`',
  plain: 'use the tls-port of the server, or redis:',
};
const configurationMessages =
  /WRONGPASS|NOAUTH|NOPERM|invalid (username-password|password)|cluster support disabled|DB index is out of range|certificate/i;
const unknownMaster = /No such master with that name/;
/** What whoever waits for copies hears from a master that becomes a replica: what it had taken may be lost. */
const demoted = /^-?UNBLOCKED\b|WAIT(AOF)? cannot be used with replica/;
/** Before Redis 7 an error of a command comes back inside of one of the script that called it. */
const ofScript = /^ERR Error running script \(.*?\): (?:@user_script: ?\d+: )+-?(?=[A-Z]+ )/;
const unsentMessages =
  /enableOfflineQueue options is false|Cluster isn't ready|Last error: (Reply)?Error: (MOVED|ASK|TRYAGAIN|CLUSTERDOWN)/;

/** Turns whatever the driver threw into an error of ours. Neither passwords nor payloads get into the message. */
export function explainFailure(thrown: unknown, call: FailedCall): Failure {
  if (isMillraceError(thrown)) return { error: thrown, repeat: 'never', reconnect: false };
  const message = (thrown instanceof Error ? thrown.message : String(thrown)).replace(ofScript, '');
  const details = { op: call.op, adapter: 'redis', cause: harmlessCause(thrown) };
  if (thrown instanceof DeadlineError) return lost(call, 'the server did not answer in time', 'timeout', details);
  if (demoted.test(message)) return { ...lost(call, message, 'read-only', details), reconnect: true };
  if (call.applied === true) return lost(call, message, 'connection', details);
  const word = /^-?([A-Z]+)\b/.exec(message)?.[1] ?? '';
  const meaning = isReply(thrown) ? meaningOf(word, message) : undefined;
  if (meaning !== undefined) return explainReply(meaning, message, call, details);
  if (unknownMaster.test(message)) {
    const text = `${call.op}: the Sentinels know no master of that name; check the name in the options`;
    const error = new ConfigurationError(text, { ...details, reason: 'unknown-master' });
    return { error, repeat: 'never', reconnect: false };
  }
  const code = codeOf(thrown);
  // What was sent on a connection that worked may have been applied, whatever broke it.
  const tls = call.sent ? undefined : explainTlsError(thrown, tlsWays);
  if (tls !== undefined || configurationMessages.test(message)) {
    const text = `${call.op}: cannot connect: ${tls ?? message}`;
    const error = new ConfigurationError(text, { ...details, reason: 'connection-settings' });
    return { error, repeat: 'never', reconnect: false };
  }
  if (unsentMessages.test(message)) {
    const error = new UnavailableError(`${call.op}: the server cannot be reached`, {
      ...details,
      reason: 'connection',
    });
    return { error, repeat: 'always', reconnect: false };
  }
  return lost(call, code === '' ? message : `${message} (${code})`, 'connection', details);
}

interface Details {
  readonly op: string;
  readonly adapter: string;
  readonly cause: unknown;
}

function meaningOf(word: string, message: string): Meaning {
  const known = meanings[word];
  if (known !== undefined) return known;
  if (/max number of clients/i.test(message)) return { is: 'unavailable', reason: 'too-many-connections' };
  return { is: 'configuration', reason: 'server-error' };
}

function explainReply(meaning: Meaning, message: string, call: FailedCall, details: Details): Failure {
  const said = meaning.fix === undefined ? message : `${message}; ${meaning.fix}`;
  const text = `${call.op}: ${said}`;
  const more = { ...details, reason: meaning.reason };
  const repeat = meaning.passes === true ? 'always' : 'never';
  const reconnect = meaning.reconnect === true;
  if (meaning.is === 'unavailable') return { error: new UnavailableError(text, more), repeat, reconnect };
  if (meaning.is === 'full') return { error: new BackpressureError(text, more), repeat, reconnect };
  return { error: new ConfigurationError(text, more), repeat, reconnect };
}

function lost(call: FailedCall, message: string, reason: string, details: Details): Failure {
  const more = { ...details, reason };
  const error =
    call.sent && call.writes
      ? new IndeterminateError(`${call.op}: the answer was lost, it may have been applied: ${message}`, more)
      : new UnavailableError(`${call.op}: the server cannot be reached: ${message}${adviceOf(call, message)}`, more);
  return { error, repeat: call.sent ? 'if-harmless' : 'always', reconnect: false };
}

/** A server without TLS waits for the end of what it takes for a command; one with TLS hangs up on a command. */
function adviceOf({ encrypted }: FailedCall, message: string): string {
  if (encrypted === true && /ETIMEDOUT|did not answer in time/.test(message)) {
    return `; if it does not speak TLS at this port, ${tlsWays.plain}`;
  }
  if (encrypted === false && /ECONNRESET|the connection was lost|Connection is closed/.test(message)) {
    return '; if it expects TLS at this port, use rediss: or tls of `connection`';
  }
  return '';
}

function isReply(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'ReplyError';
}

/** The driver's error without the command that hangs on it, which holds payloads. */
function harmlessCause(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return undefined;
  const copy = new Error(thrown.message);
  copy.name = thrown.name;
  if (thrown.stack !== undefined) copy.stack = thrown.stack;
  const code = codeOf(thrown);
  return code === '' ? copy : Object.assign(copy, { code });
}

function codeOf(thrown: unknown): string {
  const code: unknown = typeof thrown === 'object' && thrown !== null ? (thrown as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : '';
}
