import {
  type Clock,
  ConfigurationError,
  type Duration,
  type Guard,
  parseDuration,
  systemClock,
  ValidationError,
} from '@millrace/core';
import { checkInteger, checkKnownOptions, checkName, kindOf } from '@millrace/core/adapter';
import { parseUrl } from './url.ts';

/** How a lost connection, and the first one, is tried again. */
export interface ReconnectOptions {
  /** Attempts in a row before calls fail at once; the next call begins again. Default `Infinity`: for ever. */
  readonly attempts?: number;
  /** A fixed pause between attempts. Default: doubles from 50 ms to 5 s, or a quarter of `operationTimeout`, with jitter. */
  readonly interval?: Duration;
}

/** An exchange of yours that tasks are published to, for topologies that exist already. */
export interface ExchangeOptions {
  readonly name: string;
  /** Default `'direct'`. */
  readonly type?: 'direct' | 'topic' | 'fanout';
  /** The routing key of a task's queue. Default: the queue's name. */
  readonly routingKey?: (queue: string) => string;
}

/** A queue that is made when the broker is opened, or that has a name and bindings of its own. */
export interface QueueOptions {
  /** As tasks and workers name it. */
  readonly name: string;
  /** Its name at the server. Default: `<namespace>.q.<name>`. */
  readonly queue?: string;
  /** Keys it is bound to the exchange with; needs `exchange`. */
  readonly bindingKeys?: readonly string[];
  /** Arguments besides ours, such as `x-max-length`. */
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** Options for the socket of `amqps:` connections, as `tls.connect` takes them. Refused with an `amqp:` URL. */
export interface TlsOptions {
  readonly ca?: string | Buffer | (string | Buffer)[];
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly passphrase?: string;
  readonly servername?: string;
  /** Default true. */
  readonly rejectUnauthorized?: boolean;
}

/** Options of {@link amqpBroker}. */
export interface AmqpBrokerOptions {
  /** `amqp://user:password@host:5672/vhost`, or `amqps:`. */
  readonly url: string;
  /** First part of every queue's name, at most 60 bytes. Brokers share tasks if they use the same one. Default `'millrace'`. */
  readonly namespace?: string;
  readonly tls?: TlsOptions;
  readonly reconnect?: ReconnectOptions;
  readonly exchange?: ExchangeOptions;
  readonly queues?: readonly QueueOptions[];
  /**
   * Default `'quorum'` where the server has what they need (3.10), else `'classic'`. Classic queues are faster at low
   * concurrency and may lose a delayed task when the server crashes.
   */
  readonly queueType?: 'quorum' | 'classic';
  /** How long dead tasks are kept. Default `'30d'`; `false` keeps them for ever. */
  readonly deadRetention?: Duration | false;
  /**
   * The server's `consumer_timeout`, on servers where it cannot be set per queue (before 3.12): tasks that run longer
   * are handed from delivery to delivery before it strikes. Default `'30m'`, the server's own.
   */
  readonly consumerTimeout?: Duration;
  /** Largest input with its headers, in bytes of UTF-8. Default 1,048,576. */
  readonly maxPayloadBytes?: number;
  /** Time limit of every call that does not wait for work. Default `'10s'`. */
  readonly operationTimeout?: Duration;
  /** Time for heartbeats and deadlines, and for instants (`runAt`, `expires`). Default: the machine's. */
  readonly clock?: Clock;
}

/** Options of {@link amqpBroker} with a store beside RabbitMQ. */
export interface GuardedAmqpBrokerOptions<Tx> extends AmqpBrokerOptions {
  /**
   * Holds the tasks that need more than a message: unique keys, transactions, lookup, cancel, pause, results. Made by
   * `postgresGuard`, `redisGuard` or `memoryGuard`; for this broker alone, which opens and closes it.
   */
  readonly guard: Guard<Tx>;
}

/** {@link AmqpBrokerOptions}, checked and complete. */
export interface AmqpSettings {
  readonly url: string;
  readonly namespace: string;
  readonly tls: TlsOptions;
  readonly reconnectAttempts: number;
  readonly reconnectMs: number | undefined;
  readonly exchange: Required<ExchangeOptions> | undefined;
  readonly queues: readonly QueueOptions[];
  readonly queueType: 'quorum' | 'classic' | undefined;
  readonly deadRetentionMs: number | null;
  readonly consumerTimeoutMs: number;
  readonly maxPayloadBytes: number;
  readonly operationTimeoutMs: number;
  readonly clock: Clock;
}

const knownOptions = [
  'url',
  'namespace',
  'tls',
  'reconnect',
  'exchange',
  'queues',
  'queueType',
  'deadRetention',
  'consumerTimeout',
  'maxPayloadBytes',
  'operationTimeout',
  'clock',
  'guard',
] as const;

const longestNamespaceBytes = 60;
const longestTimeoutMs = 2_147_483_647;
/** What `basic.expiration` can hold. */
const longestRetentionMs = 4_294_967_295;

/** @throws ValidationError naming the option, ConfigurationError for a URL that is none */
export function readAmqpOptions(options: AmqpBrokerOptions): AmqpSettings {
  checkKnownOptions(options, knownOptions, 'amqpBroker');
  const url: unknown = options.url;
  if (typeof url !== 'string') throw new ValidationError(`url must be a string; got ${kindOf(url)}`, { option: 'url' });
  const { protocol } = parseUrl(url);
  if (options.tls !== undefined && protocol !== 'amqps:') {
    // Whoever asks for encryption must not go without it by mistake.
    throw new ValidationError('tls is for a URL that begins with amqps:; this one connects in clear', {
      option: 'tls',
      reason: 'not-encrypted',
    });
  }
  const reconnect = options.reconnect ?? {};
  checkKnownOptions(reconnect, ['attempts', 'interval'], 'reconnect');
  const { exchange, queues = [], queueType, deadRetention = '30d' } = options;
  if (queueType !== undefined && queueType !== 'quorum' && queueType !== 'classic') {
    throw new ValidationError("queueType must be 'quorum' or 'classic'", { option: 'queueType' });
  }
  return {
    url,
    namespace: checkNamespace(options.namespace ?? 'millrace'),
    tls: options.tls ?? {},
    reconnectAttempts: checkReconnectAttempts(reconnect.attempts ?? Number.POSITIVE_INFINITY),
    reconnectMs:
      reconnect.interval === undefined
        ? undefined
        : atLeast(1, parseDuration(reconnect.interval, 'reconnect.interval'), 'reconnect.interval'),
    exchange: exchange === undefined ? undefined : checkExchange(exchange),
    queues: checkQueues(queues, exchange !== undefined),
    queueType,
    deadRetentionMs:
      deadRetention === false
        ? null
        : checkInteger(parseDuration(deadRetention, 'deadRetention'), 'deadRetention', 1, longestRetentionMs),
    consumerTimeoutMs: atLeast(
      1_000,
      parseDuration(options.consumerTimeout ?? '30m', 'consumerTimeout'),
      'consumerTimeout',
    ),
    maxPayloadBytes: checkInteger(options.maxPayloadBytes ?? 1_048_576, 'maxPayloadBytes', 1, 134_217_728),
    operationTimeoutMs: atLeast(
      100,
      parseDuration(options.operationTimeout ?? '10s', 'operationTimeout'),
      'operationTimeout',
    ),
    clock: options.clock ?? systemClock,
  };
}

function checkNamespace(value: unknown): string {
  const name = checkName(value, 'namespace');
  if (Buffer.byteLength(name) > longestNamespaceBytes || !/^[\w.-]+$/.test(name) || /^amq\./i.test(name)) {
    throw new ValidationError(
      `namespace must be at most ${longestNamespaceBytes} letters, digits, '_', '-' and '.', and not begin with 'amq.'`,
      { option: 'namespace' },
    );
  }
  return name;
}

function checkReconnectAttempts(value: number): number {
  if (value === Number.POSITIVE_INFINITY) return value;
  return checkInteger(value, 'reconnect.attempts', 1, Number.MAX_SAFE_INTEGER);
}

function checkExchange(exchange: ExchangeOptions): Required<ExchangeOptions> {
  checkKnownOptions(exchange, ['name', 'type', 'routingKey'], 'exchange');
  const { type = 'direct', routingKey = (queue: string) => queue } = exchange;
  if (!['direct', 'topic', 'fanout'].includes(type)) {
    throw new ValidationError("exchange.type must be 'direct', 'topic' or 'fanout'", { option: 'exchange.type' });
  }
  if (typeof routingKey !== 'function') {
    throw new ValidationError(`exchange.routingKey must be a function; got ${kindOf(routingKey)}`, {
      option: 'exchange.routingKey',
    });
  }
  return { name: checkName(exchange.name, 'exchange.name'), type, routingKey };
}

function checkQueues(queues: readonly QueueOptions[], hasExchange: boolean): readonly QueueOptions[] {
  if (!Array.isArray(queues)) {
    throw new ValidationError(`queues must be an array; got ${kindOf(queues)}`, { option: 'queues' });
  }
  for (const queue of queues as readonly QueueOptions[]) {
    checkKnownOptions(queue, ['name', 'queue', 'bindingKeys', 'arguments'], 'queues');
    checkName(queue.name, 'queues.name');
    if (queue.queue !== undefined) checkName(queue.queue, 'queues.queue');
    for (const key of queue.bindingKeys ?? []) checkName(key, 'queues.bindingKeys');
    if (queue.bindingKeys !== undefined && !hasExchange) {
      throw new ValidationError('queues.bindingKeys need an exchange to bind to; set exchange', { option: 'exchange' });
    }
  }
  return queues;
}

function atLeast(least: number, ms: number, option: string): number {
  return checkInteger(ms, option, least, longestTimeoutMs);
}

const urlOptions: Readonly<Record<string, (text: string) => unknown>> = {
  namespace: (text) => text,
  queueType: (text) => text,
  deadRetention: (text) => (text === 'false' ? false : text),
  consumerTimeout: (text) => text,
  maxPayloadBytes: Number,
  operationTimeout: (text) => text,
};

/**
 * Takes our options out of the parameters of a URL. An AMQP URL has no parameters of its own here: connections are
 * tuned by the adapter. @throws ConfigurationError naming the parameter
 */
export function takeUrlOptions(parameters: URLSearchParams): Omit<AmqpBrokerOptions, 'url'> {
  const options: Record<string, unknown> = {};
  for (const name of [...new Set(parameters.keys())]) {
    const read = urlOptions[name];
    if (read === undefined) {
      throw new ConfigurationError(
        `the URL has an unknown parameter '${name}'; known are ${Object.keys(urlOptions).join(', ')}`,
        { option: 'url', reason: 'unknown-option' },
      );
    }
    options[name] = read(parameters.get(name) ?? '');
    parameters.delete(name);
  }
  return options;
}
