/** A statement of this package: the name a server may remember it by, and its text. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** A parameter. Arrays are written as array literals: see array-literal.ts. */
export type Value = string | number | boolean | null;

/** A column of a result: integers and floats are numbers, booleans are booleans, everything else is text. */
export type Cell = string | number | boolean | null;

/** A row of a result, by position. */
export type Row = readonly Cell[];

/** What a call is, for its deadline and its errors. */
export interface CallOptions {
  /** The operation of the contract it belongs to. */
  readonly op: string;
  /** Whether it may change something: then a lost answer is an `IndeterminateError`. Default true. */
  readonly writes?: boolean;
  /** Repeating it changes nothing: it is repeated once when its connection breaks. Default: when it writes nothing. */
  readonly harmless?: boolean;
  /** Default: the broker's `operationTimeout`. */
  readonly timeoutMs?: number;
}

/** What can be done inside a transaction. */
export interface TransactionRunner {
  /** Runs one statement. */
  readonly run: (statement: Statement, values: readonly Value[]) => Promise<readonly Row[]>;
  /** Runs a text of several statements. */
  readonly script: (text: string) => Promise<void>;
}

/** Whether something between us and the server keeps the process that serves a client for it, or shares it out. */
export type Pooling = 'none' | 'session' | 'transaction';

/** What has to be known of a server before it is used. */
export interface ServerFacts {
  /** As `server_version_num`: 150018 is 15.18. */
  readonly version: number;
  /** What an answered commit survives. */
  readonly durability: 'none' | 'node' | 'replicated';
  /** Behind `transaction`, each transaction may have another server process. */
  readonly pooling: Pooling;
  /** Nobody else can have it open: sessions it knows are left over from a process that is gone. */
  readonly exclusive: boolean;
}

/** A listener that was set up. */
export interface Subscription {
  /** Fails when the connection it listens on is gone. */
  check(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

/** A PostgreSQL, near or far. Every call ends by its deadline with an error of ours, and never breaks the process. */
export interface Database {
  readonly adapter: 'postgres' | 'pglite';
  /** Connects and looks around. @throws ConfigurationError UnavailableError */
  open(): Promise<ServerFacts>;
  /** Runs one statement by itself. @throws UnavailableError IndeterminateError BackpressureError ConfigurationError */
  query(statement: Statement, values: readonly Value[], call: CallOptions): Promise<readonly Row[]>;
  /** Runs statements in one transaction; repeated as a whole when the server asks for it. */
  transaction<T>(call: CallOptions, work: (transaction: TransactionRunner) => Promise<T>): Promise<T>;
  /** Listens on a connection of its own. `onLost` is called at most once, when that connection ends by itself. */
  listen(channel: string, onMessage: (message: string) => void, onLost: () => void): Promise<Subscription>;
  /** Safe to repeat, never rejects. */
  close(): Promise<void>;
}
