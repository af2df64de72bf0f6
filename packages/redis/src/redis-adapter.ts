import type { Adapter } from '@millrace/core';
import { takeUrlOptions } from './options.ts';
import { type RedisBroker, redisBroker } from './redis-broker.ts';
import { addressParameters, parseUrl } from './url.ts';

/**
 * For `connect`: `redis://…` or `rediss://…`, with `?prefix=` and other options; several hosts with `?cluster=true` or
 * `?sentinel=<name of the master>`.
 */
export const adapter: Adapter = {
  name: 'redis',
  schemes: ['redis', 'rediss', 'redis+sentinel', 'rediss+sentinel', 'redis+cluster', 'rediss+cluster'],
  connect: (url: string): RedisBroker => {
    const options = takeUrlOptions(parseUrl(url).parameters, addressParameters);
    return redisBroker({ ...options, url });
  },
};
