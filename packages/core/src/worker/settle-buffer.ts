import { reconnectDelay, sleep } from '../adapter/deadline.ts';
import type { Session, SettleOp, SettleOutcome } from '../broker/session.ts';
import type { Clock } from '../clock.ts';

/** Told what became of a settle: `applied`, `stale`, or `unknown` when the session ended before it was known. */
export type SettleListener = (operation: SettleOp, outcome: SettleOutcome) => void;

// One batch on its way while the next gathers; a second one keeps the server busy meanwhile.
const maxInFlight = 2;
const maxBatch = 1_000;

interface SessionQueue {
  readonly session: Session;
  waiting: SettleOp[];
  inFlight: number;
  scheduled: boolean;
}

/**
 * Collects how runs ended and settles them in batches, in order per session. An `unknown` outcome is asked again for
 * as long as the session lives: otherwise a task whose settle was lost would stay with a healthy session for ever.
 */
export class SettleBuffer {
  readonly #clock: Clock;
  readonly #listener: SettleListener;
  readonly #queues = new Map<Session, SessionQueue>();
  readonly #closed = new AbortController();
  #pending = 0;
  #idle: (() => void)[] = [];

  constructor(clock: Clock, listener: SettleListener) {
    this.#clock = clock;
    this.#listener = listener;
  }

  /** Operations not yet answered. Claims pause when it grows, so that memory stays bounded. */
  get pending(): number {
    return this.#pending;
  }

  /** @param after what has to be over first: a report of the run, which the settle must not overtake. */
  add(session: Session, operation: SettleOp, after?: Promise<unknown>): void {
    this.#pending++;
    if (after === undefined) this.#enqueue(session, operation);
    else void after.then(() => this.#enqueue(session, operation));
  }

  #enqueue(session: Session, operation: SettleOp): void {
    let queue = this.#queues.get(session);
    if (queue === undefined) {
      queue = { session, waiting: [], inFlight: 0, scheduled: false };
      this.#queues.set(session, queue);
    }
    queue.waiting.push(operation);
    this.#schedule(queue);
  }

  /** Resolves when everything added has been answered. */
  drain(): Promise<void> {
    if (this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /**
   * Asks no more: what is still unknown is answered so. Without it a broker that never says would keep this process
   * alive after its worker has stopped (SHD-05).
   */
  close(): void {
    this.#closed.abort();
  }

  #schedule(queue: SessionQueue): void {
    if (queue.scheduled || queue.inFlight >= maxInFlight || queue.waiting.length === 0) return;
    queue.scheduled = true;
    // Everything that ends in this turn of the event loop travels together.
    setImmediate(() => {
      queue.scheduled = false;
      this.#flush(queue);
    });
  }

  #flush(queue: SessionQueue): void {
    const batch = queue.waiting.length <= maxBatch ? queue.waiting : queue.waiting.slice(0, maxBatch);
    queue.waiting = batch === queue.waiting ? [] : queue.waiting.slice(maxBatch);
    if (batch.length === 0) return;
    queue.inFlight++;
    void this.#settle(queue.session, batch).then(() => {
      queue.inFlight--;
      if (queue.waiting.length > 0) this.#schedule(queue);
      else if (queue.inFlight === 0) this.#queues.delete(queue.session);
      if (this.#pending === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
    this.#schedule(queue);
  }

  async #settle(session: Session, batch: readonly SettleOp[]): Promise<void> {
    let left = batch;
    for (let attempt = 1; left.length > 0; attempt++) {
      const outcomes = await settleOnce(session, left);
      const unknown: SettleOp[] = [];
      const askAgain = !session.lost.aborted && !this.#closed.signal.aborted;
      left.forEach((operation, index) => {
        const outcome = outcomes[index] ?? 'unknown';
        if (outcome === 'unknown' && askAgain) unknown.push(operation);
        else this.#answer(operation, outcome);
      });
      left = unknown;
      if (left.length === 0) return;
      await sleep(reconnectDelay(attempt), AbortSignal.any([session.lost, this.#closed.signal]), this.#clock);
    }
  }

  #answer(operation: SettleOp, outcome: SettleOutcome): void {
    this.#pending--;
    this.#listener(operation, outcome);
  }
}

/** An adapter that throws all the same has not said what became of anything. */
async function settleOnce(session: Session, operations: readonly SettleOp[]): Promise<readonly SettleOutcome[]> {
  try {
    return (await session.settle(operations)) ?? [];
  } catch {
    return [];
  }
}
