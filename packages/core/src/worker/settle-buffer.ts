import { reconnectDelay, sleep } from '../adapter/deadline.ts';
import type { Session, SettleOp, SettleOutcome } from '../broker/session.ts';
import type { Clock } from '../clock.ts';
import { isMillraceError } from '../errors.ts';
import { sendApart, type Verdict } from './send-apart.ts';

/** Told what became of a settle: `applied`, `stale`, or `unknown` when the session ended before it was known. */
export type SettleListener = (operation: SettleOp, outcome: SettleOutcome) => void;

/** Says how a run is settled whose operation the broker refuses for good; `undefined` to go on asking. */
export type RefusalHandler = (operation: SettleOp, error: unknown) => SettleOp | undefined;

/** What became of operations, as far as the broker said so. */
export interface SettleCount {
  /** `applied`, and no release. */
  readonly ended: number;
  /** Releases that were `applied`. */
  readonly released: number;
  /** Not answered, or `unknown`. */
  readonly unconfirmed: number;
}

// One batch on its way while the next gathers; a second one keeps the server busy meanwhile.
const maxInFlight = 2;
const maxBatch = 1_000;
/** A batch of large outputs is cut here, in characters: it has to be built, sent and parsed within one deadline. */
const maxBatchLength = 4_000_000;
/** So often must an operation be refused, while others are taken, before it is given up. */
const certainAfter = 3;

interface SessionQueue {
  readonly session: Session;
  waiting: SettleOp[];
  inFlight: number;
  scheduled: boolean;
  /** What is to be asked again. It holds up nothing that comes after it. */
  again: SettleOp[];
  asking: boolean;
  /** Batches the broker took. */
  taken: number;
}

interface Suspect {
  refusals: number;
  /** What the broker had taken when it refused this one first. */
  readonly takenBefore: number;
}

/**
 * Collects how runs ended and settles them in batches, in order per session. An `unknown` outcome is asked again for
 * as long as the session lives: otherwise a task whose settle was lost would stay with a healthy session for ever.
 * An operation over which the adapter throws, while it takes others, is replaced by what `onRefused` says.
 */
export class SettleBuffer {
  readonly #clock: Clock;
  readonly #listener: SettleListener;
  readonly #onRefused: RefusalHandler;
  readonly #queues = new Map<Session, SessionQueue>();
  readonly #suspects = new Map<SettleOp, Suspect>();
  /** What `onRefused` made: there is nothing simpler left to try. */
  readonly #lastResorts = new WeakSet<SettleOp>();
  readonly #closed = new AbortController();
  #pending = 0;
  /** Sessions with something that leaves at the end of this turn. */
  #leaving = 0;
  #departed: (() => void)[] = [];
  #idle: (() => void)[] = [];
  #counted: Set<SettleOp> | undefined;
  readonly #count = { ended: 0, released: 0, unconfirmed: 0 };

  constructor(clock: Clock, listener: SettleListener, onRefused: RefusalHandler = () => undefined) {
    this.#clock = clock;
    this.#listener = listener;
    this.#onRefused = onRefused;
  }

  /** Operations not yet answered. Claims pause when it grows, so that memory stays bounded. */
  get pending(): number {
    return this.#pending;
  }

  /** @param after what has to be over first: a report of the run, which the settle must not overtake. */
  add(session: Session, operation: SettleOp, after?: Promise<unknown>): void {
    this.#pending++;
    if (this.#counted !== undefined) {
      this.#counted.add(operation);
      this.#count.unconfirmed++;
    }
    if (after === undefined) this.#enqueue(session, operation);
    else void after.then(() => this.#enqueue(session, operation));
  }

  #enqueue(session: Session, operation: SettleOp): void {
    let queue = this.#queues.get(session);
    if (queue === undefined) {
      queue = { session, waiting: [], inFlight: 0, scheduled: false, again: [], asking: false, taken: 0 };
      this.#queues.set(session, queue);
    }
    queue.waiting.push(operation);
    this.#schedule(queue);
  }

