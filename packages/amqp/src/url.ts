import { ConfigurationError } from '@millrace/core';

/** Reads a URL without ever quoting it: it may hold a password. @throws ConfigurationError */
export function parseUrl(url: string): URL {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new ConfigurationError(
      'the URL cannot be read; it should look like amqp://user:password@host:5672/vhost, with special characters escaped as in %2f',
      { option: 'url', reason: 'invalid-url' },
    );
  }
  if (parsed.protocol !== 'amqp:' && parsed.protocol !== 'amqps:') {
    throw new ConfigurationError(`an AMQP URL begins with amqp: or amqps:, not ${parsed.protocol}`, {
      option: 'url',
      reason: 'unknown-scheme',
    });
  }
  return parsed;
}
