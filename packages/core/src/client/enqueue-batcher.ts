import { reconnectDelay, sleep } from '../adapter/deadline.ts';
import type { Broker, EnqueueOutcome } from '../broker/broker.ts';
import { type Clock, systemClock } from '../clock.ts';
import { isMillraceError } from '../errors.ts';
import type { NewTask } from '../task.ts';

interface Pending {
  task: NewTask;
  /** Of a call that enqueues several: they keep their order, so they travel together. */
  readonly ordered: boolean;
  /** A send of an id generated for this call was not answered: finding it stored is finding our own. */
  mayBeOurs: boolean;
  readonly deadline: number;
  resolve(outcome: EnqueueOutcome): void;
  reject(error: unknown): void;
}

/** A call that enqueues several. */
interface Call {
  readonly outcomes: EnqueueOutcome[];
  /** How many of them are missing. */
  open: number;
  readonly deadline: number;
  readonly resolve: (outcomes: EnqueueOutcome[]) => void;
  readonly reject: (error: unknown) => void;
}

/** One task of such a call. A class, so that thousands of them do not have functions of their own. */
class Member implements Pending {
  task: NewTask;
  mayBeOurs = false;
  readonly #call: Call;
  readonly #index: number;

  constructor(task: NewTask, call: Call, index: number) {
    this.task = task;
    this.#call = call;
    this.#index = index;
  }

  get ordered(): boolean {
    return this.#call.outcomes.length > 1;
  }

  get deadline(): number {
    return this.#call.deadline;
  }

  resolve(outcome: EnqueueOutcome): void {
    const call = this.#call;
    call.outcomes[this.#index] = outcome;
    call.open -= 1;
    if (call.open === 0) call.resolve(call.outcomes);
  }

  reject(error: unknown): void {
    this.#call.reject(error);
  }
}

// Measured on Postgres and Redis: with more than two round trips in flight the batches only get smaller (bench.md, finding 1).
const usuallyInFlight = 2;
const largestBatch = 1_000;
/** So many are worth several round trips at once instead of one. */
const worthDividing = 32;

/** What a broker takes. */
export interface BatchLimits {
  /** Most tasks at once. */
  readonly maxEnqueue: number;
  /** Calls worth having under way at the same time. Default 2. */
  readonly inFlight?: number;
}

/**
 * Sends enqueues that were made together, or while an earlier one was on its way, as one round trip. A caller that
 * awaits each enqueue pays nothing for it; a hundred concurrent ones travel as a few batches.
 *
 * A batch the broker could not take, or may have taken, is sent again until the deadline: ids make that safe.
 */
export class EnqueueBatcher {
  readonly #broker: Broker<unknown>;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #limits: () => BatchLimits;
  #waiting: Pending[] = [];
  #inFlight = 0;
  #scheduled = false;
  #idle: (() => void)[] = [];

  /** @param limits asked at each send, because they are known once the broker is open. */
  constructor(
    broker: Broker<unknown>,
    timeoutMs: number,
    clock: Clock = systemClock,
    limits: () => BatchLimits = () => ({ maxEnqueue: largestBatch }),
  ) {
    this.#broker = broker;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#limits = limits;
  }

  add(task: NewTask): Promise<EnqueueOutcome> {
    return new Promise((resolve, reject) => {
      const deadline = this.#clock.monotonic() + this.#timeoutMs;
      this.#schedule(this.#waiting.length === 0);
      this.#waiting.push({ task, ordered: false, mayBeOurs: false, deadline, resolve, reject });
    });
  }

  /** Tasks of one call keep their order: a batch is only sent when the one before it is stored (ORD-03). */
  async addInOrder(tasks: readonly NewTask[]): Promise<EnqueueOutcome[]> {
    const outcomes: EnqueueOutcome[] = [];
    const size = this.#mostAtOnce();
    for (let start = 0; start < tasks.length; start += size) {
      for (const outcome of await this.#addTogether(tasks.slice(start, start + size))) outcomes.push(outcome);
    }
    return outcomes;
  }

  #addTogether(tasks: readonly NewTask[]): Promise<EnqueueOutcome[]> {
    return new Promise((resolve, reject) => {
      const deadline = this.#clock.monotonic() + this.#timeoutMs;
      const outcomes = new Array<EnqueueOutcome>(tasks.length);
      const call: Call = { outcomes, open: tasks.length, deadline, resolve, reject };
      this.#schedule(this.#waiting.length === 0);
      for (let index = 0; index < tasks.length; index++) {
        this.#waiting.push(new Member(tasks[index] as NewTask, call, index));
      }
    });
  }

