import { inspect } from 'node:util';
import { UnavailableError } from '@millrace/core';
import { expect, test } from 'vitest';
import { DeadlineError, explainFailure } from './errors.ts';

const server = (code: string, more: object = {}): Error =>
  Object.assign(new Error('the words of the server'), { code, severity: 'ERROR', ...more });
const network = (code: string, message = code): Error => Object.assign(new Error(message), { code });
const call = { op: 'enqueue', adapter: 'postgres', sent: true, writes: true };

test.each([
  [server('28P01', { severity: 'FATAL' }), 'CONFIGURATION', 'authentication', 'never'],
  [server('3D000', { severity: 'FATAL' }), 'CONFIGURATION', 'missing-database', 'never'],
  [server('42P01'), 'CONFIGURATION', 'schema-missing', 'never'],
  [server('42501'), 'CONFIGURATION', 'permission', 'never'],
  [server('42601'), 'CONFIGURATION', 'server-error', 'never'],
  [server('40P01'), 'UNAVAILABLE', 'transaction-conflict', 'always'],
  [server('26000'), 'UNAVAILABLE', 'statement-lost', 'always'],
  [server('25006'), 'UNAVAILABLE', 'read-only', 'never'],
  [server('53100'), 'BACKPRESSURE', 'server-resources', 'never'],
  [server('53300', { severity: 'FATAL' }), 'UNAVAILABLE', 'too-many-connections', 'never'],
  [server('57P01', { severity: 'FATAL' }), 'INDETERMINATE', 'server-shutdown', 'if-harmless'],
  [network('ECONNRESET'), 'INDETERMINATE', 'connection', 'if-harmless'],
  [network('', 'Connection terminated unexpectedly'), 'INDETERMINATE', 'connection', 'if-harmless'],
  [new DeadlineError('late'), 'INDETERMINATE', 'timeout', 'if-harmless'],
])('%s is %s (%s)', (thrown, code, reason, repeat) => {
  const failure = explainFailure(thrown, call);
  expect(failure).toMatchObject({ error: { code, reason, op: 'enqueue', adapter: 'postgres' }, repeat });
});

test('an encrypted connection that cannot be made is a matter of configuration; one that breaks is not', () => {
  const refused = network('DEPTH_ZERO_SELF_SIGNED_CERT');
  const expected = { error: { code: 'CONFIGURATION', reason: 'connection-settings' }, repeat: 'never' };
  expect(explainFailure(refused, { ...call, sent: false })).toMatchObject(expected);
  const broken = network('ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC');
  expect(explainFailure(broken, call).error.code).toBe('INDETERMINATE');
});

test('what was not sent, or only read, was not applied', () => {
  const lost = network('ECONNREFUSED');
  expect(explainFailure(lost, { ...call, sent: false }).error.code).toBe('UNAVAILABLE');
  expect(explainFailure(lost, { ...call, writes: false }).error.code).toBe('UNAVAILABLE');
});

test('errors of ours pass through', () => {
  const error = new UnavailableError('closed');
  expect(explainFailure(error, call).error).toBe(error);
});

test('rows and values the server quotes do not get into errors', () => {
  const thrown = server('23505', { detail: 'Key (id)=(secret-row) exists', message: 'value "secret-value" violates' });
  expect(inspect(explainFailure(thrown, call), { depth: 9 })).not.toMatch(/secret/);
});
