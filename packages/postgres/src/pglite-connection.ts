import { mkdirSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { type Clock, ConfigurationError } from '@millrace/core';
import { withDeadline } from '@millrace/core/adapter';
import type {
  CallOptions,
  Database,
  Row,
  ServerFacts,
  Statement,
  Subscription,
  TransactionRunner,
  Value,
} from './connection.ts';
import { closed, DeadlineError, explainFailure, type FailedCall } from './errors.ts';
import { PgliteLine } from './pglite-line.ts';
import { type FolderLock, lockFolder } from './pglite-lock.ts';
import { PgliteStatements, type Queryable, runOnce } from './pglite-statements.ts';
import { readServerFacts } from './server-facts.ts';

/** The part of a PGlite that is used here. */
export interface PGliteDatabase extends Queryable {
  readonly waitReady: Promise<void>;
  readonly dataDir?: string | undefined;
  transaction<T>(work: (transaction: Queryable) => Promise<T>): Promise<T>;
  listen(channel: string, onMessage: (message: string) => void): Promise<(transaction?: never) => Promise<void>>;
  close(): Promise<void>;
}

/** Where the database is. */
export interface PgliteConnectionSettings {
  /** Absent, and no `database`: in memory. */
  readonly folder: string | undefined;
  readonly database: PGliteDatabase | undefined;
  readonly operationTimeoutMs: number;
  readonly clock: Clock;
  readonly serverFacts: Statement;
}

/** As every connection to a server has them (driver.ts). */
const plannerSettings = `
  set enable_seqscan = off; set enable_bitmapscan = off; set jit = off; set plan_cache_mode = force_generic_plan;
`;

/** A PostgreSQL inside this process. One statement runs at a time; nothing can be lost on the way. */
export class PgliteConnection implements Database {
  readonly adapter = 'pglite';
  readonly #settings: PgliteConnectionSettings;
  #database: PGliteDatabase | undefined;
  #lock: FolderLock | undefined;
  /** Of the statements it has run. */
  readonly #texts = new Set<string>();

  constructor(settings: PgliteConnectionSettings) {
    this.#settings = settings;
  }

  async open(): Promise<ServerFacts> {
    const failedCall: FailedCall = { op: 'open', adapter: this.adapter, sent: false, writes: false };
    try {
      this.#database = this.#settings.database ?? (await this.#openOwn());
      await this.#database.waitReady;
      const [row] = await runOnce(this.#database, this.#settings.serverFacts.text, []);
      const { facts } = readServerFacts(row as Row, this.adapter);
      // PGlite runs with fsync off: what is written survives the end of the process, whatever ends it.
      return {
        ...facts,
        pooling: 'none',
        exclusive: this.#lock !== undefined,
        durability: this.#isInMemory() ? 'none' : 'node',
      };
    } catch (error) {
      await this.close();
      throw explainFailure(error, failedCall).error;
    }
  }

  query(statement: Statement, values: readonly Value[], call: CallOptions): Promise<readonly Row[]> {
    this.#texts.add(statement.text);
    const plansLast = this.#settings.database === undefined;
    return this.#guard(call, (database) => PgliteStatements.of(database).run(database, statement, values, plansLast));
  }

  transaction<T>(call: CallOptions, work: (transaction: TransactionRunner) => Promise<T>): Promise<T> {
    return this.#guard(call, (database) =>
      database.transaction((transaction) =>
        work({
          run: ({ text }, values) => runOnce(transaction, text, values),
          script: async (text) => {
            await transaction.exec(text);
          },
        }),
      ),
    );
  }

  async listen(channel: string, onMessage: (message: string) => void, _onLost: () => void): Promise<Subscription> {
    const unlisten = await this.#guard({ op: 'listen', writes: false }, (database) =>
      database.listen(channel, onMessage),
    );
    return {
      check: async () => {},
      close: async () => {
        if (this.#database !== undefined) await unlisten().catch(() => {});
      },
    };
  }

  async close(): Promise<void> {
    const database = this.#database;
    this.#database = undefined;
    if (this.#settings.database === undefined) await database?.close().catch(() => {});
    else if (database !== undefined) await this.#forgetStatements(database);
    this.#lock?.release();
    this.#lock = undefined;
  }

  /** The database is its owner's, and goes on. */
  async #forgetStatements(database: PGliteDatabase): Promise<void> {
    const { clock, operationTimeoutMs } = this.#settings;
    const forgotten = PgliteLine.of(database).run(false, () =>
      PgliteStatements.of(database).forget(database, this.#texts),
    );
    const tooLate = (): Error => new DeadlineError('the deadline is over');
    await withDeadline(forgotten, operationTimeoutMs, tooLate, clock).catch(() => {});
  }

  #isInMemory(): boolean {
    const { database, folder } = this.#settings;
    if (database === undefined) return folder === undefined;
    return database.dataDir === undefined || database.dataDir === '' || database.dataDir.startsWith('memory:');
  }

  async #openOwn(): Promise<PGliteDatabase> {
    const { PGlite } = await importDatabase();
    if (this.#settings.folder === undefined) return prepare(await PGlite.create());
    const folder = makeFolder(this.#settings.folder);
    this.#lock = await lockFolder(folder);
    return prepare(await PGlite.create(path.join(folder, 'postgres')));
  }

  async #guard<T>(call: CallOptions, work: (database: PGliteDatabase) => Promise<T>): Promise<T> {
    const { clock, operationTimeoutMs } = this.#settings;
    const failedCall = { op: call.op, adapter: this.adapter, sent: false, writes: call.writes ?? true };
    let givenUp = false;
    try {
      const database = this.#database;
      if (database === undefined) throw closed(this.adapter);
      const inTurn = PgliteLine.of(database).run(call.op === 'session.beat', async () => {
        // Nobody waits for it any more, and was told that it was not sent.
        if (givenUp) throw new DeadlineError('the deadline is over');
        failedCall.sent = true;
        return work(database);
      });
      const giveUp = (): Error => {
        givenUp = true;
        return new DeadlineError('the deadline is over');
      };
      return await withDeadline(inTurn, call.timeoutMs ?? operationTimeoutMs, giveUp, clock);
    } catch (error) {
      throw explainFailure(error, failedCall).error;
    }
  }
}

/** The planner believes small tables are best read whole, which they are no longer when its plan is used. */
async function prepare(database: PGliteDatabase): Promise<PGliteDatabase> {
  await database.exec(plannerSettings);
  return database;
}

function makeFolder(folder: string): string {
  try {
    mkdirSync(folder, { recursive: true });
    // Two names of one folder must meet the same lock.
    return realpathSync(folder);
  } catch (cause) {
    throw new ConfigurationError(`open: cannot use the folder ${folder}: ${(cause as Error).message}`, {
      op: 'open',
      adapter: 'pglite',
      option: 'folder',
      reason: 'folder',
      cause,
    });
  }
}

interface PgliteModule {
  readonly PGlite: { create(folder?: string): Promise<PGliteDatabase> };
}

async function importDatabase(): Promise<PgliteModule> {
  try {
    return (await import('@electric-sql/pglite')) as unknown as PgliteModule;
  } catch (cause) {
    throw new ConfigurationError(
      "pgliteBroker needs the package '@electric-sql/pglite'; run: npm install @electric-sql/pglite",
      { op: 'open', adapter: 'pglite', reason: 'missing-package', cause },
    );
  }
}