  /** Resolves when everything added so far has been answered. */
  drain(): Promise<void> {
    if (this.#inFlight === 0 && this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** @param alone nobody else waits: what is awaited then goes at the end of this tick */
  #schedule(alone: boolean): void {
    if (this.#scheduled || this.#inFlight >= this.#mostInFlight()) return;
    this.#scheduled = true;
    const flush = (): void => {
      this.#scheduled = false;
      this.#flush();
    };
    // With others under way, let more gather.
    if (this.#inFlight === 0 && alone) queueMicrotask(flush);
    else setImmediate(flush);
  }

  #flush(): void {
    const parts = this.#isWorthDividing() ? this.#mostInFlight() : 1;
    const size = Math.min(this.#mostAtOnce(), Math.ceil(this.#waiting.length / parts));
    for (let part = 0; part < parts; part++) this.#launch(size);
    if (this.#waiting.length > 0) this.#schedule(this.#waiting.length === 1);
  }

  #mostAtOnce(): number {
    return Math.min(largestBatch, this.#limits().maxEnqueue);
  }

  #mostInFlight(): number {
    return this.#limits().inFlight ?? usuallyInFlight;
  }

  /** Sends up to `size` of those that waited longest. */
  #launch(size: number): void {
    const batch = this.#waiting.length <= size ? this.#waiting : this.#waiting.slice(0, size);
    this.#waiting = batch === this.#waiting ? [] : this.#waiting.slice(size);
    if (batch.length === 0) return;
    this.#inFlight++;
    void this.#send(batch).finally(() => {
      this.#inFlight--;
      if (this.#waiting.length > 0) this.#schedule(this.#waiting.length === 1);
      else if (this.#inFlight === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  /**
   * Callers that await each enqueue and are answered together come back together: client and server would take turns.
   * In parts one works while the other does.
   */
  #isWorthDividing(): boolean {
    return (
      this.#inFlight === 0 && this.#waiting.length >= worthDividing && !this.#waiting.some(({ ordered }) => ordered)
    );
  }

  async #send(batch: Pending[]): Promise<void> {
    let left = batch;
    for (let attempt = 1; left.length > 0; attempt++) {
      try {
        const outcomes = await this.#broker.enqueue(left.map(({ task }) => task));
        const delayMs = outcomes.some(isRefusedForNow) ? reconnectDelay(attempt) : 0;
        left = left.filter((pending, index) => {
          const outcome = outcomes[index];
          if (delayMs > 0 && isRefusedForNow(outcome) && this.#hasTime(pending, delayMs)) return true;
          pending.resolve(resent(pending, outcome));
          return false;
        });
        if (left.length === 0) return;
        await sleep(delayMs, undefined, this.#clock);
      } catch (error) {
        const delayMs = reconnectDelay(attempt);
        left = this.#giveUp(left, error, delayMs);
        if (left.length === 0) return;
        if (isMillraceError(error, 'INDETERMINATE')) left.forEach(markMaybeStored);
        await sleep(delayMs, undefined, this.#clock);
      }
    }
  }

  /** Rejects what may not be sent again, or has no time left for it; returns the rest. */
  #giveUp(batch: Pending[], error: unknown, delayMs: number): Pending[] {
    const again = isMillraceError(error) && (error.code === 'UNAVAILABLE' || error.code === 'INDETERMINATE');
    return batch.filter((pending) => {
      if (again && this.#hasTime(pending, delayMs)) return true;
      pending.reject(error);
      return false;
    });
  }

  #hasTime(pending: Pending, delayMs: number): boolean {
    return this.#clock.monotonic() + delayMs < pending.deadline;
  }
}

/** The part of the backend that has this queue could not be reached, while another one stored what came with it. */
function isRefusedForNow(outcome: EnqueueOutcome | undefined): boolean {
  return outcome?.status === 'rejected' && outcome.error.code === 'UNAVAILABLE';
}

/** After an unanswered send the id may be stored, so the broker has to look for it (DUP-09). */
function markMaybeStored(pending: Pending): void {
  const { fresh, ...task } = pending.task;
  if (fresh === undefined) return;
  pending.task = task;
  pending.mayBeOurs = true;
}

/**
 * A generated id that is found after an unanswered send is our own first send, not somebody else's task. An id the
 * caller chose may have been there before: then nobody can tell, and `duplicate` is what is true in both cases.
 */
function resent(pending: Pending, outcome: EnqueueOutcome | undefined): EnqueueOutcome {
  if (outcome === undefined) throw new Error('the broker answered fewer outcomes than tasks');
  const own = pending.mayBeOurs && 'existingId' in outcome && outcome.existingId === pending.task.id;
  return own ? { status: 'accepted' } : outcome;
}
