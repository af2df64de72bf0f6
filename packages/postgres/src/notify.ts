import { createHash, randomBytes } from 'node:crypto';
import type { Clock, TimerHandle } from '@millrace/core';
import { reconnectDelay, sleep } from '@millrace/core/adapter';
import type { Database, Subscription } from './connection.ts';
import type { Statements } from './statements.ts';

/** What can be told: work for queues, stops for sessions, ends of tasks, and that somebody waits for ends. */
type Kind = 'work' | 'stop' | 'ended' | 'waiting';

/** What happens when something is told. `undefined` stands for all of them. */
export interface Listeners {
  readonly onWork: (queues: readonly string[] | undefined) => void;
  readonly onStop: (sessions: readonly string[] | undefined) => void;
  readonly onEnded: (taskIds: readonly string[] | undefined) => void;
}

/** What a notifier works with. */
export interface NotifierSettings {
  readonly database: Database;
  readonly statements: Statements;
  readonly schema: string;
  readonly clock: Clock;
  readonly listeners: Listeners;
}

/** The channel of a schema. Names of channels are short, names of schemas need not be. */
export function channelOf(schema: string): string {
  return `millrace_${createHash('sha1').update(schema).digest('hex').slice(0, 16)}`;
}

/** PostgreSQL takes less than 8,000 bytes. */
const longestMessage = 7_900;
/** Notifications take a lock for the whole server: one per queue and this span is plenty. */
const gatherMs = 10;
/** What waits to be told gives the next statement that long to carry it. */
const slackMs = 5;
/** How long after somebody said it waits for ends they are told. */
const interestMs = 5_000;
const checkEveryMs = 20_000;
const checkTimeoutMs = 5_000;
const anybody = '-';

/** The message that tells everybody, including this process, of work. For transactions of the caller. */
export function workMessage(queues: readonly string[]): string {
  return messageOf('work', anybody, queues);
}

function messageOf(kind: Kind, origin: string, about: readonly string[]): string {
  const message = `${kind}:${origin}:${JSON.stringify(about)}`;
  return Buffer.byteLength(message) <= longestMessage ? message : `${kind}:${origin}:`;
}

/**
 * Tells other processes what happened, and hears it from them. A hint only: whoever misses one finds out by polling.
 * What happened here is not heard here; the caller wakes its own process itself.
 */
export class Notifier {
  readonly channel: string;
  readonly #settings: NotifierSettings;
  readonly #origin = randomBytes(6).toString('base64url');
  readonly #stop = new AbortController();
  readonly #lastTold = new Map<string, number>();
  #work = new Set<string>();
  #ended = new Set<string>();
  #flushTimer: TimerHandle | undefined;
  #interestUntil = 0;
  #toldInterestAt = Number.NEGATIVE_INFINITY;
  #listening: Promise<void> | undefined;
  #connected = false;

  constructor(settings: NotifierSettings) {
    this.#settings = settings;
    this.channel = channelOf(settings.schema);
  }

  /** Whether messages arrive right now. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Whether it was asked to listen at all. */
  get listens(): boolean {
    return this.#listening !== undefined;
  }

