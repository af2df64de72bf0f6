import type { Clock } from '@millrace/core';
import { Deadlines, reconnectDelay, sleep, withDeadline } from '@millrace/core/adapter';
import type { Client, ClientBase, ClientConfig, Pool, PoolClient } from 'pg';
import type {
  CallOptions,
  Database,
  Pooling,
  Row,
  ServerFacts,
  Statement,
  Subscription,
  TransactionRunner,
  Value,
} from './connection.ts';
import { importDriver, sessionSettings, types } from './driver.ts';
import { closed, DeadlineError, explainFailure, explainOptions, type FailedCall, type Failure } from './errors.ts';
import { keepsProcess } from './pooler.ts';
import { readServerFacts } from './server-facts.ts';
import { quoteIdentifier } from './statements.ts';

/** How to reach a server. */
export interface PostgresConnectionSettings {
  readonly config: ClientConfig | undefined;
  readonly pool: Pool | undefined;
  readonly poolSize: number;
  readonly pooler: boolean | 'auto';
  readonly operationTimeoutMs: number;
  readonly clock: Clock;
  readonly serverFacts: Statement;
}

/** How long two clients may take to find out whether they share a server process. */
const rivalryMs = 3_000;
/** Most repetitions of a statement that the server undid by itself. */
const mostConflicts = 10;

const ignore = (): void => {};
const late = (): Error => new DeadlineError('the deadline is over');

/** A server behind `pg`. Broken connections are thrown away, whoever notices. */
export class PostgresConnection implements Database {
  readonly adapter = 'postgres';
  readonly #settings: PostgresConnectionSettings;
  readonly #busy = new Set<PoolClient>();
  readonly #guarded = new WeakSet<ClientBase>();
  readonly #listening = new Set<Client>();
  readonly #deadlines: Deadlines;
  /** Without a listener, a connection that breaks while it is ours would end the process. */
  readonly #guard = (client: ClientBase): void => {
    if (this.#guarded.has(client)) return;
    client.on('error', ignore);
    this.#guarded.add(client);
  };
  #pool: Pool | undefined;
  #makeClient: (() => Client) | undefined;
  /** Only on connections of our own, whose planner settings keep remembered plans good for any size of the tables. */
  #prepares = false;

  constructor(settings: PostgresConnectionSettings) {
    this.#settings = settings;
    this.#deadlines = new Deadlines(settings.clock);
  }

  async open(): Promise<ServerFacts> {
    const { pool } = this.#settings;
    return pool === undefined ? this.#openOwn() : this.#openGiven(pool);
  }

