/** Ports of servers whose address may leave them out. */
const usualPorts: Readonly<Record<string, number>> = {
  postgres: 5432,
  postgresql: 5432,
  redis: 6379,
  rediss: 6379,
  valkey: 6379,
  amqp: 5672,
  amqps: 5671,
};

/** Where a URL leads. @throws Error when it has no single host, or no port and an unknown scheme */
export function endpointOf(url: string): { readonly host: string; readonly port: number } {
  const parsed = parse(url);
  const scheme = parsed.protocol.slice(0, -1);
  const port = parsed.port === '' ? usualPorts[scheme] : Number(parsed.port);
  if (port === undefined) throw new Error(`the address of a '${scheme}' server must name its port to be proxied`);
  // Brackets belong to the URL, not to the IPv6 address.
  return { host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'), port };
}

/** The URL with another host and port; user, password, path and parameters stay. @throws Error as `endpointOf` */
export function moveUrl(url: string, host: string, port: number): string {
  const moved = parse(url);
  moved.hostname = host;
  moved.port = String(port);
  return moved.href;
}

function parse(url: string): URL {
  let parsed: URL | undefined;
  try {
    parsed = new URL(url);
  } catch {
    // Never echo it: it may hold a password.
  }
  if (parsed === undefined || parsed.hostname === '') {
    throw new Error('only a URL with one host, such as redis://user:password@host:6379, can lead through a proxy');
  }
  return parsed;
}
