import type { Clock } from '@millrace/core';
import { reconnectDelay, sleep, withDeadline } from '@millrace/core/adapter';
import { disconnect } from './clients.ts';
import type { Client } from './driver.ts';
import { DeadlineError } from './errors.ts';

/** What a subscriber works with. */
export interface SubscriberSettings {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** A client for subscriptions only, or a cluster's, which has a connection for them. */
  readonly makeClient: () => Client;
  readonly onMessage: (channel: string, message: string) => void;
  /** Messages may have been missed. */
  readonly onGap: () => void;
}

const checkEveryMs = 20_000;
const checkTimeoutMs = 2_000;
const ignore = (): void => {};

/**
 * The one connection of a process on which it is told things, however many queues there are. What it misses costs a
 * polling interval, so nobody depends on it.
 */
export class Subscriber {
  readonly #settings: SubscriberSettings;
  readonly #wanted = new Set<string>();
  readonly #subscribed = new Set<string>();
  readonly #stop = new AbortController();
  #client: Client | undefined;
  #shared = false;
  #checks: Promise<void> | undefined;

  constructor(settings: SubscriberSettings) {
    this.#settings = settings;
  }

  /** Whether messages arrive right now, or nobody wants any. */
  get connected(): boolean {
    return this.#wanted.size === 0 || this.#client?.status === 'ready';
  }

  has(channels: readonly string[]): boolean {
    return channels.every((channel) => this.#subscribed.has(channel));
  }

  /** Resolves when messages of these channels arrive, or cannot for now. */
  async listen(channels: readonly string[]): Promise<void> {
    if (this.has(channels) || this.#stop.signal.aborted) return;
    for (const channel of channels) this.#wanted.add(channel);
    const client = this.#open();
    if (client.status !== 'ready') return;
    await this.#subscribe(client, channels);
  }

  /** Asks whether the link still is one; if not, another is made. */
  async check(): Promise<void> {
    const { clock } = this.#settings;
    const client = this.#client;
    // A cluster client looks after its own.
    if (this.#shared || client === undefined || client.status !== 'ready') return;
    try {
      await withDeadline(client.ping(), checkTimeoutMs, () => new DeadlineError(), clock);
    } catch {
      if (!this.#stop.signal.aborted) client.disconnect(true);
      await sleep(reconnectDelay(1), this.#stop.signal, clock);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    if (!this.#shared && this.#client !== undefined) disconnect(this.#client);
    this.#client = undefined;
    await this.#checks;
  }

  #open(): Client {
    if (this.#client !== undefined) return this.#client;
    const client = this.#settings.makeClient();
    this.#client = client;
    this.#shared = client.isCluster;
    client.on('message', (channel: string, message: string) => this.#settings.onMessage(channel, message));
    client.on('close', () => this.#subscribed.clear());
    client.on('ready', () => void this.#resubscribe(client));
    if (!this.#shared) {
      if (client.status === 'wait') client.connect().catch(ignore);
      this.#checks = this.#checkNowAndThen();
    }
    return client;
  }

  async #resubscribe(client: Client): Promise<void> {
    if (await this.#subscribe(client, [...this.#wanted])) this.#settings.onGap();
  }

  async #subscribe(client: Client, channels: readonly string[]): Promise<boolean> {
    const { clock, timeoutMs } = this.#settings;
    try {
      if (channels.length > 0) {
        const answer = client.subscribe(...channels);
        await withDeadline(answer, timeoutMs, () => new DeadlineError(), clock);
      }
      for (const channel of channels) this.#subscribed.add(channel);
      return true;
    } catch {
      // Not reachable for now: workers poll meanwhile, and the next connection subscribes to everything.
      return false;
    }
  }

  /** A dead link says nothing. */
  async #checkNowAndThen(): Promise<void> {
    while (await idle(checkEveryMs, this.#stop.signal, this.#settings.clock)) await this.check();
  }
}

/** Like `sleep`, but the process may end meanwhile. */
function idle(ms: number, signal: AbortSignal, clock: Clock): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const onAbort = (): void => {
      clock.clearTimer(timer);
      resolve(false);
    };
    const timer = clock.setTimer(() => {
      signal.removeEventListener('abort', onAbort);
      resolve(true);
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
