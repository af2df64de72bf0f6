import {
  type Broker,
  type BrokerEnqueueOptions,
  type BrokerHealth,
  type Capabilities,
  ConfigurationError,
  type EnqueueOutcome,
  type Guard,
  type MaintenanceBudget,
  type MaintenanceReport,
  type NewTask,
  type OverdueRequest,
  type OverdueTask,
  type QueueStore,
  type Session,
  type SessionOptions,
  type TaskStore,
} from '@millrace/core';
import {
  checkInteger,
  checkOverdueRequest,
  checkSessionOptions,
  Lifecycle,
  throwIfAborted,
  Wakeups,
} from '@millrace/core/adapter';
import { redisCapabilities } from './capabilities.ts';
import { clientMaker } from './clients.ts';
import { RedisConnection } from './connection.ts';
import { Endings } from './endings.ts';
import { enqueueTasks } from './enqueue.ts';
import { Keys } from './keys.ts';
import { Locator } from './locator.ts';
import { maintainStore } from './maintenance.ts';
import { Notifier } from './notify.ts';
import { checkRedisOptions, type RedisBrokerOptions, readStoreOptions, type StoreSettings } from './options.ts';
import { findOverdue } from './overdue.ts';
import { QueueRegistry } from './queue-registry.ts';
import { RedisQueueStore } from './queue-store.ts';
import { makeScripts, type Script, type ScriptName } from './scripts.ts';
import { RedisSession } from './session.ts';
import { RedisTaskStore } from './task-store.ts';

/** A broker whose tasks live in Redis. */
export interface RedisBroker extends Broker {
  readonly kind: 'redis';
  readonly tasks: TaskStore;
}

/** What is stored is laid out like this; a newer package may know more. */
const layoutVersion = 1;
const healthTimeoutMs = 3_000;

/**
 * A broker on Redis 6.2 or newer, or Valkey: one server, behind Sentinels, or a cluster.
 * @throws ValidationError naming the option, ConfigurationError for a URL that is none
 */
export function redisBroker(options: RedisBrokerOptions): RedisBroker {
  return makeStoreBroker(options, 'redisBroker');
}

/** A broker that can tell what is overdue. `caller`: whose options these are, for messages. */
export function makeStoreBroker(options: RedisBrokerOptions, caller: string): StoreBroker {
  checkRedisOptions(options, caller);
  return new StoreBroker(options, makeScripts());
}

/** The broker, with scripts that tests may have changed. */
export class StoreBroker implements RedisBroker, Pick<Guard, 'overdue'> {
  readonly kind = 'redis';
  readonly queues: QueueStore;
  readonly tasks: TaskStore;
  readonly #settings: StoreSettings;
  readonly #keys: Keys;
  readonly #connection: RedisConnection;
  readonly #registry: QueueRegistry;
  readonly #locator: Locator;
  readonly #lifecycle: Lifecycle<Capabilities>;
  readonly #closed = new AbortController();
  readonly #sessions = new Set<RedisSession>();
  readonly #wakeups: Wakeups;
  readonly #notifier: Notifier;
  readonly #endings: Endings;
  readonly #requireOpen = (op: string): Capabilities => this.#lifecycle.require(op);
  readonly #onWork = (queue: string): void => this.#wakeups.wake(queue);

