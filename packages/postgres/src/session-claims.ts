import { type ClaimRequest, type Clock, type Delivery, isMillraceError, type StopRequest } from '@millrace/core';
import { textArray } from './array-literal.ts';
import { type Claimant, claimTasks, readClaimedRows } from './claim.ts';
import type { ClaimedRow } from './rows.ts';

/** What a session knows of a task it holds. */
export interface HeldTask {
  readonly fence: number;
  readonly queue: string;
  /** Where its row is, as long as nothing has changed it: completing it need not look for it then. */
  place: string | undefined;
  /** The last stop the holder was told of. */
  told?: StopRequest;
}

/** How long a claim may ask the server. */
export interface ClaimTime {
  readonly clock: Clock;
  readonly operationTimeoutMs: number;
}

/** Takes tasks for a session and keeps track of what it has, also when an answer to a claim gets lost. */
export class SessionClaims {
  /** What was given to the holder and is not known to be settled. */
  readonly held: Map<string, HeldTask> = new Map();
  readonly #claimant: Claimant;
  readonly #time: ClaimTime;
  /** Statements that may be giving us tasks right now. */
  readonly #sending = new Set<Promise<unknown>>();
  /** Found again after the answer to a claim was lost; handed out by the next claims. */
  readonly #recovered: Delivery[] = [];
  #turn = 0;
  #answerLost = false;
  #recovering: Promise<void> | undefined;

  constructor(claimant: Claimant, time: ClaimTime) {
    this.#claimant = claimant;
    this.#time = time;
  }

  /** Claims without waiting. `contended`: the heads of the lines are locked by others, look further. */
  async take(request: ClaimRequest, contended: boolean): Promise<Delivery[]> {
    const { clock, operationTimeoutMs } = this.#time;
    const until = clock.monotonic() + operationTimeoutMs;
    if (this.#answerLost) await this.#recover(operationTimeoutMs);
    if (this.#recovered.length > 0) return this.#recovered.splice(0, request.limit);
    const { queues } = request;
    // Each claim begins with another queue, so that none starves the others (ORD-09).
    const turn = this.#turn++ % queues.length;
    const inTurn = turn === 0 ? queues : [...queues.slice(turn), ...queues.slice(0, turn)];
    const look = contended ? Number.POSITIVE_INFINITY : undefined;
    try {
      return this.#remember(await track(this.#sending, claimTasks(this.#claimant, request, inTurn, look)));
    } catch (error) {
      if (!isMillraceError(error, 'INDETERMINATE')) throw error;
      // Tasks may be ours now without anybody knowing, and would stay so for as long as this session lives.
      this.#answerLost = true;
      const left = until - clock.monotonic();
      // In a silent network the time is over: the next claim asks for them.
      if (left <= 0) throw error;
      await this.#recover(left);
      return this.#recovered.splice(0, request.limit);
    }
  }

  #recover(timeoutMs: number): Promise<void> {
    this.#recovering ??= (async () => {
      try {
        // What these bring is not lost; no new ones begin meanwhile.
        await Promise.allSettled([...this.#sending]);
        const { database, statements, sessionId } = this.#claimant;
        const values = [sessionId, textArray([...this.held.keys()])];
        const rows = await database.query(statements.findStrays, values, {
          op: 'session.claim',
          writes: false,
          timeoutMs,
        });
        this.#recovered.push(...this.#remember(readClaimedRows(rows, sessionId, [])));
        this.#answerLost = false;
      } finally {
        this.#recovering = undefined;
      }
    })();
    return this.#recovering;
  }

  #remember(claimed: readonly ClaimedRow[]): Delivery[] {
    return claimed.map(({ delivery, place }) => {
      const { lease, queue } = delivery;
      this.held.set(lease.taskId, { fence: lease.fence, queue, place });
      return delivery;
    });
  }
}

/** Keeps a promise in a set while it is under way. */
export function track<T>(running: Set<Promise<unknown>>, work: Promise<T>): Promise<T> {
  running.add(work);
  const untrack = (): void => {
    running.delete(work);
  };
  work.then(untrack, untrack);
  return work;
}
