import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { Adapter, Broker } from './broker/broker.ts';
import { ConfigurationError, isMillraceError } from './errors.ts';

/** Adapters of this family, by URL scheme. They are loaded when a URL asks for them. */
const familyPackages: Readonly<Record<string, string>> = {
  memory: '@millrace/memory',
  postgres: '@millrace/postgres',
  postgresql: '@millrace/postgres',
  pglite: '@millrace/postgres',
  redis: '@millrace/redis',
  rediss: '@millrace/redis',
  'redis+sentinel': '@millrace/redis',
  'rediss+sentinel': '@millrace/redis',
  'redis+cluster': '@millrace/redis',
  'rediss+cluster': '@millrace/redis',
  amqp: '@millrace/amqp',
  amqps: '@millrace/amqp',
};

const registered = new Map<string, Adapter>();

/**
 * Makes `connect` know an adapter, for all its URL schemes. Later registrations win, so that a program can replace
 * one. @throws ConfigurationError when it is not an adapter
 */
export function registerAdapter(adapter: Adapter): void {
  if (!isAdapter(adapter)) {
    throw new ConfigurationError('registerAdapter needs an adapter: { name, schemes, connect(url) }', {
      op: 'registerAdapter',
    });
  }
  for (const scheme of adapter.schemes) registered.set(scheme.toLowerCase(), adapter);
}

function isAdapter(value: Partial<Adapter> | undefined): value is Adapter {
  return typeof value?.connect === 'function' && Array.isArray(value.schemes) && value.schemes.length > 0;
}

/** What `connect` takes besides the URL. */
export interface ConnectOptions {
  /** Adapters to use besides the registered ones; with a bundler, pass them here. */
  readonly adapters?: readonly Adapter[];
}

/**
 * Opens the broker a URL names: `pglite:./.millrace`, `postgres://…`, `memory:`, or a scheme of a registered adapter.
 * The adapter's package must be installed beside the program. Credentials in the URL never appear in errors.
 * @throws ConfigurationError UnavailableError
 */
export async function connect(url: string | undefined, options: ConnectOptions = {}): Promise<Broker<unknown>> {
  const scheme = schemeOf(url);
  const given = options.adapters ?? [];
  if (!given.every(isAdapter)) {
    throw new ConfigurationError('connect: adapters must hold adapters: { name, schemes, connect(url) }', {
      op: 'connect',
      option: 'adapters',
      reason: 'bad-adapter',
    });
  }
  const adapter =
    given.find(({ schemes }) => schemes.some((one) => one.toLowerCase() === scheme)) ??
    registered.get(scheme) ??
    (await loadFamilyAdapter(scheme));
  const broker = adapter.connect(url as string);
  try {
    await broker.open();
  } catch (error) {
    // Whatever was half opened must not keep the process alive.
    await broker.close().catch(() => {});
    throw error;
  }
  return broker;
}

function schemeOf(url: string | undefined): string {
  if (url === undefined || url === '') {
    throw new ConfigurationError(
      "connect needs a URL such as 'pglite:./.millrace' or 'postgres://user@host/database'; set MILLRACE_URL",
      { op: 'connect', option: 'url', reason: 'missing-url' },
    );
  }
  const match = typeof url === 'string' ? /^([a-z][a-z0-9+.-]*):/i.exec(url) : null;
  if (match?.[1] === undefined) {
    throw new ConfigurationError("connect: the URL has no scheme; it should begin with one such as 'postgres:'", {
      op: 'connect',
      option: 'url',
      reason: 'unknown-scheme',
    });
  }
  return match[1].toLowerCase();
}

async function loadFamilyAdapter(scheme: string): Promise<Adapter> {
  const name = familyPackages[scheme];
  if (name === undefined) {
    const known = [...new Set([...Object.keys(familyPackages), ...registered.keys()])].join(', ');
    throw new ConfigurationError(
      `connect: no adapter for '${scheme}:' URLs; known are ${known}. Pass others with registerAdapter(adapter)`,
      { op: 'connect', option: 'url', reason: 'unknown-scheme' },
    );
  }
  const loaded = await importBeside(name);
  const { adapter } = loaded as { adapter?: Adapter };
  if (!isAdapter(adapter)) {
    throw new ConfigurationError(`connect: ${name} exports no adapter; is it of the same version as @millrace/core?`, {
      op: 'connect',
      reason: 'bad-adapter',
    });
  }
  return adapter;
}

/** Imports a package as the program would: from here, from its main module, from the working directory. */
async function importBeside(name: string): Promise<object> {
  const places = [import.meta.url, process.argv[1], `${process.cwd()}/package.json`];
  let cause: unknown;
  for (const place of places) {
    if (place === undefined) continue;
    let file: string;
    try {
      file = createRequire(place.startsWith('file:') ? place : pathToFileURL(place)).resolve(name);
    } catch (error) {
      cause ??= error;
      continue;
    }
    try {
      return (await import(pathToFileURL(file).href)) as object;
    } catch (error) {
      if (isMillraceError(error)) throw error;
      throw new ConfigurationError(`connect: ${name} cannot be loaded; are its peer dependencies installed?`, {
        op: 'connect',
        reason: 'adapter-broken',
        cause: error,
      });
    }
  }
  throw new ConfigurationError(`connect: install ${name} (npm install ${name}) to use this URL`, {
    op: 'connect',
    reason: 'adapter-missing',
    cause,
  });
}
