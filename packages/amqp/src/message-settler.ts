import type { Clock, Session, SettleOp } from '@millrace/core';
import { reconnectDelay, sleep } from '@millrace/core/adapter';

/** How often a message is tried to be settled. A message that stays out goes back with the session. */
const mostTries = 6;
/** Messages whose settle nobody waits for; beyond, callers wait. */
const mostUnderWay = 1_000;
/** The end of a session does not wait longer for them: they go back, and are sorted out. */
const longestIdleMs = 2_000;

/**
 * Settles messages behind the guard's back: what the guard said is the truth, and a message that comes back although
 * its task has moved on is sorted out when it is claimed. So nobody waits, unless too many are under way.
 */
export class MessageSettler {
  readonly #session: Session;
  readonly #clock: Clock;
  readonly #longestDelayMs: number;
  readonly #over: AbortSignal;
  readonly #underWay = new Set<Promise<void>>();
  #count = 0;

  /** @param session at RabbitMQ. @param over aborts when what is not settled goes back with the session */
  constructor(session: Session, clock: Clock, longestDelayMs: number, over: AbortSignal) {
    this.#session = session;
    this.#clock = clock;
    this.#longestDelayMs = longestDelayMs;
    this.#over = over;
  }

  /** Resolves at once, or as soon as there is room for more. */
  async settle(operations: readonly SettleOp[]): Promise<void> {
    if (operations.length === 0) return;
    this.#count += operations.length;
    const work = this.#settle(operations.map((operation) => this.#bounded(operation)));
    this.#underWay.add(work);
    void work.then(() => {
      this.#count -= operations.length;
      this.#underWay.delete(work);
    });
    if (this.#count > mostUnderWay) await work;
  }

  /** Everything is settled, or will not be in time. */
  async idle(): Promise<void> {
    const enough = new AbortController();
    const all = Promise.all(this.#underWay).then(() => enough.abort());
    await Promise.race([all, sleep(longestIdleMs, enough.signal, this.#clock)]);
  }

  async #settle(operations: readonly SettleOp[]): Promise<void> {
    let left = operations;
    for (let attempt = 1; ; attempt++) {
      const outcomes = await this.#session.settle(left).catch(() => left.map(() => 'unknown' as const));
      left = left.filter((_operation, index) => outcomes[index] === 'unknown');
      if (left.length === 0 || attempt === mostTries || this.#over.aborted) return;
      await sleep(reconnectDelay(attempt), this.#over, this.#clock);
    }
  }

  #bounded(operation: SettleOp): SettleOp {
    if (operation.type !== 'snooze') return operation;
    return { ...operation, delayMs: Math.min(Math.ceil(operation.delayMs), this.#longestDelayMs) };
  }
}
