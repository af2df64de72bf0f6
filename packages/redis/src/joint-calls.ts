import type { CallOptions, RedisConnection } from './connection.ts';

/** A settle that has not left yet. */
interface WaitingSettle {
  readonly args: readonly string[];
  readonly size: number;
  readonly call: CallOptions;
  readonly answer: (reply: Promise<unknown>) => void;
}

/** Others wait while a script runs, so that one of both does no more than one of either: see settle.ts. */
const mostInScript = 250;

/**
 * Sends a session's settles and claims. A worker that has ended tasks asks for others in the same turn of the event
 * loop: if both are about one queue, they go as one script. Where its answer is lost, each finds out by itself what has
 * become of its part, as if it had been sent alone.
 */
export class JointCalls {
  readonly #connection: RedisConnection;
  /** By the key of the queue. */
  readonly #waiting = new Map<string, WaitingSettle>();

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** Ends so many runs, with the next claim of the queue in this turn, or without one. */
  settle(queueKey: string, args: readonly string[], size: number, call: CallOptions): Promise<unknown> {
    // With so many there is nothing to gain.
    if (size > mostInScript / 2 || this.#waiting.has(queueKey)) return this.#settleAlone(queueKey, args, call);
    return new Promise((resolve) => {
      const settle = { args, size, call, answer: resolve };
      this.#waiting.set(queueKey, settle);
      atEndOfTurn(() => {
        if (this.#waiting.get(queueKey) === settle) this.#send(queueKey, settle);
      });
    });
  }

  /** Claims so many tasks at most, and ends what waits to be ended in this queue. */
  async claim(queueKey: string, args: readonly string[], limit: number, call: CallOptions): Promise<unknown> {
    const settle = this.#waiting.get(queueKey);
    if (settle !== undefined && settle.size + limit <= mostInScript) {
      this.#waiting.delete(queueKey);
      const both = [String(args.length), ...args, ...settle.args.slice(1)];
      const replies = this.#connection.run('settleAndClaim', queueKey, both, call) as Promise<unknown[]>;
      settle.answer(replies.then(([settled]) => settled));
      return (await replies)[1];
    }
    if (settle !== undefined) this.#send(queueKey, settle);
    return this.#connection.run('claimTasks', queueKey, args, call);
  }

  /** Sends what waits: something is about to be sent that has to come after it. */
  flush(): void {
    for (const [queueKey, settle] of this.#waiting) this.#send(queueKey, settle);
  }

  #send(queueKey: string, { args, call, answer }: WaitingSettle): void {
    this.#waiting.delete(queueKey);
    answer(this.#settleAlone(queueKey, args, call));
  }

  #settleAlone(queueKey: string, args: readonly string[], call: CallOptions): Promise<unknown> {
    return this.#connection.run('settleTasks', queueKey, args, call);
  }
}

/** Node does so when no promise is left to go on: whatever follows from this turn has been called by then. */
function atEndOfTurn(call: () => void): void {
  queueMicrotask(() => process.nextTick(call));
}
