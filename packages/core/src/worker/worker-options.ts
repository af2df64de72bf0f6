import { hostname } from 'node:os';
import { checkInteger, checkName } from '../adapter/checks.ts';
import type { Broker } from '../broker/broker.ts';
import { checkBroker } from '../broker-users.ts';
import { type Clock, systemClock } from '../clock.ts';
import { type Duration, parseDuration } from '../duration.ts';
import { ValidationError } from '../errors.ts';
import { checkKnownOptions, kindOf } from '../known-options.ts';
import { guardLogger, type Logger, stderrLogger } from '../logger.ts';
import type { Handler } from './handle.ts';
import type { Middleware } from './task-context.ts';

/**
 * A heartbeat from a thread of its own, beside the one of the main thread: a handler that blocks the event loop for
 * longer than `sessionTtl` then keeps its tasks. The thread opens the backend by its URL, with a connection of its own,
 * so the adapter must be one that `connect(url)` finds by itself, and its package installed where a thread can load it.
 */
export interface HeartbeatThreadOptions {
  /** Leads to the same backend as the worker's broker, schema and namespace included. */
  readonly url: string;
  /** The thread falls silent when the event loop was blocked for this long; the tasks then go to others. Default `'5m'`. */
  readonly blockedAtMost?: Duration;
}

/** What `createWorker` takes. */
export interface WorkerOptions {
  readonly broker: Broker<never>;
  /** What this worker can run, at most one handler per task name. It claims nothing else. */
  readonly handlers: readonly Handler[];
  /** Runs at once, over all tasks. Default 10. */
  readonly concurrency?: number;
  /** Queues to take from. Default: those of the handlers' definitions. */
  readonly queues?: readonly string[];
  /**
   * Tasks claimed ahead of free slots. `'auto'` (default): what the slots work off in 50 ms, so slow handlers claim
   * nothing ahead. A crash costs tasks claimed ahead one attempt, except their last.
   */
  readonly prefetch?: number | 'auto';
  /** A worker silent for this long has lost its tasks to others. Default `'30s'`; a heartbeat goes out every third of it. */
  readonly sessionTtl?: Duration;
  /** Keeps the session while the event loop is blocked. Default: none; a blocked event loop loses its tasks. */
  readonly heartbeatThread?: HeartbeatThreadOptions;
  /** Names this process at the broker. Default: host name, process id and a random part. */
  readonly instance?: string;
  /** Default: warnings and errors to standard error. Any pino-like logger fits. */
  readonly logger?: Logger;
  readonly middleware?: readonly Middleware[];
  /** How long `stop` lets running handlers finish before their signals abort. Default `'25s'`. */
  readonly drain?: Duration;
  /** How long aborted handlers may take before their tasks are handed back without them. Default `'5s'`. */
  readonly grace?: Duration;
  /** Interval of reclaiming, expiring and pruning; `false` leaves that to others. Default: as the broker advises. */
  readonly maintenance?: Duration | false;
  /** Whether the broker is closed with its last client or worker. Default true. */
  readonly closeBroker?: boolean;
  /** For tests. */
  readonly clock?: Clock;
  /** Source of jitter, a number in [0, 1). For tests. */
  readonly random?: () => number;
}

/** Worker options, checked and complete. */
export interface ResolvedWorkerOptions {
  readonly broker: Broker<unknown>;
  readonly handlers: readonly Handler[];
  readonly concurrency: number;
  readonly queues: readonly string[] | undefined;
  readonly prefetch: number | 'auto';
  readonly sessionTtlMs: number;
  readonly heartbeatThread: { readonly url: string; readonly blockedAtMostMs: number } | undefined;
  readonly instance: string;
  readonly host: string;
  readonly logger: Logger;
  readonly middleware: readonly Middleware[];
  readonly drainMs: number;
  readonly graceMs: number;
  /** `undefined`: as the broker advises. */
  readonly maintenanceMs: number | false | undefined;
  readonly closeBroker: boolean;
  readonly clock: Clock;
  readonly random: () => number;
}

const knownOptions = [
  'broker',
  'handlers',
  'concurrency',
  'queues',
  'prefetch',
  'sessionTtl',
  'heartbeatThread',
  'instance',
  'logger',
  'middleware',
  'drain',
  'grace',
  'maintenance',
  'closeBroker',
  'clock',
  'random',
] as const;

