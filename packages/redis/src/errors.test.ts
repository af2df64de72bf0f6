import { inspect } from 'node:util';
import { UnavailableError } from '@millrace/core';
import { expect, test } from 'vitest';
import { ConnectionLostError, DeadlineError, explainFailure } from './errors.ts';

const reply = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' });
const network = (code: string, message = code): Error => Object.assign(new Error(message), { code });
const call = { op: 'enqueue', sent: true, writes: true };

const unsent = new Error("Stream isn't writeable and enableOfflineQueue options is false");

test.each([
  [unsent, 'UNAVAILABLE', 'connection', 'always'],
  [reply('LOADING Redis is loading the dataset in memory'), 'UNAVAILABLE', 'loading', 'always'],
  [reply("READONLY You can't write against a read only replica."), 'UNAVAILABLE', 'read-only', 'always'],
  [reply('CLUSTERDOWN The cluster is down'), 'UNAVAILABLE', 'cluster-down', 'always'],
  [reply('TRYAGAIN Multiple keys request during rehashing of slot'), 'UNAVAILABLE', 'resharding', 'always'],
  [reply('BUSY Redis is busy running a script'), 'UNAVAILABLE', 'busy', 'always'],
  [reply('NOREPLICAS Not enough good replicas to write.'), 'UNAVAILABLE', 'too-few-replicas', 'never'],
  [reply('MISCONF Redis is configured to save RDB snapshots'), 'UNAVAILABLE', 'persistence-failing', 'never'],
  [reply('ERR max number of clients reached'), 'UNAVAILABLE', 'too-many-connections', 'never'],
  [reply("OOM command not allowed when used memory > 'maxmemory'."), 'BACKPRESSURE', 'out-of-memory', 'never'],
  [reply('NOAUTH Authentication required.'), 'CONFIGURATION', 'authentication', 'never'],
  [reply('WRONGPASS invalid username-password pair'), 'CONFIGURATION', 'authentication', 'never'],
  [reply("NOPERM this user has no permissions to run the 'evalsha' command"), 'CONFIGURATION', 'permission', 'never'],
  [reply('WRONGTYPE Operation against a key'), 'CONFIGURATION', 'foreign-keys', 'never'],
  [reply('ERR something else'), 'CONFIGURATION', 'server-error', 'never'],
  [
    reply("ERR Error running script (call to f_1): @user_script:9: @user_script: 9: -READONLY You can't write"),
    'UNAVAILABLE',
    'read-only',
    'always',
  ],
  [
    reply('ERR Error running script (call to f_1): @user_script:1: WRONGTYPE Operation against a key'),
    'CONFIGURATION',
    'foreign-keys',
    'never',
  ],
  [
    reply('UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)'),
    'INDETERMINATE',
    'read-only',
    'if-harmless',
  ],
  [reply('ERR WAIT cannot be used with replica instances.'), 'INDETERMINATE', 'read-only', 'if-harmless'],
  [
    new Error('All sentinels are unreachable. Last error: ERR No such master with that name'),
    'CONFIGURATION',
    'unknown-master',
    'never',
  ],
  [network('ECONNRESET'), 'INDETERMINATE', 'connection', 'if-harmless'],
  [new ConnectionLostError('gone'), 'INDETERMINATE', 'connection', 'if-harmless'],
  [
    new Error('Too many Cluster redirections. Last error: ReplyError: TRYAGAIN no'),
    'UNAVAILABLE',
    'connection',
    'always',
  ],
  [new DeadlineError('late'), 'INDETERMINATE', 'timeout', 'if-harmless'],
])('%s is %s (%s)', (thrown, code, reason, repeat) => {
  expect(explainFailure(thrown, call)).toMatchObject({
    error: { code, reason, op: 'enqueue', adapter: 'redis' },
    repeat,
  });
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

test('a replica that was a master leads to another connection', () => {
  expect(explainFailure(reply('READONLY no'), call).reconnect).toBe(true);
});

test('errors of ours pass through', () => {
  const error = new UnavailableError('closed');
  expect(explainFailure(error, call).error).toBe(error);
});

test('the command the driver hangs on its errors does not get into ours', () => {
  const thrown = Object.assign(reply('ERR no'), { command: { name: 'evalsha', args: ['secret-payload'] } });
  expect(inspect(explainFailure(thrown, call), { depth: 9 })).not.toMatch(/secret/);
});

test.each([unsent, reply('LOADING Redis is loading the dataset in memory')])(
  'of a write that was answered, when its copies are asked for, "%s" does not mean that nothing happened',
  (thrown) => {
    expect(explainFailure(thrown, { ...call, applied: true })).toMatchObject({
      error: { code: 'INDETERMINATE', reason: 'connection' },
      repeat: 'if-harmless',
    });
  },
);