  query(statement: Statement, values: readonly Value[], call: CallOptions): Promise<readonly Row[]> {
    const harmless = call.harmless ?? call.writes === false;
    return this.#repeat(call, harmless, async (failedCall, remaining) => {
      const client = await this.#acquire(remaining());
      failedCall.sent = true;
      return this.#use(client, failedCall, () => this.#run(client, statement, values, remaining()));
    });
  }

  async transaction<T>(call: CallOptions, work: (transaction: TransactionRunner) => Promise<T>): Promise<T> {
    return this.#repeat(call, false, async (failedCall, remaining) => {
      const client = await this.#acquire(remaining());
      const script = async (text: string): Promise<void> => {
        await this.#within(client.query(text), remaining());
      };
      return this.#use(client, failedCall, async () => {
        await script('begin');
        try {
          const run: TransactionRunner['run'] = (statement, values) =>
            this.#run(client, statement, values, remaining());
          const result = await work({ run, script });
          // Until here a lost connection undoes everything.
          failedCall.sent = true;
          await script('commit');
          return result;
        } catch (error) {
          if (!failedCall.sent) await script('rollback').catch(ignore);
          throw error;
        }
      });
    });
  }

  async listen(channel: string, onMessage: (message: string) => void, onLost: () => void): Promise<Subscription> {
    const { operationTimeoutMs } = this.#settings;
    if (this.#makeClient === undefined || this.#pool === undefined) throw closed(this.adapter);
    const client = this.#makeClient();
    let closing = false;
    client.on('error', ignore);
    client.on('notification', (message) => {
      if (message.channel === channel) onMessage(message.payload ?? '');
    });
    client.once('end', () => {
      this.#listening.delete(client);
      if (!closing) onLost();
    });
    const close = async (): Promise<void> => {
      closing = true;
      this.#listening.delete(client);
      await withDeadline(client.end(), 1_000, () => new DeadlineError()).catch(ignore);
    };
    this.#listening.add(client);
    try {
      await this.#within(client.connect(), operationTimeoutMs);
      await this.#within(client.query(`listen ${quoteIdentifier(channel)}`), operationTimeoutMs);
    } catch (error) {
      await close();
      throw explainFailure(error, { op: 'listen', adapter: this.adapter, sent: false, writes: false }).error;
    }
    return { close, check: (ms) => this.#within(client.query('select 1'), ms).then(ignore) };
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    await Promise.all([...this.#listening].map((client) => client.end().catch(ignore)));
    if (pool === undefined) return;
    this.#pool = undefined;
    this.#unwatch(pool);
    if (this.#settings.pool !== undefined) return;
    pool.on('error', ignore);
    const ended = pool.end().catch(ignore);
    // Calls in flight get a moment; what hangs is cut, so that closing does not.
    const stop = new AbortController();
    await Promise.race([ended, sleep(1_000, stop.signal)]);
    stop.abort();
    for (const client of this.#busy) (client as unknown as Client).end().catch(ignore);
    await Promise.race([ended, sleep(1_000)]);
  }

  async #openOwn(): Promise<ServerFacts> {
    const { operationTimeoutMs, poolSize } = this.#settings;
    const pg = await importDriver();
    const config: ClientConfig = {
      application_name: 'millrace',
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      ...this.#settings.config,
      connectionTimeoutMillis: operationTimeoutMs,
    };
    this.#makeClient = () => new pg.Client(config);
    const first = this.#makeFirst(this.#makeClient);
    first.on('error', ignore);
    let facts: ServerFacts;
    try {
      await this.#within(first.connect(), operationTimeoutMs);
      facts = await this.#look(first);
    } catch (error) {
      throw explainFailure(error, { op: 'open', adapter: this.adapter, sent: false, writes: false }).error;
    } finally {
      void first.end().catch(ignore);
    }
    const direct = facts.pooling === 'none';
    this.#prepares = direct;
    const options = direct ? [sessionSettings(operationTimeoutMs), config.options].join(' ') : config.options;
    this.#pool = new pg.Pool({
      ...config,
      ...(options !== undefined && { options }),
      max: poolSize,
      idleTimeoutMillis: 30_000,
    });
    this.#watch(this.#pool);
    return facts;
  }

  /** The driver reads what the options name, such as the file of `sslrootcert`. @throws ConfigurationError */
  #makeFirst(make: () => Client): Client {
    try {
      return make();
    } catch (error) {
      throw explainOptions(error, this.adapter);
    }
  }

  async #openGiven(pool: Pool): Promise<ServerFacts> {
    this.#watch(pool);
    this.#pool = pool;
    const { Client, options } = pool as unknown as { Client?: new (config: unknown) => Client; options?: unknown };
    if (Client !== undefined) this.#makeClient = () => new Client(options);
    const failedCall = { op: 'open', adapter: this.adapter, sent: false, writes: false };
    try {
      const client = await this.#acquire(this.#settings.operationTimeoutMs);
      return await this.#use(client, failedCall, () => this.#look(client));
    } catch (error) {
      this.#unwatch(pool);
      this.#pool = undefined;
      throw explainFailure(error, failedCall).error;
    }
  }

  async #look(client: ClientBase): Promise<ServerFacts> {
    const { serverFacts, operationTimeoutMs } = this.#settings;
    const rows = await this.#run(client, serverFacts, [], operationTimeoutMs);
    const { facts, processId } = readServerFacts(rows[0], this.adapter);
    return { ...facts, pooling: await this.#poolingOf(client, processId), exclusive: false };
  }

  async #poolingOf(client: ClientBase, processId: number): Promise<Pooling> {
    const { pooler, operationTimeoutMs } = this.#settings;
    if (pooler !== 'auto') return pooler ? 'transaction' : 'none';
    // A pooler makes up the process id it tells its clients.
    const told: unknown = (client as { processID?: unknown }).processID;
    if (typeof told !== 'number' || told === processId) return 'none';
    if (this.#makeClient === undefined) return 'transaction';
    const rival = this.#makeClient();
    rival.on('error', ignore);
    try {
      await this.#within(rival.connect(), operationTimeoutMs);
      const kept = await this.#within(keepsProcess(client, rival), rivalryMs);
      return kept ? 'session' : 'transaction';
    } catch {
      // Such as a pool of one process: who waits for it cannot have it kept for him.
      return 'transaction';
    } finally {
      void rival.end().catch(ignore);
    }
  }

  async #repeat<T>(
    call: CallOptions,
    harmless: boolean,
    attempt: (failedCall: { sent: boolean } & FailedCall, remaining: () => number) => Promise<T>,
  ): Promise<T> {
    const { clock, operationTimeoutMs } = this.#settings;
    const until = clock.monotonic() + (call.timeoutMs ?? operationTimeoutMs);
    const remaining = (): number => Math.max(1, until - clock.monotonic());
    for (let failures = 1; ; failures++) {
      const failedCall = { op: call.op, adapter: this.adapter, sent: false, writes: call.writes ?? true };
      try {
        return await attempt(failedCall, remaining);
      } catch (error) {
        const failure: Failure = explainFailure(error, failedCall);
        const again =
          (failure.repeat === 'always' && failures < mostConflicts) ||
          (failure.repeat === 'if-harmless' && harmless && failedCall.sent && failures === 1);
        if (!again || clock.monotonic() >= until) throw failure.error;
        await sleep(Math.min(remaining(), reconnectDelay(1) / 10), undefined, clock);
      }
    }
  }

  async #acquire(timeoutMs: number): Promise<PoolClient> {
    if (this.#pool === undefined) throw closed(this.adapter);
    // An idle connection that nobody is ahead of us for comes at once: no deadline is needed.
    const ready = this.#pool.idleCount > this.#pool.waitingCount;
    const pending = this.#pool.connect();
    try {
      const client = await (ready ? pending : this.#within(pending, timeoutMs));
      this.#guard(client);
      return client;
    } catch (error) {
      // It may still come, when nobody waits for it any more.
      pending.then((client) => client.release(), ignore);
      throw error;
    }
  }

  /** A server may end a connection in the same breath as it greets it, when the pool has let go of it and nobody has it. */
  #watch(pool: Pool): void {
    pool.on('error', ignore);
    pool.on('connect', this.#guard);
  }

  #unwatch(pool: Pool): void {
    pool.off('error', ignore);
    pool.off('connect', this.#guard);
  }

  async #use<T>(client: PoolClient, call: FailedCall, work: () => Promise<T>): Promise<T> {
    let broken = false;
    this.#busy.add(client);
    try {
      return await work();
    } catch (error) {
      // A statement without an answer is still on its way: its connection can never be used again.
      broken = explainFailure(error, call).connectionBroken;
      throw error;
    } finally {
      this.#busy.delete(client);
      client.release(broken);
    }
  }

  #run(client: ClientBase, statement: Statement, values: readonly Value[], ms: number): Promise<readonly Row[]> {
    const query = {
      ...(this.#prepares && statement.name !== '' && { name: statement.name }),
      text: statement.text,
      values: values as Value[],
      rowMode: 'array' as const,
      types,
    };
    return this.#deadlines.run(
      (resolve, reject) => {
        void client.query(query, (error: Error | null, result) => {
          if (error) reject(error);
          else resolve(result.rows as Row[]);
        });
      },
      ms,
      late,
    );
  }

  #within<T>(work: Promise<T>, ms: number): Promise<T> {
    return this.#deadlines.within(work, ms, late);
  }
}
