/** The kinds of server that are compared on. */
export type BackendName = 'postgres' | 'redis' | 'amqp';

/** What a report says about the server. */
export interface ServerFacts {
  readonly name: string;
  readonly version: string;
  /** Settings that decide about durability and speed; the same for every subject. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A server the benchmarks have for themselves, and how one run is kept apart from the next. */
export interface Backend {
  readonly name: BackendName;
  facts(): Promise<ServerFacts>;
  /** The main process, when it runs on this machine. */
  serverPid(): Promise<number | undefined>;
  /** The address of an empty store that has what `install` makes. The one before is gone. */
  fresh(subject: string, install: (url: string) => Promise<void>): Promise<string>;
  /** Brings the store to rest after it was filled: what its own upkeep would have done by then. */
  settle(url: string): Promise<void>;
  /** Bytes that everything in the store takes; absent when the server does not tell. */
  usedBytes?(url: string): Promise<number>;
  /** Leaves the server as it was found. */
  close(): Promise<void>;
}
