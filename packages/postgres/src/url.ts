import { ConfigurationError } from '@millrace/core';
import type { ClientConfig } from 'pg';

/** Reads a URL without ever quoting it: it may hold a password. @throws ConfigurationError */
export function parseUrl(url: string): URL {
  try {
    return new URL(url);
  } catch {
    throw new ConfigurationError(
      'the URL cannot be read; it should look like postgres://user:password@host:5432/database, with special characters escaped as in %40',
      { option: 'url', reason: 'invalid-url' },
    );
  }
}

/** What `pg` is told to connect to a URL. */
export function clientConfigOf(url: string): ClientConfig {
  const parsed = parseUrl(url);
  if (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:') {
    throw new ConfigurationError(`a PostgreSQL URL begins with postgres: or postgresql:, not ${parsed.protocol}`, {
      option: 'url',
      reason: 'unknown-scheme',
    });
  }
  // The driver lets the URL win over everything else, and the server settings of the broker are put before these.
  const options = parsed.searchParams.get('options');
  parsed.searchParams.delete('options');
  return { connectionString: parsed.href, ...(options !== null && { options }) };
}
