import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { connectionOf, parseUrl } from './url.ts';

test.each([
  ['redis://h', { topology: 'single', nodes: [{ host: 'h', port: 6379 }], options: {} }],
  ['redis://', { topology: 'single', nodes: [{ host: 'localhost', port: 6379 }] }],
  ['redis://u:p%40ss@h:1/3', { options: { username: 'u', password: 'p@ss', db: 3 }, nodes: [{ host: 'h', port: 1 }] }],
  ['redis://:p@h?db=4', { options: { password: 'p', db: 4 } }],
  ['rediss://[::1]:7', { nodes: [{ host: '::1', port: 7 }], options: { tls: {} } }],
  [
    'redis://a:1,b?cluster=true',
    {
      topology: 'cluster',
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 6379 },
      ],
    },
  ],
  ['redis+cluster://a:1', { topology: 'cluster' }],
  [
    'redis://a,b:2?sentinel=m',
    {
      topology: 'sentinel',
      masterName: 'm',
      nodes: [
        { host: 'a', port: 26379 },
        { host: 'b', port: 2 },
      ],
    },
  ],
  ['redis+sentinel://a/m', { topology: 'sentinel', masterName: 'm' }],
])('%s is understood', (url, address) => {
  expect(parseUrl(url)).toMatchObject(address);
});

test.each([
  ['http://h', /cannot be read/],
  ['redis://h/x', /number of a database/],
  ['redis://a,b', /several hosts/],
  ['redis://h:99999', /host of the URL/],
  ['redis+sentinel://a', /name of the master/],
  ['redis://a?cluster=true&sentinel=m', /choose one/],
  ['redis://a/1?cluster=true', /database 0/],
  ['redis://secret%zz:hunter2@h', /percent sign/],
])('%s is refused without quoting it', (url, message) => {
  let thrown: unknown;
  try {
    parseUrl(url);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'CONFIGURATION', message: expect.stringMatching(message) });
  expect(inspect(thrown)).not.toContain('hunter2');
});

test('behind Sentinels the master is asked for by name, with TLS on both ways if at all', () => {
  expect(connectionOf(parseUrl('rediss+sentinel://:p@a/m'))).toMatchObject({
    sentinels: [{ host: 'a', port: 26379 }],
    name: 'm',
    password: 'p',
    enableTLSForSentinelMode: true,
  });
});
