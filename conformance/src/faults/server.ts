/** An address of a server. */
export interface Endpoint {
  /** What is reached there, such as `server`. */
  readonly role: string;
  readonly host: string;
  readonly port: number;
}

/** A backend that scenarios may stop, kill and freeze. Never one that anybody else uses. */
export interface Server {
  readonly endpoints: readonly Endpoint[];
  /** Starts it on the data it had. Resolves when it is ready. Does nothing while it runs. */
  start(): Promise<void>;
  /** `graceful` as its manual says; `kill` as a crash does. The data stays. Resolves when it is gone. */
  stop(how: 'graceful' | 'kill'): Promise<void>;
  /** It stays reachable and does nothing any more, as an overloaded machine or a dying disk does. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** The end of what it logged, for people. */
  logs(): Promise<string>;
}