  /**
   * Resolves when what has ended in this turn of the event loop was handed to its session; at once, as `undefined`, when
   * nothing has. A broker may carry out a claim that follows in the same step.
   */
  departure(): Promise<void> | undefined {
    if (this.#leaving === 0) return undefined;
    return new Promise((resolve) => this.#departed.push(resolve));
  }

  /** Resolves when everything added has been answered. */
  drain(): Promise<void> {
    if (this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Counts what becomes of everything added from here on; the numbers move until all of it is answered. */
  count(): SettleCount {
    this.#counted ??= new Set();
    return this.#count;
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
    this.#leaving++;
    // Everything that ends in this turn of the event loop travels together.
    setImmediate(() => {
      queue.scheduled = false;
      this.#leaving--;
      this.#flush(queue);
      if (this.#leaving === 0) for (const resolve of this.#departed.splice(0)) resolve();
    });
  }

  #flush(queue: SessionQueue): void {
    const batch = takeBatch(queue);
    if (batch.length === 0) return;
    queue.inFlight++;
    void this.#settle(queue, batch).then((left) => {
      queue.inFlight--;
      if (left.length > 0) this.#putOff(queue, left);
      this.#schedule(queue);
      this.#forgetIfDone(queue);
    });
    this.#schedule(queue);
  }

  /** Settles once; returns what is to be asked again, what the broker has not refused yet first. */
  async #settle(queue: SessionQueue, batch: readonly SettleOp[]): Promise<SettleOp[]> {
    const verdicts = await sendApart(batch, (part) => queue.session.settle(part));
    if (verdicts.some(({ outcome }) => outcome !== 'unknown')) queue.taken++;
    return this.#sortOut(queue, batch, verdicts);
  }

  /** Answers what is known. */
  #sortOut(queue: SessionQueue, batch: readonly SettleOp[], verdicts: readonly Verdict[]): SettleOp[] {
    const isOver = this.#isOver(queue);
    const unknown: SettleOp[] = [];
    const refused: SettleOp[] = [];
    for (let index = 0; index < batch.length; index++) {
      const operation = batch[index] as SettleOp;
      const { outcome, refusal } = verdicts[index] as Verdict;
      if (outcome !== 'unknown' || isOver) this.#answer(operation, outcome);
      else if (refusal === undefined) unknown.push(operation);
      else refused.push(this.#doubt(queue, operation, refusal));
    }
    return [...unknown, ...refused];
  }

  #isOver({ session }: SessionQueue): boolean {
    return session.lost.aborted || this.#closed.signal.aborted;
  }

  #putOff(queue: SessionQueue, operations: readonly SettleOp[]): void {
    queue.again.push(...operations);
    if (queue.asking) return;
    queue.asking = true;
    void this.#askAgain(queue).then(() => {
      queue.asking = false;
      this.#forgetIfDone(queue);
    });
  }

  async #askAgain(queue: SessionQueue): Promise<void> {
    const over = AbortSignal.any([queue.session.lost, this.#closed.signal]);
    for (let attempt = 1; queue.again.length > 0; attempt++) {
      await sleep(reconnectDelay(attempt), over, this.#clock);
      const operations = queue.again.splice(0);
      for (let start = 0; start < operations.length; start += maxBatch) {
        const batch = operations.slice(start, start + maxBatch);
        if (this.#closed.signal.aborted) for (const operation of batch) this.#answer(operation, 'unknown');
        else queue.again.push(...(await this.#settle(queue, batch)));
      }
    }
  }

  /** The operation to go on with after the broker refused this one: itself, until it is certain that it is at fault. */
  #doubt(queue: SessionQueue, operation: SettleOp, error: unknown): SettleOp {
    const suspect = this.#suspects.get(operation) ?? { refusals: 0, takenBefore: queue.taken };
    suspect.refusals++;
    this.#suspects.set(operation, suspect);
    const othersPass = suspect.refusals >= certainAfter && queue.taken > suspect.takenBefore;
    if (this.#lastResorts.has(operation) || !(othersPass || isMillraceError(error, 'VALIDATION'))) return operation;
    const instead = this.#onRefused(operation, error);
    if (instead === undefined) return operation;
    this.#suspects.delete(operation);
    this.#lastResorts.add(instead);
    if (this.#counted?.delete(operation) === true) this.#counted.add(instead);
    return instead;
  }

  #forgetIfDone(queue: SessionQueue): void {
    const { waiting, inFlight, asking, session } = queue;
    if (waiting.length === 0 && inFlight === 0 && !asking) this.#queues.delete(session);
  }

  #answer(operation: SettleOp, outcome: SettleOutcome): void {
    this.#pending--;
    if (this.#suspects.size > 0) this.#suspects.delete(operation);
    if (this.#counted?.delete(operation) === true && outcome !== 'unknown') {
      this.#count.unconfirmed--;
      if (outcome === 'applied') this.#count[operation.type === 'release' ? 'released' : 'ended']++;
    }
    this.#listener(operation, outcome);
    if (this.#pending === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}

/** Takes what may travel together out of the line. */
function takeBatch(queue: SessionQueue): readonly SettleOp[] {
  const { waiting } = queue;
  let size = 0;
  for (let length = 0; size < waiting.length && size < maxBatch; size++) {
    const operation = waiting[size];
    if (operation?.type === 'complete') length += operation.output?.length ?? 0;
    if (length > maxBatchLength && size > 0) break;
  }
  if (size === waiting.length) {
    queue.waiting = [];
    return waiting;
  }
  queue.waiting = waiting.slice(size);
  return waiting.slice(0, size);
}
