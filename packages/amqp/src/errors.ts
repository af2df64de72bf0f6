import {
  ClosedError,
  ConfigurationError,
  IndeterminateError,
  isMillraceError,
  type MillraceError,
  UnavailableError,
} from '@millrace/core';

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

/** Network errors that the configuration causes: waiting does not help. */
const tlsCodes = /^(ERR_TLS_|ERR_SSL_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|UNABLE_TO_|CERT_|EPROTO$|ERR_OSSL)/;

/** Why no connection could be made. `ConfigurationError` where trying again cannot help. */
export function explainConnect(op: string, thrown: unknown): MillraceError {
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
  if (tlsCodes.test(codeOf(thrown)) || /SASL mechanism|certificate/i.test(message)) {
    return new ConfigurationError(`${op}: cannot connect: ${message}`, { ...details, reason: 'connection-settings' });
  }
  return unavailable(op, `the server cannot be reached: ${message}`, thrown);
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

function codeOf(thrown: unknown): string {
  const code: unknown = (thrown as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : '';
}
