import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Session } from '../broker/session.ts';
import type { Clock } from '../clock.ts';
import { ConfigurationError, UnavailableError, UnsupportedError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { FromThread, ThreadData, ToThread } from './messages.ts';

/** Loading an adapter, connecting, and checking the backend. */
const startLimitMs = 30_000;
const closeLimitMs = 1_000;
/** The main thread shows that it lives this often, and four times within the shortest limit. */
const signOfLifeMs = 250;

/** What a heartbeat thread is made with. */
export interface HeartbeatThreadSettings {
  readonly url: string;
  readonly blockedAtMostMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** When a session was last beaten for by the thread. */
export interface ThreadBeats {
  readonly beaten: BigInt64Array;
  /** On the worker's monotonic clock. */
  readonly beatenAt: () => number | undefined;
}

/** The main thread's end of a heartbeat from a thread. */
export class HeartbeatThread {
  readonly #settings: HeartbeatThreadSettings;
  readonly #seen = shared();
  readonly #waiting = new Map<string, (known: boolean) => void>();
  readonly #pulse: NodeJS.Timeout;
  readonly #thread: Worker;
  readonly #gone: Promise<unknown>;
  #beating = false;
  #closing = false;

  private constructor(settings: HeartbeatThreadSettings) {
    this.#settings = settings;
    this.#showLife();
    this.#pulse = setInterval(() => this.#showLife(), signOfLifeMs).unref();
    const { url, blockedAtMostMs } = settings;
    const data: ThreadData = { url, blockedAtMostMs, seen: this.#seen };
    this.#thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(bootstrap)}`), {
      workerData: { program: programUrl(), main: process.argv[1], data },
    });
    this.#gone = new Promise((resolve) => this.#thread.once('exit', resolve));
    // A worker keeps the process alive by itself, as long as it is to.
    this.#thread.unref();
  }

  /** Starts the thread; resolves when it is connected. @throws ConfigurationError UnsupportedError UnavailableError */
  static async start(settings: HeartbeatThreadSettings): Promise<HeartbeatThread> {
    const heart = new HeartbeatThread(settings);
    try {
      await heart.#ready();
    } catch (error) {
      await heart.close();
      throw error;
    }
    return heart;
  }

  /** Made before a session is opened, which has to know where to look. */
  beats(): ThreadBeats {
    const beaten = shared();
    return {
      beaten,
      beatenAt: () => {
        const at = Atomics.load(beaten, 0);
        if (at === 0n) return undefined;
        return this.#settings.clock.monotonic() - Number(process.hrtime.bigint() - at) / 1e6;
      },
    };
  }

  /** Beats for a session from now on, until it is forgotten. Resolves to whether the thread's broker knows it. */
  watch(session: Session, ttlMs: number, { beaten }: ThreadBeats): Promise<boolean> {
    session.lost.addEventListener('abort', () => this.forget(session), { once: true });
    return new Promise((resolve) => {
      this.#waiting.set(session.id, resolve);
      this.#send({ type: 'watch', sessionId: session.id, ttlMs, beaten });
    });
  }

  /** A session that is over, or that nobody trusts any more, must not be kept alive. */
  forget({ id }: Session): void {
    this.#answer(id, false);
    this.#send({ type: 'forget', sessionId: id });
  }

  /** Ends the thread and its connection. Never rejects, never takes longer than a second. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    clearInterval(this.#pulse);
    for (const id of [...this.#waiting.keys()]) this.#answer(id, false);
    this.#send({ type: 'close' });
    const timer = setTimeout(() => void this.#thread.terminate(), closeLimitMs);
    await this.#gone;
    clearTimeout(timer);
  }

  #showLife(): void {
    Atomics.store(this.#seen, 0, process.hrtime.bigint());
  }

  #send(message: ToThread): void {
    this.#thread.postMessage(message);
  }

  #ready(): Promise<void> {
    const { logger, url } = this.#settings;
    return new Promise((resolve, reject) => {
      const refuse = (message: string, cause?: unknown): void =>
        reject(
          new ConfigurationError(`the heartbeat thread cannot start: ${message}`, {
            op: 'start',
            option: 'heartbeatThread',
            cause,
          }),
        );
      const timer = setTimeout(
        () => reject(new UnavailableError(`the heartbeat thread was not connected within ${startLimitMs} ms`)),
        startLimitMs,
      );
      this.#thread.on('message', (message: FromThread) => {
        if (message.type === 'ready') {
          this.#beating = true;
          resolve();
        } else if (message.type === 'refused') {
          if (message.code === 'UNAVAILABLE') reject(new UnavailableError(message.message, { op: 'start' }));
          else if (message.code === 'UNSUPPORTED') reject(unsupported(message.message));
          else refuse(message.message);
        } else this.#heard(message);
        clearTimeout(timer);
      });
      this.#thread.once('error', (error) => {
        refuse(error instanceof Error ? error.message : String(error), error);
        if (this.#beating) logger.error({ error }, 'the heartbeat thread failed');
      });
      this.#thread.once('exit', () => {
        refuse(`it ended by itself; can a thread load @millrace/core and the adapter of ${url.split(':')[0]}: URLs?`);
        clearTimeout(timer);
        if (this.#beating && !this.#closing)
          logger.error('the heartbeat thread is gone; the main thread beats on alone');
        for (const id of [...this.#waiting.keys()]) this.#answer(id, false);
      });
    });
  }

  #heard(message: FromThread): void {
    const { logger } = this.#settings;
    if (message.type === 'beaten') this.#answer(message.sessionId, true);
    else if (message.type === 'lost') this.#answer(message.sessionId, false);
    else if (message.type === 'failed')
      logger.debug({ reason: message.message }, 'a beat of the heartbeat thread failed');
    else if (message.type === 'stuck') {
      logger.error(
        { silentMs: Math.round(message.silentMs) },
        'the event loop was blocked for too long: the heartbeat thread stopped beating',
      );
    }
  }

  #answer(sessionId: string, known: boolean): void {
    this.#waiting.get(sessionId)?.(known);
    this.#waiting.delete(sessionId);
  }
}

/** A broker without `beat`. */
export function unsupported(message: string): UnsupportedError {
  return new UnsupportedError('beat', `${message}; leave out heartbeatThread`, {
    op: 'start',
    option: 'heartbeatThread',
  });
}

function shared(): BigInt64Array {
  return new BigInt64Array(new SharedArrayBuffer(8));
}

/** Resolved as a user of this package would: the file is TypeScript in the workspace, and JavaScript once published. */
function programUrl(): string {
  return pathToFileURL(createRequire(import.meta.url).resolve('@millrace/core/heartbeat-thread')).href;
}

// Text, so that a bundler has no file to lose. Adapters are looked for beside the program, which is the main thread's.
const bootstrap = `
import { parentPort, workerData } from 'node:worker_threads';
if (workerData.main !== undefined) process.argv[1] = workerData.main;
const { runHeartbeatThread } = await import(workerData.program);
await runHeartbeatThread(parentPort, workerData.data);
`;
