import { expect, test } from 'vitest';
import { pgliteUrlOptions, postgresUrlOptions, readStoreOptions, takeUrlOptions } from './options.ts';
import { clientConfigOf } from './url.ts';

const take = (query: string, known = postgresUrlOptions): [Record<string, unknown>, string] => {
  const parameters = new URLSearchParams(query);
  const options = takeUrlOptions(parameters, known);
  return [options, parameters.toString()];
};

test('our parameters are taken out of a URL, the others stay for the driver', () => {
  expect(take('schema=mine&poolSize=3&pooler=auto&migrate=false&sslmode=require&application_name=x')).toEqual([
    { schema: 'mine', poolSize: 3, pooler: 'auto', migrate: false },
    'sslmode=require&application_name=x',
  ]);
});

test.each(['poolsize=3', 'Schema=x', 'maxPayload=1', 'SCHEMA=x'])('%s is refused: it looks like ours', (query) => {
  expect(() => take(query)).toThrow(/unknown parameter/);
});

test('a pool is nothing PGlite has', () => {
  expect(() => take('poolSize=3', pgliteUrlOptions)).toThrow(/poolSize/);
});

test('nonsense in a parameter is found by the check of the option', () => {
  expect(() => readStoreOptions(take('migrate=maybe')[0])).toThrow(/migrate/);
  expect(() => readStoreOptions(take('maxPayloadBytes=lots')[0])).toThrow(/maxPayloadBytes/);
  expect(() => readStoreOptions(take('pollInterval=fast')[0])).toThrow(/pollInterval/);
});

test('defaults', () => {
  expect(readStoreOptions({})).toMatchObject({
    schema: 'millrace',
    migrate: true,
    succeededMs: 604_800_000,
    failedMs: 2_592_000_000,
    maxPayloadBytes: 1_048_576,
    pollMs: 1_000,
    operationTimeoutMs: 10_000,
  });
  expect(readStoreOptions({ retention: false })).toMatchObject({ succeededMs: null, failedMs: null });
  expect(readStoreOptions({ retention: { failed: false } })).toMatchObject({
    succeededMs: 604_800_000,
    failedMs: null,
  });
});

test('the driver lets a URL win, so server options are taken out of it', () => {
  expect(clientConfigOf('postgres://u:p%40@h:1/d?options=-c%20work_mem%3D1MB&sslmode=disable')).toEqual({
    connectionString: 'postgres://u:p%40@h:1/d?sslmode=disable',
    options: '-c work_mem=1MB',
  });
});

test('a URL that cannot be read is not quoted', () => {
  expect(() => clientConfigOf('postgres://user:sec#ret@@[/')).toThrow(/^(?!.*ret@).*cannot be read/);
});
