import {
  type ClaimRequest,
  type ClaimVerdict,
  type Clock,
  type Delivery,
  isMillraceError,
  type StopRequest,
} from '@millrace/core';
import { textArray } from './array-literal.ts';
import { type Claimant, claimByIds, claimTasks, readClaimedRows } from './claim.ts';
import { isStorable } from './filter.ts';
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
  /** Found again after the answer to a claim was lost; handed out by the next claims, or given back. */
  readonly #recovered: Delivery[] = [];
  #turn = 0;
  #answerLost = false;
  /** A claim given up here may still be carried out there, after somebody has looked for what it took. */
  #doubtUntil = 0;
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
      this.#loseAnswer();
      const left = until - clock.monotonic();
      // In a silent network the time is over: the next claim asks for them.
      if (left <= 0) throw error;
      await this.#recover(left);
      return this.#recovered.splice(0, request.limit);
    }
  }

  /** Claims these tasks. Verdicts in the order given; `lost` when the session has ended. */
  async takeThese(ids: readonly string[]): Promise<ClaimVerdict[] | 'lost'> {
    const { clock, operationTimeoutMs } = this.#time;
    const until = clock.monotonic() + operationTimeoutMs;
    const verdicts = new Map<string, ClaimVerdict>();
    let unanswered: unknown;
    try {
      for (let open = ids.filter(isStorable); open.length > 0; open = open.filter((id) => !verdicts.has(id))) {
        if (this.#answerLost) await this.#recover(Math.max(1, until - clock.monotonic()));
        this.#handOut(open, verdicts);
        const wanted = open.filter((id) => !verdicts.has(id));
        if (wanted.length === 0) break;
        try {
          if (!(await this.#askFor(wanted, verdicts, until))) return 'lost';
        } catch (error) {
          if (!isMillraceError(error, 'INDETERMINATE')) throw error;
          this.#loseAnswer();
          unanswered = error;
          if (clock.monotonic() >= until) throw error;
        }
      }
      return ids.map((id) => verdicts.get(id) ?? { status: 'gone' });
    } catch (error) {
      // What was given but cannot be handed out now.
      for (const verdict of verdicts.values()) if ('delivery' in verdict) this.#recovered.push(verdict.delivery);
      throw unanswered ?? error;
    }
  }

  /** Finds out what lost answers were about, and takes it from what the next claims would get. */
  async takeStrays(): Promise<readonly Delivery[]> {
    const { clock, operationTimeoutMs } = this.#time;
    if (this.#answerLost || clock.monotonic() < this.#doubtUntil) await this.#recover(operationTimeoutMs);
    return this.#recovered.splice(0);
  }

  /** They could not be given back: the next claims hand them out. */
  keepStrays(strays: readonly Delivery[]): void {
    this.#recovered.push(...strays);
  }

  /** Asks the server for tasks, and notes what it says. What is left without a verdict has to be asked for again. */
  async #askFor(ids: readonly string[], verdicts: Map<string, ClaimVerdict>, until: number): Promise<boolean> {
    const { clock } = this.#time;
    const timeoutMs = Math.max(1, until - clock.monotonic());
    const answers = await track(this.#sending, claimByIds(this.#claimant, ids, timeoutMs));
    for (const [id, answer] of answers ?? []) {
      if (answer.status === 'claimed') {
        const [delivery] = this.#remember([answer.row]) as [Delivery];
        verdicts.set(id, { status: 'claimed', delivery });
      } else if (answer.status !== 'ours') verdicts.set(id, answer);
      else if (this.held.has(id) || clock.monotonic() >= until) verdicts.set(id, { status: 'held' });
      // Given to us without our knowing, by a claim that was carried out after it had been given up here.
      else this.#answerLost = true;
    }
    return answers !== undefined;
  }

  /** Gives what was found again to whom asks for it. */
  #handOut(ids: readonly string[], verdicts: Map<string, ClaimVerdict>): void {
    if (this.#recovered.length === 0) return;
    const wanted = new Set(ids);
    for (const delivery of this.#recovered.splice(0)) {
      const { taskId } = delivery.lease;
      if (wanted.has(taskId)) verdicts.set(taskId, { status: 'claimed', delivery });
      else this.#recovered.push(delivery);
    }
  }

  /** Tasks may be ours now without anybody knowing, and would stay so for as long as this session lives. */
  #loseAnswer(): void {
    const { clock, operationTimeoutMs } = this.#time;
    this.#answerLost = true;
    this.#doubtUntil = clock.monotonic() + 2 * operationTimeoutMs;
  }

  #recover(timeoutMs: number): Promise<void> {
    // The claims that come next wait for it.
    this.#answerLost = true;
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
