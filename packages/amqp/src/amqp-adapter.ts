import type { Adapter, Broker } from '@millrace/core';
import { amqpBroker } from './amqp-broker.ts';
import { takeUrlOptions } from './options.ts';
import { parseUrl } from './url.ts';

/** For `connect`: `amqp://…` and `amqps://…`, with `?namespace=` and other options of the broker as parameters. */
export const adapter: Adapter = {
  name: 'amqp',
  schemes: ['amqp', 'amqps'],
  connect: (url: string): Broker<unknown> => {
    const parsed = parseUrl(url);
    const options = takeUrlOptions(parsed.searchParams);
    return amqpBroker({ ...options, url: parsed.href });
  },
};
