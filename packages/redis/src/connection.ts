import { setMaxListeners } from 'node:events';
import type { Clock } from '@millrace/core';
import { reconnectDelay, sleep, Underway, withDeadline } from '@millrace/core/adapter';
import type { Cluster } from 'ioredis';
import { disconnect, keepTrying, type MakeClient } from './clients.ts';
import { Copies } from './copies.ts';
import { type Client, type Driver, importDriver, isCluster, isEncrypted } from './driver.ts';
import { ConnectionLostError, closed, DeadlineError, explainFailure } from './errors.ts';
import type { StoreSettings } from './options.ts';
import type { Script, ScriptName } from './scripts.ts';
import { readServerFacts, type ServerFacts } from './server-facts.ts';
import { Subscriber } from './subscriber.ts';

/** How a call is made. */
export interface CallOptions {
  readonly op: string;
  /** Whether it changes anything. Default true. */
  readonly writes?: boolean;
  /** Whether it may be repeated after its answer was lost. Default: what does not write. */
  readonly harmless?: boolean;
  /** Answered only once it is as durable as was asked for. */
  readonly durable?: boolean;
  readonly timeoutMs?: number;
}

/** What a connection works with. */
export interface ConnectionSettings {
  readonly makeClient: MakeClient;
  readonly name: string;
  readonly scripts: Readonly<Record<ScriptName, Script>>;
  readonly store: StoreSettings;
}

const ignore = (): void => {};
/** How soon a node of a cluster has to answer a call that asks nothing. */
const nodeAnswersMs = 1_000;

/**
 * What makes a lease, finds one again, or notes that its run has begun. A server that took over without knowing of it
 * would give the task, and the fence, to another while the first holder trusts it.
 */
const leaseScripts: ReadonlySet<ScriptName> = new Set([
  'claimTasks',
  'claimTheseTasks',
  'readHeld',
  'reportTasks',
  'settleAndClaim',
]);

/**
 * The connection every call goes through. Calls wait for a lost one to come back, have a deadline, and fail with an
 * error that says whether they may have been applied.
 */
export class RedisConnection {
  readonly #settings: ConnectionSettings;
  readonly #clock: Clock;
  /** Ends the calls under way. */
  readonly #underway = new Underway<(error: Error) => void>();
  /** Calls that wait for the connection. */
  readonly #waiting = new Set<() => void>();
  readonly #stop = new AbortController();
  readonly #subscriber: Subscriber;
  readonly #copies: Copies;
  #driver: Driver | undefined;
  #client: Client | undefined;
  #lastError: unknown;
  /** Grows with each connection that was lost. */
  #link = 0;
  /** The connection was given up and is not closed yet. */
  #leaving = false;

