import type { Broker, Clock } from '@millrace/core';
import type { Server } from './faults/server.ts';

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
  /**
   * The deadline of a call, in milliseconds, that the client should be configured with. Set in scenarios that take the
   * network away: they wait deadlines out. Absent: the adapter's default.
   */
  readonly callTimeoutMs?: number;
}

/**
 * `read-only`: it refuses to write, as a replica does during a failover. `full`: disk, memory or quota is used up.
 * `deleted`: what the adapter set up is gone. `forgotten`: what the server remembered for its clients is gone, such as
 * scripts and prepared statements. `unsubscribed`: it ended subscriptions, not connections. `revoked`: nobody may log
 * in. `crowded`: no further connection is allowed.
 */
export type Impairment = 'read-only' | 'full' | 'deleted' | 'forgotten' | 'unsubscribed' | 'revoked' | 'crowded';

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
  /**
   * A client of the minor version before this one, not yet opened: the same adapter, as it was released. It may find
   * what this version has set up.
   */
  previous?(target: Target): Broker<unknown>;
  /** Makes what is stored look as if a newer version of the adapter had set it up. */
  ageAdapter?(target: Target): Promise<void>;
  /**
   * An address that leads `connect` of core to the namespace itself: what a heartbeat from a thread is given. Needed
   * where the broker has `beat` and the harness a `workerModule`.
   */
  threadUrl?(target: Target): string;
  /** What an administrator, or a bad day, does to the backend. Each resolves to what undoes it. */
  readonly impairments?: Partial<Readonly<Record<Impairment, (target: Target) => Promise<() => Promise<void>>>>>;
  /** Ends the clients' connections from the server's side. Returns how many. */
  killConnections?(target: Target): Promise<number>;
}

/** A failure that is known and for now lived with. */
export interface Waiver {
  /** Of the scenario: `LSE-04`. */
  readonly id: string;
  /** Why it fails. */
  readonly because: string;
  /** Where its repair is followed: an address. */
  readonly issue: string;
  /** Last day it holds, `2026-12-31`. */
  readonly until: string;
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
  /**
   * Most scenarios in progress at a time. For backends inside this process, which do one thing after the other: what
   * one scenario asks of them makes the others late.
   */
  readonly concurrency?: number;
  /**
   * A module that calls `runConformanceWorker`, of `@millrace/conformance/worker`, and nothing else; the suite starts,
   * freezes and kills it.
   */
  readonly workerModule?: URL;
  /**
   * Whether to make one file of a `workerModule` in TypeScript first, where esbuild is installed: a process then starts
   * in a tenth of a second instead of most of one. Not for modules that look for others by `import.meta.url`. Default
   * false.
   */
  readonly bundleWorker?: boolean;
  /** The server at `url`, which scenarios may restart, kill and freeze: a private one, see `localServer`. */
  readonly server?: Server;
  readonly hooks?: Hooks;
  /**
   * Failures that are known. A waived scenario is reported `waived` instead of `fail`, and what it belongs to is never
   * more than `partial`. After `until` it fails again.
   */
  readonly waivers?: readonly Waiver[];
  /** Name and version of the backend under test, asked of the server, for the report. */
  backend?(): Promise<{ readonly name: string; readonly version: string }>;
}
