import { type Adapter, type Broker, ConfigurationError } from '@millrace/core';
import { pgliteUrlOptions, postgresUrlOptions, takeUrlOptions } from './options.ts';
import { pgliteBroker, postgresBroker } from './postgres-broker.ts';
import { parseUrl } from './url.ts';

/**
 * For `connect`: `postgres://…` with `?schema=` and other options beside the driver's own parameters,
 * `pglite:<folder>`, and `pglite:` or `pglite://memory` for a database in memory.
 */
export const adapter: Adapter = {
  name: 'postgres',
  schemes: ['postgres', 'postgresql', 'pglite'],
  connect: (url: string): Broker<unknown> => (/^pglite:/i.test(url) ? connectPglite(url) : connectPostgres(url)),
};

function connectPostgres(url: string): Broker<unknown> {
  const parsed = parseUrl(url);
  const options = takeUrlOptions(parsed.searchParams, postgresUrlOptions);
  return postgresBroker({ ...options, url: parsed.href });
}

function connectPglite(url: string): Broker<unknown> {
  // Not a URL to be parsed: folders may hold anything, `pglite:../data folder` included.
  const [, location = '', query = ''] = /^pglite:([^?#]*)(?:\?([^#]*))?$/i.exec(url) ?? [];
  const parameters = new URLSearchParams(query);
  const options = takeUrlOptions(parameters, pgliteUrlOptions);
  const [unknown] = parameters.keys();
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `the URL has an unknown parameter '${unknown}'; known are ${pgliteUrlOptions.join(', ')}`,
      { option: 'url', reason: 'unknown-option' },
    );
  }
  const inMemory = location === '' || location === '//memory' || location === '//memory/';
  const folder = decodeFolder(location.replace(/^\/\/(?=[/.~])/, ''));
  return pgliteBroker(inMemory ? options : { ...options, folder });
}

function decodeFolder(location: string): string {
  try {
    return decodeURIComponent(location);
  } catch {
    return location;
  }
}
