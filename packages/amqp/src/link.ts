import type { Clock } from '@millrace/core';
import { isMillraceError } from '@millrace/core';
import { reconnectDelay, sleep, withDeadline } from '@millrace/core/adapter';
import type { Channel, ConfirmChannel } from 'amqplib';
import { AmqpConnection, type ConnectionSettings, type RawPublishing, rawPublishing } from './connection.ts';
import { closedError, explainConnect, unavailable } from './errors.ts';

/** A connection that works, with the channel that publishes. */
export interface Live extends RawPublishing {
  readonly connection: AmqpConnection;
  readonly publishing: ConfirmChannel;
}

/** What a link needs. */
export interface LinkOptions {
  readonly settings: ConnectionSettings;
  readonly label: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly attempts: number;
  readonly intervalMs: number | undefined;
  /** A connection was made: what was declared on an earlier one may be gone. */
  readonly onConnected: () => void;
}

/** The heartbeat asked for: what most servers suggest. A dead server is noticed earlier by looking at it. */
const heartbeatSeconds = 60;
const lookMs = 10_000;
/** Calls of a loop that gave up are answered at once for this long, so that a caller in a loop does not spin. */
const giveUpPauseMs = 1_000;

/**
 * The broker's own connection, to publish and declare on: made again when it is lost, with back-off, for as long as
 * the settings say. Calls wait for it until their deadline.
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #closed = new AbortController();
  #live: Live | undefined;
  #connecting: Promise<Live> | undefined;
  #lastProblem: unknown;
  #gaveUpAt = Number.NEGATIVE_INFINITY;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** The connection as it is now. */
  get live(): Live | undefined {
    return this.#live;
  }

  /** The connection, made if need be. @throws UnavailableError at the deadline, ConfigurationError, ClosedError */
  require(op: string): Promise<Live> {
    if (this.#closed.signal.aborted) return Promise.reject(closedError(op));
    if (this.#live !== undefined) return Promise.resolve(this.#live);
    const { clock, timeoutMs } = this.#options;
    const late = (): Error => explained(op, this.#lastProblem);
    return withDeadline(this.#connect(op), timeoutMs, late, clock);
  }

  /** Does work that may fail on a channel of its own. */
  async withChannel<T>(
    op: string,
    work: (channel: Channel) => Promise<T>,
    timeoutMs: number = this.#options.timeoutMs,
  ): Promise<T> {
    const { connection } = await this.require(op);
    const { clock } = this.#options;
    const late = (): Error => {
      connection.destroy(new Error('the server did not answer in time'));
      return unavailable(op, 'the server did not answer in time');
    };
    const attempt = async (): Promise<T> => {
      let reason: Error | undefined;
      const channel = await connection.channel((error) => {
        reason = error;
      });
      try {
        return await work(channel);
      } catch (error) {
        throw reason ?? error;
      } finally {
        await channel.close().catch(() => {});
      }
    };
    return withDeadline(attempt(), timeoutMs, late, clock);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#connecting?.catch(() => {});
    await this.#live?.connection.close();
    this.#live = undefined;
  }

  #connect(op: string): Promise<Live> {
    if (this.#options.clock.monotonic() - this.#gaveUpAt < giveUpPauseMs) {
      return Promise.reject(explained(op, this.#lastProblem));
    }
    this.#connecting ??= this.#tryForLong(op).finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #tryForLong(op: string): Promise<Live> {
    const { attempts, intervalMs, clock } = this.#options;
    for (let attempt = 1; !this.#closed.signal.aborted; attempt++) {
      try {
        const live = await this.#connectOnce();
        if (this.#closed.signal.aborted) {
          await live.connection.close();
          break;
        }
        return this.#adopt(live);
      } catch (thrown) {
        const error = explainConnect(op, thrown, this.#options.settings.url);
        this.#lastProblem = error;
        if (!isMillraceError(error, 'UNAVAILABLE') || attempt >= attempts) {
          this.#gaveUpAt = clock.monotonic();
          throw error;
        }
        // A call that begins meanwhile must have the time for an attempt.
        const longestMs = this.#options.timeoutMs / 4;
        await sleep(intervalMs ?? Math.min(reconnectDelay(attempt), longestMs), this.#closed.signal, clock);
      }
    }
    throw closedError(op);
  }

  async #connectOnce(): Promise<Live> {
    const { settings, label } = this.#options;
    const connection = await AmqpConnection.open(settings, label, heartbeatSeconds);
    try {
      const publishing = await connection.confirmChannel((error) => {
        // A publish to an exchange that is not there closes the channel; the next call begins on a new connection.
        connection.destroy(error ?? new Error('the publishing channel was closed'));
      });
      return { connection, publishing, ...rawPublishing(publishing) };
    } catch (error) {
      connection.destroy(error as Error);
      throw error;
    }
  }

  #adopt(live: Live): Live {
    this.#live = live;
    this.#options.onConnected();
    live.connection.onEnd((error) => {
      this.#lastProblem = error;
      if (this.#live === live) this.#live = undefined;
      // Ready before the next call asks for it.
      if (!this.#closed.signal.aborted) this.#connect('reconnect').catch(() => {});
    });
    void this.#lookNowAndThen(live);
    return live;
  }

  /** A server that fell silent is noticed within 20 s instead of two minutes. */
  async #lookNowAndThen(live: Live): Promise<void> {
    const { clock, timeoutMs } = this.#options;
    for (;;) {
      await new Promise<void>((resolve) => clock.setTimer(resolve, lookMs));
      if (this.#live !== live || live.connection.ended !== undefined) return;
      // A blocked connection answers nothing, and that is no reason to give it up.
      if (live.connection.blocked) continue;
      const late = (): Error => new Error('the server did not answer in time');
      try {
        await withDeadline(live.publishing.prefetch(0), timeoutMs, late, clock);
      } catch (error) {
        if (!live.connection.blocked) live.connection.destroy(error as Error);
      }
    }
  }
}

function explained(op: string, problem: unknown): Error {
  return problem === undefined ? unavailable(op, 'the server did not answer in time') : explainConnect(op, problem);
}