/** Fills in defaults. @throws ValidationError naming the option */
export function resolveWorkerOptions(options: WorkerOptions): ResolvedWorkerOptions {
  checkKnownOptions(options, knownOptions, 'createWorker');
  checkBroker(options.broker);
  const host = hostname();
  const { maintenance } = options;
  const maintenanceMs =
    maintenance === undefined || maintenance === false ? maintenance : parseDuration(maintenance, 'maintenance');
  if (maintenanceMs === 0) throw new ValidationError('maintenance must be longer than 0', { option: 'maintenance' });
  return {
    broker: options.broker as Broker<unknown>,
    handlers: checkHandlers(options.handlers),
    concurrency: checkInteger(options.concurrency ?? 10, 'concurrency', 1, 100_000),
    queues: options.queues === undefined ? undefined : checkQueues(options.queues),
    prefetch:
      options.prefetch === undefined || options.prefetch === 'auto'
        ? 'auto'
        : checkInteger(options.prefetch, 'prefetch', 0, 100_000),
    sessionTtlMs: parseDuration(options.sessionTtl ?? '30s', 'sessionTtl'),
    heartbeatThread: options.heartbeatThread === undefined ? undefined : checkHeartbeatThread(options.heartbeatThread),
    instance: checkName(options.instance ?? defaultInstance(host), 'instance'),
    host,
    logger: guardLogger(checkLogger(options.logger ?? stderrLogger)),
    middleware: checkMiddleware(options.middleware ?? []),
    drainMs: parseDuration(options.drain ?? '25s', 'drain'),
    graceMs: parseDuration(options.grace ?? '5s', 'grace'),
    maintenanceMs,
    closeBroker: options.closeBroker ?? true,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
}

function checkHeartbeatThread(options: HeartbeatThreadOptions): { url: string; blockedAtMostMs: number } {
  checkKnownOptions(options, ['url', 'blockedAtMost'], 'heartbeatThread', 'heartbeatThread.');
  const url: unknown = options.url;
  if (typeof url !== 'string' || url === '') {
    throw new ValidationError(`heartbeatThread.url must be the URL of the worker's backend; got ${kindOf(url)}`, {
      option: 'heartbeatThread.url',
    });
  }
  const option = 'heartbeatThread.blockedAtMost';
  const blockedAtMostMs = parseDuration(options.blockedAtMost ?? '5m', option);
  return { url, blockedAtMostMs: checkInteger(blockedAtMostMs, option, 1_000, Number.MAX_SAFE_INTEGER) };
}

function defaultInstance(host: string): string {
  return `${host.slice(0, 100)}-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
}

function checkLogger(logger: Logger): Logger {
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    if (typeof logger?.[level] !== 'function') {
      throw new ValidationError(`logger needs a method '${level}', as pino and console have`, { option: 'logger' });
    }
  }
  return logger;
}

function checkMiddleware(middleware: readonly Middleware[]): readonly Middleware[] {
  if (Array.isArray(middleware) && middleware.every((layer) => typeof layer === 'function')) return [...middleware];
  throw new ValidationError('middleware must be an array of functions (context, next) => …', { option: 'middleware' });
}

function checkHandlers(handlers: readonly Handler[]): readonly Handler[] {
  if (!Array.isArray(handlers) || handlers.length === 0) {
    throw new ValidationError('handlers must hold at least one handle(definition, function)', { option: 'handlers' });
  }
  const names = new Set<string>();
  for (const handler of handlers) {
    const name: unknown = handler?.definition?.name;
    if (typeof name !== 'string' || typeof handler.run !== 'function') {
      throw new ValidationError(`handlers must be made by handle(definition, function); got ${kindOf(handler)}`, {
        option: 'handlers',
      });
    }
    if (names.has(name)) {
      throw new ValidationError(`two handlers for the task '${name}'; a worker runs a task in one way`, {
        option: 'handlers',
        reason: 'duplicate-handler',
      });
    }
    names.add(name);
  }
  return [...handlers];
}

function checkQueues(queues: readonly string[]): readonly string[] {
  if (!Array.isArray(queues) || queues.length === 0) {
    throw new ValidationError('queues must name at least one queue', { option: 'queues' });
  }
  return [...new Set(queues.map((queue) => checkName(queue, 'queues')))];
}