  constructor(options: RedisBrokerOptions, scripts: Readonly<Record<ScriptName, Script>>) {
    const settings = readStoreOptions(options);
    const { clock, pollMs, prefix, operationTimeoutMs } = settings;
    this.#settings = settings;
    this.#keys = new Keys(prefix);
    this.#connection = new RedisConnection(
      {
        makeClient: clientMaker(options, operationTimeoutMs),
        name: nameOf(prefix),
        scripts,
        store: settings,
      },
      (channel, message) => this.#notifier.receive(channel, message),
      () => this.#notifier.missed(),
    );
    this.#registry = new QueueRegistry(this.#connection, this.#keys);
    this.#locator = new Locator(this.#registry);
    this.#lifecycle = new Lifecycle(
      'redis',
      () => this.#open(),
      () => this.#end(),
    );
    this.#wakeups = new Wakeups(clock);
    this.#notifier = new Notifier(
      this.#keys,
      {
        onWork: (queue) => this.#wakeups.wake(queue),
        onStop: (session) => this.#hurry(session),
        onEnded: (taskIds) => this.#endings.tell(taskIds),
        onGiven: (queue, text) => this.#receive(queue, text),
      },
      () => this.#connection.subscriber,
    );
    const parts = { connection: this.#connection, keys: this.#keys, registry: this.#registry, locator: this.#locator };
    this.#endings = new Endings({ ...parts, notifier: this.#notifier, clock, pollMs, closed: this.#closed.signal });
    const owner = { ...parts, requireOpen: this.#requireOpen, onWork: this.#onWork };
    this.queues = new RedisQueueStore(owner);
    this.tasks = new RedisTaskStore({
      ...owner,
      onStopRequested: () => this.#hurry(undefined),
      onEnded: (taskIds) => this.#endings.tell(taskIds),
      waitForEnd: (ids, waitMs, signal) => this.#endings.wait(ids, waitMs, signal),
    });
  }

  open(): Promise<Capabilities> {
    return this.#lifecycle.open();
  }

  async enqueue(tasks: readonly NewTask[], options: BrokerEnqueueOptions<never> = {}): Promise<EnqueueOutcome[]> {
    const capabilities = this.#requireOpen('enqueue');
    checkInteger(tasks.length, 'tasks.length', 0, capabilities.batch.maxEnqueue);
    const context = {
      connection: this.#connection,
      keys: this.#keys,
      registry: this.#registry,
      locator: this.#locator,
      settings: this.#settings,
      capabilities,
      wake: this.#onWork,
    };
    return enqueueTasks(context, tasks, options);
  }

  async openSession(options: SessionOptions): Promise<Session> {
    checkSessionOptions(options, this.#requireOpen('openSession'));
    // A session is stored where it claims; until then, asking is what shows that there is a server to claim from.
    await this.#checkLayout('openSession');
    this.#requireOpen('openSession');
    const session = new RedisSession(
      {
        connection: this.#connection,
        keys: this.#keys,
        locator: this.#locator,
        notifier: this.#notifier,
        wakeups: this.#wakeups,
        settings: this.#settings,
        requireOpen: this.#requireOpen,
        onSettled: (taskIds) => this.#endings.tell(taskIds),
        onEnd: (ended) => this.#sessions.delete(ended),
      },
      options,
    );
    this.#sessions.add(session);
    return session;
  }

  async maintain(budget: MaintenanceBudget): Promise<MaintenanceReport> {
    this.#requireOpen('maintain');
    throwIfAborted(budget.signal, 'maintain');
    checkInteger(budget.maxTasks, 'maxTasks', 1, Number.MAX_SAFE_INTEGER);
    const context = {
      connection: this.#connection,
      keys: this.#keys,
      registry: this.#registry,
      settings: this.#settings,
      onWork: this.#onWork,
    };
    return maintainStore(context, budget);
  }

  async overdue(request: OverdueRequest): Promise<OverdueTask[]> {
    this.#requireOpen('overdue');
    checkOverdueRequest(request);
    return findOverdue({ connection: this.#connection, keys: this.#keys, registry: this.#registry }, request);
  }

  async health(): Promise<BrokerHealth> {
    try {
      this.#requireOpen('health');
      const timeoutMs = Math.min(healthTimeoutMs, this.#settings.operationTimeoutMs);
      await this.#connection.command('exists', [this.#keys.queues], { op: 'health', writes: false, timeoutMs });
      if (!this.#connection.subscriber.connected) {
        return { state: 'degraded', detail: 'the listening connection is down: idle workers find work by polling' };
      }
      return { state: 'ready' };
    } catch (error) {
      return { state: 'down', detail: (error as Error).message };
    }
  }

  close(): Promise<void> {
    return this.#lifecycle.close();
  }

  async #open(): Promise<Capabilities> {
    try {
      const facts = await this.#connection.open();
      await this.#checkLayout('open');
      return redisCapabilities(this.#settings, facts);
    } catch (error) {
      await this.#connection.reset();
      throw error;
    }
  }

  /** Also sees a package that became newer, or a server that was emptied, meanwhile. */
  async #checkLayout(op: string): Promise<void> {
    const key = this.#keys.layout;
    const read = (): Promise<unknown> => this.#connection.command('get', [key], { op, writes: false });
    let found = await read();
    if (found === null) {
      await this.#connection.command('set', [key, String(layoutVersion), 'nx'], { op, harmless: true });
      found = await read();
    }
    if (Number(found) <= layoutVersion) return;
    const { prefix } = this.#keys;
    throw new ConfigurationError(
      `${op}: what is stored under '${prefix}' has layout ${found}, made by a newer @millrace/redis; this one knows ${layoutVersion}`,
      { op, adapter: 'redis', reason: 'schema-too-new' },
    );
  }

  async #end(): Promise<void> {
    this.#closed.abort();
    await Promise.all([...this.#sessions].map((session) => session.end()));
    await this.#connection.close();
  }

  #receive(queue: string | undefined, text: string): void {
    for (const each of this.#sessions) {
      if (queue === undefined) each.missed();
      else if (text.startsWith(each.id)) each.receive(queue, text);
    }
  }

  #hurry(session: string | undefined): void {
    for (const each of this.#sessions) if (session === undefined || session === each.id) each.hurry();
  }
}

/** What connections are called at the server, where names may hold no blanks. */
function nameOf(prefix: string): string {
  return `millrace:${prefix.replaceAll(/[^!-~]/g, '_')}`;
}
