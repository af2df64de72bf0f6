import type { MessagePort } from 'node:worker_threads';
import type { Broker } from '../broker/broker.ts';
import { connect } from '../connect.ts';
import { isMillraceError } from '../errors.ts';
import type { FromThread, ThreadData, ToThread } from './messages.ts';

/** As for the main thread's own heartbeat: two beats may fail before trust ends. */
const beatShare = 1 / 3;

interface Watched {
  readonly sessionId: string;
  readonly intervalMs: number;
  readonly beaten: BigInt64Array;
  timer?: NodeJS.Timeout;
}

type Beat = NonNullable<Broker['beat']>;

/**
 * What runs in a heartbeat thread: beats for the sessions of the main thread over a connection of its own, as long as
 * the main thread shows signs of life.
 */
export async function runHeartbeatThread(port: MessagePort, data: ThreadData): Promise<void> {
  const tell = (message: FromThread): void => port.postMessage(message);
  let broker: Broker<unknown>;
  try {
    broker = await connect(data.url);
  } catch (error) {
    tell({
      type: 'refused',
      message: error instanceof Error ? error.message : String(error),
      code: isMillraceError(error) ? error.code : undefined,
    });
    return;
  }
  const { beat } = broker;
  if (beat === undefined) {
    await broker.close();
    tell({ type: 'refused', message: `the ${broker.kind} broker cannot beat for others`, code: 'UNSUPPORTED' });
    return;
  }
  const heart = new Heart(beat, data, tell);
  port.on('message', (message: ToThread) => {
    if (message.type === 'watch') heart.watch(message);
    else if (message.type === 'forget') heart.forget(message.sessionId);
    else {
      heart.stop();
      void broker.close().then(() => {
        tell({ type: 'closed' });
        port.close();
      });
    }
  });
  tell({ type: 'ready' });
}

class Heart {
  readonly #beat: Beat;
  readonly #data: ThreadData;
  readonly #tell: (message: FromThread) => void;
  readonly #watched = new Map<string, Watched>();
  #stuck = false;

  constructor(beat: Beat, data: ThreadData, tell: (message: FromThread) => void) {
    this.#beat = beat;
    this.#data = data;
    this.#tell = tell;
  }

  watch({ sessionId, ttlMs, beaten }: Extract<ToThread, { type: 'watch' }>): void {
    const watched: Watched = { sessionId, intervalMs: ttlMs * beatShare, beaten };
    this.#watched.set(sessionId, watched);
    void this.#beatFor(watched);
  }

  forget(sessionId: string): void {
    clearTimeout(this.#watched.get(sessionId)?.timer);
    this.#watched.delete(sessionId);
  }

  stop(): void {
    for (const sessionId of [...this.#watched.keys()]) this.forget(sessionId);
  }

  async #beatFor(watched: Watched): Promise<void> {
    const { sessionId, intervalMs, beaten } = watched;
    let next = intervalMs;
    if (this.#mainLives()) {
      const started = process.hrtime.bigint();
      try {
        const answer = await this.#beat(sessionId);
        if (!this.#watched.has(sessionId)) return;
        if (answer === 'lost') {
          this.forget(sessionId);
          this.#tell({ type: 'lost', sessionId });
          return;
        }
        Atomics.store(beaten, 0, started);
        this.#tell({ type: 'beaten', sessionId });
      } catch (error) {
        this.#tell({ type: 'failed', sessionId, message: error instanceof Error ? error.message : String(error) });
        next = intervalMs / 5;
      }
    }
    if (this.#watched.get(sessionId) === watched) watched.timer = setTimeout(() => void this.#beatFor(watched), next);
  }

  /** A process that is stuck must lose its tasks, however well this thread feels. */
  #mainLives(): boolean {
    const silentMs = Number(process.hrtime.bigint() - Atomics.load(this.#data.seen, 0)) / 1e6;
    const lives = silentMs <= this.#data.blockedAtMostMs;
    if (!lives && !this.#stuck) this.#tell({ type: 'stuck', silentMs });
    this.#stuck = !lives;
    return lives;
  }
}
