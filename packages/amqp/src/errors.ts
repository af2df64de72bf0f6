import {
  ClosedError,
  ConfigurationError,
  IndeterminateError,
  isMillraceError,
  type MillraceError,
  UnavailableError,
} from '@millrace/core';
import { explainTlsError, type TlsWays } from '@millrace/core/adapter';
import { parseUrl } from './url.ts';

const adapter = 'amqp';

/** What calls get once the broker is closed. */
export function closedError(op: string): ClosedError {
  return new ClosedError(`${op}: this broker is closed`, { op, adapter, reason: 'closed' });
}

/** Nothing was sent. */
export function unavailable(op: string, problem: string, cause?: unknown): UnavailableError {
  return new UnavailableError(`${op}: ${problem}`, { op, adapter, reason: 'connection', cause });
}

/** Something was sent, and nobody knows whether it arrived. */
export function indeterminate(op: string, problem: string, cause?: unknown): IndeterminateError {
  return new IndeterminateError(`${op}: the answer was lost, it may have been applied: ${problem}`, {
    op,
    adapter,
    reason: 'connection',
    cause,
  });
}

const tlsWays: TlsWays = {
  authority: 'tls.ca',
  client: 'tls.cert and tls.key',
  plain: 'use the TLS port of the server, usually 5671, or amqp:',
};

/** What a server does that expects TLS and is greeted without. One that is being stopped or started may do it, too. */
const hungUp = /closed abruptly during opening handshake|ECONNRESET/;

/**
 * Why no connection could be made. `ConfigurationError` where trying again cannot help.
 * @param url where to, as long as the server has not answered
 */
export function explainConnect(op: string, thrown: unknown, url?: string): MillraceError {
  if (isMillraceError(thrown)) return thrown;
  const message = messageOf(thrown);
  const details = { op, adapter, cause: thrown };
  if (/\b403\b|ACCESS.REFUSED/i.test(message)) {
    return new ConfigurationError(`${op}: the server refused the user; check user, password and permissions`, {
      ...details,
      reason: 'authentication',
    });
  }
  // The server closes instead of answering `open` when the vhost is not there or not allowed.
  if (/Expected ConnectionOpenOk|\b530\b/.test(message)) {
    return new ConfigurationError(`${op}: the vhost of the URL is not there, or this user may not use it`, {
      ...details,
      reason: 'missing-vhost',
    });
  }
  const tls = explainTlsError(thrown, tlsWays);
  if (tls !== undefined || /SASL mechanism|certificate/i.test(message)) {
    const text = `${op}: cannot connect: ${tls ?? message}`;
    return new ConfigurationError(text, { ...details, reason: 'connection-settings' });
  }
  const isPlain = url !== undefined && parseUrl(url).protocol === 'amqp:';
  const advice =
    isPlain && hungUp.test(message) ? '; if it expects TLS at this port, the URL has to begin with amqps:' : '';
  return unavailable(op, `the server cannot be reached: ${message}${advice}`, thrown);
}

/** What a refused declaration or a channel closed by the server means. */
export function explainRefusal(op: string, thrown: unknown, what: string): MillraceError {
  if (isMillraceError(thrown)) return thrown;
  const code: unknown = (thrown as { code?: unknown } | undefined)?.code;
  const message = messageOf(thrown);
  const details = { op, adapter, cause: thrown };
  if (code === 406) {
    return new ConfigurationError(
      `${op}: ${what} is there with other settings than this broker's: ${message}; delete it, choose another namespace, or give the same arguments`,
      { ...details, reason: 'topology-mismatch' },
    );
  }
  if (code === 404) {
    return new ConfigurationError(`${op}: ${what} is not there: ${message}`, {
      ...details,
      reason: 'topology-missing',
    });
  }
  if (code === 403) {
    return new ConfigurationError(`${op}: the user may not use ${what}: ${message}`, {
      ...details,
      reason: 'permission',
    });
  }
  if (code === 405) {
    return new ConfigurationError(`${op}: ${what} belongs to another connection alone: ${message}`, {
      ...details,
      reason: 'topology-mismatch',
    });
  }
  return unavailable(op, `${what}: ${message}`, thrown);
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