  constructor(settings: ConnectionSettings, onMessage: (channel: string, message: string) => void, onGap: () => void) {
    this.#settings = settings;
    // Every call that waits to try again listens: with more than ten, Node would warn of a leak.
    setMaxListeners(0, this.#stop.signal);
    this.#clock = settings.store.clock;
    this.#subscriber = new Subscriber({
      clock: this.#clock,
      timeoutMs: settings.store.operationTimeoutMs,
      makeClient: () => this.#makeSubscriber(),
      onMessage,
      onGap,
    });
    this.#copies = new Copies({
      store: settings.store,
      send: (name, args, timeoutMs) => this.#race(this.#send(this.#client as Client, name, args), timeoutMs),
      stop: this.#stop.signal,
    });
  }

  get subscriber(): Subscriber {
    return this.#subscriber;
  }

  /** Whether the keys of different queues may lie on different servers. */
  get isCluster(): boolean {
    return this.#client?.isCluster === true;
  }

  /**
   * Whether a task may be given to who listens here. In a cluster a script does not learn whether anybody did; and what is
   * to be copied before it counts cannot be made so by whom it was given to.
   */
  get mayBeGiven(): boolean {
    return !this.isCluster && !this.#copies.wanted;
  }

  /** Connects and asks the server what it is. @throws ConfigurationError UnavailableError */
  async open(): Promise<ServerFacts> {
    const { store, makeClient, name } = this.#settings;
    this.#driver ??= await importDriver();
    const client = makeClient(this.#driver, name);
    this.#client = client;
    this.#lastError = undefined;
    client.setMaxListeners(0);
    keepTrying(client, store.operationTimeoutMs, this.#clock);
    client.on('error', (error) => this.#onError(error));
    client.on('ready', () => {
      this.#wakeWaiting();
      if (this.#link > 0) void this.#subscriber.check();
    });
    client.on('close', () => {
      this.#leaving = false;
      this.#loseAll();
    });
    client.on('end', () => this.#loseAll());
    const call: CallOptions = { op: 'open', writes: false };
    try {
      await this.#race(connect(client), store.operationTimeoutMs);
      const masters: readonly Client[] = isCluster(client) ? client.nodes('master') : [client];
      const info = await Promise.all(masters.map((master) => this.#ask(master, 'info', [], call)));
      // Many hosted servers refuse CONFIG: then durability stays at what can be proved.
      const settings = masters.map((master) => this.#ask(master, 'config', ['get', 'appendfsync'], call).catch(ignore));
      const appendfsync = (await Promise.all(settings)).map((answer) => String((answer as string[] | undefined)?.[1]));
      const facts = readServerFacts({ info: info.map(String), appendfsync, cluster: isCluster(client) }, store);
      const load = Object.values(this.#settings.scripts).map(({ text }) => ['load', text]);
      await Promise.all(masters.flatMap((master) => load.map((args) => this.#ask(master, 'script', args, call))));
      return facts;
    } catch (error) {
      const thrown = saysNothing(error) ? (this.#lastError ?? error) : error;
      throw explainFailure(thrown, { op: 'open', sent: false, writes: false, encrypted: isEncrypted(client) }).error;
    }
  }

  /**
   * Runs a script on a queue. Of the two keys it names, one is there from the first task on and the other never is: a
   * cluster then refuses the script for as long as the slot is on its way to another node, instead of running it where
   * only some of the queue's keys are.
   */
  run(name: ScriptName, queueKey: string, args: readonly string[], call: CallOptions): Promise<unknown> {
    return this.runOnKeys(name, [queueKey, `${queueKey}:meta`], args, call);
  }

  /** Runs a script on keys of one slot. */
  runOnKeys(name: ScriptName, keys: readonly string[], args: readonly string[], call: CallOptions): Promise<unknown> {
    const script = this.#settings.scripts[name];
    const durable = call.durable === true || leaseScripts.has(name);
    return this.#repeat({ ...call, durable }, (client) => this.#evaluate(client, script, keys, args));
  }

  /** Sends a command whose first argument is a key. */
  command(name: string, args: readonly string[], call: CallOptions): Promise<unknown> {
    return this.#repeat(call, (client) => this.#send(client, name, args));
  }

  /** After an opening that failed: another one may follow. */
  async reset(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) disconnect(client);
    this.#loseAll();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#subscriber.close();
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) disconnect(client);
    this.#loseAll();
    this.#wakeWaiting();
  }

  #makeSubscriber(): Client {
    if (this.#driver === undefined || this.#client === undefined) throw closed('subscribe');
    // A cluster client has a connection for subscriptions of its own.
    if (this.#client.isCluster) return this.#client;
    const client = this.#settings.makeClient(this.#driver, this.#settings.name);
    client.on('error', ignore);
    keepTrying(client, this.#settings.store.operationTimeoutMs, this.#clock);
    return client;
  }

  async #repeat(call: CallOptions, send: (client: Client) => Promise<unknown>): Promise<unknown> {
    const { store } = this.#settings;
    const until = this.#clock.monotonic() + (call.timeoutMs ?? store.operationTimeoutMs);
    const left = (): number => Math.max(1, until - this.#clock.monotonic());
    const writes = call.writes ?? true;
    const harmless = call.harmless ?? !writes;
    let mayBeApplied = false;
    for (let attempt = 1; ; attempt++) {
      const failedCall = { op: call.op, sent: false, writes, applied: false };
      try {
        // Sent at once if that is possible: the server works while more is written here.
        const client = this.#client?.status === 'ready' ? this.#client : await this.#ready(call.op, left());
        failedCall.sent = true;
        const link = this.#link;
        const result = await this.#race(send(client), left());
        if (call.durable !== true || !this.#copies.wanted) return result;
        failedCall.applied = writes;
        // Another server could have copies, and lack this.
        if (link !== this.#link) throw new ConnectionLostError('the connection was lost');
        await this.#copies.reached(call.op, left());
        return result;
      } catch (error) {
        if (this.#stop.signal.aborted) throw closed(call.op);
        const sent = failedCall.sent || mayBeApplied;
        const { error: explained, repeat, reconnect } = explainFailure(error, { ...failedCall, sent });
        mayBeApplied ||= explained.code === 'INDETERMINATE';
        if (reconnect) this.#reconnect();
        const again = repeat === 'always' || (repeat === 'if-harmless' && harmless);
        const pauseMs = reconnectDelay(attempt);
        if (!again || pauseMs >= left()) throw explained;
        await sleep(pauseMs, this.#stop.signal, this.#clock);
      }
    }
  }

  /** The client once it is connected. */
  async #ready(op: string, timeoutMs: number): Promise<Client> {
    const client = this.#client;
    if (client === undefined) throw closed(op);
    await new Promise<void>((resolve, reject) => {
      const wake = (): void => {
        this.#clock.clearTimer(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = this.#clock.setTimer(
        () => {
          this.#waiting.delete(wake);
          reject(this.#lastError ?? new DeadlineError());
        },
        timeoutMs,
        { keepAlive: true },
      );
      this.#waiting.add(wake);
    });
    if (this.#stop.signal.aborted) throw closed(op);
    return client;
  }

  async #evaluate(client: Client, script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.#send(client, 'evalsha', [script.sha, ...rest]);
    } catch (error) {
      // Not loaded yet, flushed, or another server after a failover. Nothing has happened, so it is sent in full.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return this.#send(client, 'eval', [script.text, ...rest]);
    }
  }

  #ask(client: Client, name: string, args: readonly string[], call: CallOptions): Promise<unknown> {
    return this.#race(this.#send(client, name, args), call.timeoutMs ?? this.#settings.store.operationTimeoutMs);
  }

  #send(client: Client, name: string, args: readonly string[]): Promise<unknown> {
    const { Command } = this.#driver as Driver;
    const command = new Command(name, args as string[], { replyEncoding: 'utf8' });
    return client.sendCommand(command) as Promise<unknown>;
  }

  /** Settles like `work`, or rejects when the time is over or the connection is gone. */
  #race<T>(work: Promise<T>, ms: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#clock.clearTimer(timer);
        this.#underway.delete(lose);
      };
      const lose = (error: Error): void => {
        end();
        reject(error);
      };
      // A process that was busy for long may have the answer already, unread.
      const timer = this.#clock.setTimer(() => setImmediate(() => this.#giveUp(lose)), ms, { keepAlive: true });
      this.#underway.add(lose);
      work.then(
        (value) => {
          end();
          resolve(value);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
    });
  }

  /** An answer that comes later could not be told from the next one's, and the link may be dead: it is made anew. */
  #giveUp(lose: (error: Error) => void): void {
    if (!this.#underway.has(lose)) return;
    lose(new DeadlineError());
    this.#reconnect();
  }

  #reconnect(): void {
    const client = this.#client;
    if (client === undefined || this.#leaving || this.#stop.signal.aborted) return;
    this.#leaving = true;
    if (isCluster(client)) void this.#leaveSilentNodes(client);
    else client.disconnect(true);
  }

  /** Of a cluster, whoever answers is kept: what one node holds up must not touch the queues of the others. */
  async #leaveSilentNodes(client: Cluster): Promise<void> {
    const nodes = client.nodes().filter(({ status }) => status !== 'wait' && status !== 'end');
    const silent = new Set(nodes);
    const answers = nodes.map((node) => node.ping().then(() => silent.delete(node), ignore));
    await withDeadline(Promise.all(answers), nodeAnswersMs, () => new DeadlineError(), this.#clock).catch(ignore);
    for (const node of silent) node.disconnect();
    this.#leaving = false;
  }

  #wakeWaiting(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #onError(error: unknown): void {
    this.#lastError = error;
  }

  #loseAll(): void {
    this.#link += 1;
    const error = new ConnectionLostError('the connection was lost');
    for (const lose of this.#underway) lose(error);
    this.#copies.lose(error);
  }
}

async function connect(client: Client): Promise<void> {
  if (client.status === 'ready') return;
  if (client.status === 'wait' || client.status === 'end') return client.connect();
  await new Promise<void>((resolve) => client.once('ready', () => resolve()));
}

/** Whether what the driver has told in between says more. */
function saysNothing(error: unknown): boolean {
  if (error instanceof ConnectionLostError || error instanceof DeadlineError) return true;
  return error instanceof Error && /^Connection is closed|None of startup nodes/.test(error.message);
}