  /**
   * What a statement that brings work should say itself; null when these queues were told of a moment ago. Then
   * `announce` what is left once it is committed, and all of them if it fails.
   */
  takeWorkMessage(queues: Iterable<string>): { readonly message: string | null; readonly left: readonly string[] } {
    const now = this.#settings.clock.monotonic();
    const tell: string[] = [];
    const left: string[] = [];
    if (this.#lastTold.size > 10_000) this.#lastTold.clear();
    for (const queue of queues) {
      if (now - (this.#lastTold.get(queue) ?? Number.NEGATIVE_INFINITY) < gatherMs) {
        left.push(queue);
      } else {
        this.#lastTold.set(queue, now);
        // What was to be told by itself travels with this statement.
        this.#work.delete(queue);
        tell.push(queue);
      }
    }
    if (this.#work.size === 0 && this.#ended.size === 0) this.#cancelFlush();
    return { message: tell.length === 0 ? null : messageOf('work', this.#origin, tell), left };
  }

  /** Tells other processes of work, gathered with what comes within a few milliseconds. */
  announce(queues: Iterable<string>): void {
    for (const queue of queues) this.#work.add(queue);
    if (this.#work.size > 0) this.#scheduleFlush();
  }

  /** Tells other processes of ended tasks, if any of them waits for some. */
  announceEnded(taskIds: Iterable<string>): void {
    if (this.#settings.clock.monotonic() >= this.#interestUntil) return;
    for (const id of taskIds) this.#ended.add(id);
    if (this.#ended.size > 0) this.#scheduleFlush();
  }

  /** Asks other processes to tell of ended tasks for a while. */
  askForEnded(): void {
    const now = this.#settings.clock.monotonic();
    if (now - this.#toldInterestAt < interestMs / 2) return;
    this.#toldInterestAt = now;
    this.#send(messageOf('waiting', this.#origin, []));
  }

  /** Starts to listen, and goes on through lost connections until it is closed. */
  listen(): void {
    this.#listening ??= this.#keepListening();
  }

  /**
   * Whether a message finds its way to a connection that listens. Behind some poolers none does. On a channel of its
   * own: should the pooler keep the listener, nobody ever tells it anything again.
   */
  async reaches(timeoutMs: number): Promise<boolean> {
    const { database, statements, clock } = this.#settings;
    const channel = `${this.channel}_${randomBytes(6).toString('hex')}`;
    const stop = new AbortController();
    let arrived = false;
    const onMessage = (): void => {
      arrived = true;
      stop.abort();
    };
    const subscription = await database.listen(channel, onMessage, () => stop.abort());
    await database.query(statements.notify, [channel, 'probe'], { op: 'open', harmless: true });
    await sleep(timeoutMs, stop.signal, clock);
    await subscription.close();
    return arrived;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#cancelFlush();
    await this.#listening;
  }

  #scheduleFlush(): void {
    if (this.#stop.signal.aborted) return;
    this.#flushTimer ??= this.#settings.clock.setTimer(() => this.#flush(), gatherMs + slackMs);
  }

  #cancelFlush(): void {
    if (this.#flushTimer !== undefined) this.#settings.clock.clearTimer(this.#flushTimer);
    this.#flushTimer = undefined;
  }

  #flush(): void {
    this.#flushTimer = undefined;
    const work = [...this.#work];
    const ended = [...this.#ended];
    this.#work = new Set();
    this.#ended = new Set();
    const now = this.#settings.clock.monotonic();
    for (const queue of work) this.#lastTold.set(queue, now);
    if (work.length > 0) this.#send(messageOf('work', this.#origin, work));
    if (ended.length > 0) this.#send(messageOf('ended', this.#origin, ended));
  }

  #send(message: string): void {
    const { database, statements } = this.#settings;
    if (this.#stop.signal.aborted) return;
    // A hint that gets lost costs a polling interval, no more.
    database.query(statements.notify, [this.channel, message], { op: 'notify', harmless: true }).catch(() => {});
  }

  #receive(message: string): void {
    const [kind, origin] = message.split(':', 2);
    if (kind === undefined || origin === undefined) return;
    const about = parseNames(message.slice(kind.length + origin.length + 2));
    const { onWork, onStop, onEnded } = this.#settings.listeners;
    if (kind === 'stop') onStop(about);
    if (origin === this.#origin) return;
    if (kind === 'work') onWork(about);
    if (kind === 'ended') onEnded(about);
    if (kind === 'waiting') this.#interestUntil = this.#settings.clock.monotonic() + interestMs;
  }

  async #keepListening(): Promise<void> {
    const { database, clock } = this.#settings;
    const stopped = this.#stop.signal;
    for (let failures = 1; !stopped.aborted; failures++) {
      const lost = new AbortController();
      const endWait = (): void => lost.abort();
      stopped.addEventListener('abort', endWait, { once: true });
      try {
        const subscription = await database.listen(this.channel, (message) => this.#receive(message), endWait);
        failures = 0;
        this.#connected = true;
        this.#tellEverybody();
        await watch(subscription, lost.signal, clock);
      } catch {
        // Not reachable for now: workers poll meanwhile.
      }
      this.#connected = false;
      stopped.removeEventListener('abort', endWait);
      if (!stopped.aborted) await sleep(reconnectDelay(failures + 1), stopped, clock);
    }
  }

  /** Messages may have been missed. */
  #tellEverybody(): void {
    const { onWork, onStop, onEnded } = this.#settings.listeners;
    onWork(undefined);
    onStop(undefined);
    onEnded(undefined);
  }
}

/** Returns when the connection is gone or `signal` aborts; asks it now and then, since a dead link says nothing. */
async function watch(subscription: Subscription, signal: AbortSignal, clock: Clock): Promise<void> {
  try {
    while (await sleep(checkEveryMs, signal, clock)) await subscription.check(checkTimeoutMs);
  } finally {
    await subscription.close();
  }
}

function parseNames(text: string): readonly string[] | undefined {
  try {
    const names: unknown = JSON.parse(text);
    return Array.isArray(names) ? names.map(String) : undefined;
  } catch {
    return undefined;
  }
}
