import { reconnectDelay, sleep } from '../adapter/deadline.ts';
import type { Broker } from '../broker/broker.ts';
import type { Session, SessionOptions } from '../broker/session.ts';
import type { Clock } from '../clock.ts';
import { isMillraceError } from '../errors.ts';
import type { HeartbeatThread } from '../heartbeat-thread/heartbeat-thread.ts';
import type { Logger } from '../logger.ts';

/** What the keeper needs. */
export interface SessionKeeperOptions {
  readonly broker: Broker<unknown>;
  readonly session: SessionOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onLost: (session: Session) => void;
  /** Ends the attempts to open a session. */
  readonly stop: AbortSignal;
  /** Beats besides, if there is one. */
  readonly thread?: () => HeartbeatThread | undefined;
}

/** Keeps one session open at the broker: the first claim opens it, and a lost one is replaced. */
export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  #watched: Promise<boolean> = Promise.resolve(true);
  #ended = false;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
  }

  /** The session now open, opening one if need be. Keeps trying until `stop`, or until trying again cannot help. */
  current(): Promise<Session> {
    if (this.#session !== undefined && !this.#session.lost.aborted) return Promise.resolve(this.#session);
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** Whether the heartbeat thread, if there is one, reaches the session opened last. */
  get watched(): Promise<boolean> {
    return this.#watched;
  }

  async #open(): Promise<Session> {
    const { broker, clock, logger, stop } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        const thread = this.#options.thread?.();
        const beats = thread?.beats();
        const options = this.#options.session;
        const beatenAt = beats?.beatenAt;
        const session = await broker.openSession(beatenAt === undefined ? options : { ...options, beatenAt });
        if (session.lost.aborted) throw session.lost.reason;
        if (thread !== undefined && beats !== undefined) this.#watched = thread.watch(session, options.ttlMs, beats);
        this.#session = session;
        session.lost.addEventListener('abort', () => this.#lost(session), { once: true });
        return session;
      } catch (error) {
        if (stop.aborted || isFinal(error)) throw error;
        logger.warn({ error, attempt }, 'cannot open a session at the broker; trying again');
        await sleep(reconnectDelay(attempt), stop, clock);
        if (stop.aborted) throw error;
      }
    }
  }

  #lost(session: Session): void {
    if (this.#session === session) this.#session = undefined;
    // An adapter may end its signal with the session.
    if (!this.#ended) this.#options.onLost(session);
  }

  /** Ends the session, giving back what it holds. */
  async end(): Promise<void> {
    this.#ended = true;
    const session = this.#session ?? (await this.#opening?.catch(() => undefined));
    this.#session = undefined;
    if (session === undefined) return;
    this.#options.thread?.()?.forget(session);
    await session.end();
  }
}

/** A wrong option or a closed broker stays so; only the loss of a session that was just opened does not. */
function isFinal(error: unknown): boolean {
  return isMillraceError(error) && error.retryable === 'no' && error.code !== 'LEASE_LOST';
}
