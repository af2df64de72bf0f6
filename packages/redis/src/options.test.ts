import { isMillraceError } from '@millrace/core';
import { expect, test } from 'vitest';
import { adapter, type RedisBrokerOptions, redisBroker } from './index.ts';

const url = 'redis://localhost';

test.each([
  [{}, 'url'],
  [{ url: 5 }, 'url'],
  [{ url, connection: {} }, 'url'],
  [{ connection: 'redis' }, 'connection'],
  [{ cluster: { nodes: [] } }, 'cluster'],
  [{ client: {} }, 'client'],
  [{ connect: 'x' }, 'connect'],
  [{ url, prefx: 'a' }, 'prefx'],
  [{ url, prefix: '' }, 'prefix'],
  [{ url, prefix: 'a{b}' }, 'prefix'],
  [{ url, maxPayloadBytes: 0 }, 'maxPayloadBytes'],
  [{ url, maxQueueLength: 0 }, 'maxQueueLength'],
  [{ url, retention: { succeded: '1d' } }, 'succeded'],
  [{ url, retention: { maxFailed: -1 } }, 'retention.maxFailed'],
  [{ url, durability: { replicas: 0 } }, 'durability.replicas'],
  [{ url, durability: { disk: 1 } }, 'durability.disk'],
  [{ url, allowEviction: 'yes' }, 'allowEviction'],
  [{ url, operationTimeout: 0 }, 'operationTimeout'],
])('%j is refused, naming the option', (options, option) => {
  let thrown: unknown;
  try {
    redisBroker(options as unknown as RedisBrokerOptions);
  } catch (error) {
    thrown = error;
  }
  expect(isMillraceError(thrown) && thrown.option).toBe(option);
});

test.each([
  ['redis://localhost?prefx=a', 'prefx'],
  ['redis://localhost?maxQueueLength=x', 'maxQueueLength'],
])('%s is refused, naming the parameter', (text, name) => {
  expect(() => adapter.connect(text)).toThrow(name);
});

test('a URL may hold options of ours', () => {
  expect(adapter.connect('redis://localhost/2?prefix=jobs&maxQueueLength=10&operationTimeout=2s').kind).toBe('redis');
});
