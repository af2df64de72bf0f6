import type { Broker, Clock } from '@millrace/core';

/** A clock that scenarios drive. `advance` fires what falls due on the way, in order. */
export interface VirtualClock extends Clock {
  advance(ms: number): Promise<void> | void;
}

/** Where one client of one scenario works. */
export interface Target {
  /** Address of the backend: the harness's `url`, or a proxy in front of it. Empty for brokers in this process. */
  readonly url: string;
  /** 1 to 40 characters of `a-z0-9_`. Nothing else may share what lies in it. */
  readonly namespace: string;
  /**
   * What the client must use for its timers: heartbeats, polling, deadlines. The suite stops it to freeze a client, as
   * SIGSTOP freezes a process. `now` is the time of brokers whose clock is the process.
   */
  readonly clock: Clock;
}

/**
 * Ways into a backend that the contract does not offer. Each is optional and unlocks scenarios; without it they are
 * reported `not-run`, never passed.
 */
export interface Hooks {
  /**
   * Runs `body` in a transaction of the caller, as `enqueue` takes it. Commits when it resolves, rolls back when it
   * rejects, and passes the rejection on.
   */
  transaction?<T>(target: Target, body: (tx: unknown) => Promise<T>): Promise<T>;
  /** Runs `body` below a savepoint of `tx` and rolls back to it when `body` rejects. Passes the rejection on. */
  savepoint?<T>(tx: unknown, body: () => Promise<T>): Promise<T>;
  /**
   * Lets hours and days pass at the backend by shifting every time it stored into the past. Used for long spans only;
   * short ones are waited for.
   */
  travel?(target: Target, ms: number): Promise<void>;
  /** Overwrites the stored input of a task behind the broker's back. */
  corrupt?(target: Target, taskId: string, payload: string): Promise<void>;
  /** Everything stored in the namespace, as evidence when a scenario fails. */
  dump?(target: Target): Promise<unknown>;
  /** What the namespace holds right now outside of its tasks: connections, locks, listeners. By name. */
  resources?(target: Target): Promise<Readonly<Record<string, number>>>;
  /** Ends the clients' connections from the server's side. Returns how many. */
  killConnections?(target: Target): Promise<number>;
}

/** What an adapter's author writes: how to get at a broker, and as many hooks as there are. */
export interface BrokerHarness {
  /** Name of the subject in reports, such as `postgres`. Also the name of the committed report. */
  readonly name: string;
  /** Address of the backend. Absent for brokers in this process. */
  readonly url?: string;
  /**
   * Makes a client of its own, **not yet opened**: the scenarios open it, and some check what happens before. Called
   * often and concurrently. Clients of one namespace see the same tasks.
   */
  connect(target: Target): Broker<unknown>;
  /** Removes everything the namespace holds. Called once per scenario, after its clients were closed. */
  drop(target: Target): Promise<void>;
  /**
   * A fresh clock for one namespace and its neighbours, made before the first `connect`. With it time is virtual: no
   * scenario waits, and boundaries are exact.
   */
  readonly clock?: (namespace: string) => VirtualClock;
  /** Set when the adapter cannot take `target.clock`. Scenarios that freeze a client are then not run. */
  readonly ignoresClock?: true;
  /** A module that calls `runConformanceWorker` and nothing else; the suite starts, freezes and kills it. */
  readonly workerModule?: URL;
  readonly hooks?: Hooks;
  /** Name and version of the backend under test, asked of the server, for the report. */
  backend?(): Promise<{ readonly name: string; readonly version: string }>;
}
