import {
  type Capabilities,
  type ClaimRequest,
  type Clock,
  ClosedError,
  type Delivery,
  isMillraceError,
  type Session,
  type SessionOptions,
  type SettleOp,
  type SettleOutcome,
  type TaskReport,
} from '@millrace/core';
import { checkClaimRequest } from '@millrace/core/adapter';
import type { ClosedQueues } from './closed-queues.ts';
import { GuardedClaim } from './guarded-claim.ts';
import { HeldTasks } from './held-tasks.ts';
import { MessageSettler } from './message-settler.ts';
import type { ThinPublisher } from './thin-publisher.ts';

/** A session whose broker claims by id. */
export type GuardSession = Session & Required<Pick<Session, 'claimTasks'>>;

/** What a session needs of the broker it belongs to. */
export interface GuardedSessionOwner {
  /** Of the guard's store. */
  readonly kind: string;
  readonly clock: Clock;
  readonly publisher: ThinPublisher;
  readonly closedQueues: ClosedQueues;
  readonly requireOpen: (op: string) => Capabilities;
  readonly onEnd: (session: GuardedSession) => void;
}

/**
 * Two sessions as one: that of the guard has the leases, that of RabbitMQ the messages. The guard is told first and
 * asked first, always; what it says is the outcome. When one of them is lost, both are over.
 */
export class GuardedSession implements Session {
  readonly id: string;
  readonly lost: AbortSignal;
  readonly #owner: GuardedSessionOwner;
  readonly #worker: string;
  readonly #tasks: GuardSession;
  readonly #messages: Session;
  readonly #held = new HeldTasks();
  readonly #settler: MessageSettler;
  readonly #claim: GuardedClaim;
  readonly #lost = new AbortController();
  readonly #over = new AbortController();
  #ending: Promise<void> | undefined;

  /** @param tasks at the guard. @param messages at RabbitMQ */
  constructor(owner: GuardedSessionOwner, options: SessionOptions, tasks: GuardSession, messages: Session) {
    const { kind, clock, publisher, closedQueues, requireOpen } = owner;
    this.id = tasks.id;
    this.lost = this.#lost.signal;
    this.#owner = owner;
    this.#worker = options.instance;
    this.#tasks = tasks;
    this.#messages = messages;
    const { signal: over } = this.#over;
    this.#settler = new MessageSettler(messages, clock, requireOpen('openSession').delay.maxMs, over);
    this.#claim = new GuardedClaim({
      kind,
      clock,
      messages,
      tasks,
      held: this.#held,
      settler: this.#settler,
      closedQueues,
      publisher,
      ttlMs: options.ttlMs,
      over,
    });
    for (const session of [tasks, messages]) {
      const lose = (): void => this.#lose(session.lost.reason);
      if (session.lost.aborted) lose();
      else session.lost.addEventListener('abort', lose, { once: true });
    }
  }

  async claim(request: ClaimRequest): Promise<Delivery[]> {
    checkClaimRequest(request, this.#requireRunning('session.claim'));
    if (this.lost.aborted) throw this.lost.reason;
    let deliveries: Delivery[];
    try {
      deliveries = await this.#claim.claim(request);
    } catch (error) {
      if (this.lost.aborted) throw this.lost.reason;
      // Ending gives back what came in the meantime.
      if (this.#ending !== undefined) return [];
      throw error;
    }
    if (this.lost.aborted) throw this.lost.reason;
    return this.#ending === undefined ? deliveries : [];
  }

  async report(reports: readonly TaskReport[]): Promise<SettleOutcome[]> {
    if (this.#isOver) return reports.map(() => 'stale');
    return inParts(
      reports,
      ({ lease }) => lease.sessionId === this.#tasks.id,
      (mine) => this.#reportHeld(mine),
      // What is not held has no record, and nothing to be charged wrongly: a start is not noted there.
      (others) => this.#messages.report(others.map(({ begun: _begun, ...report }) => report)),
    );
  }

  async settle(operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
    if (this.#isOver) return operations.map(() => 'stale');
    return inParts(
      operations,
      ({ lease }) => lease.sessionId === this.#tasks.id,
      (mine) => this.#settleHeld(mine),
      (others) => this.#messages.settle(others),
    );
  }

  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  get #isOver(): boolean {
    return this.lost.aborted || this.#ending !== undefined;
  }

  async #reportHeld(reports: readonly TaskReport[]): Promise<SettleOutcome[]> {
    for (const { lease, begun } of reports) {
      const held = begun === true ? this.#held.find(lease) : undefined;
      if (held !== undefined) held.begun = true;
    }
    return this.#tasks.report(reports);
  }

  /** The guard's word first: only then may the message go. */
  async #settleHeld(operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
    const outcomes = await this.#tasks.settle(operations);
    const follow: SettleOp[] = [];
    operations.forEach((operation, index) => {
      const outcome = outcomes[index];
      const held = outcome === 'unknown' ? undefined : this.#held.find(operation.lease);
      if (held === undefined) return;
      this.#held.drop(held);
      // Whoever gets the message of a stale lease finds out how the task is.
      follow.push(outcome === 'stale' ? { type: 'release', lease: held.message } : messageOf(operation, held.message));
    });
    await this.#settler.settle(follow);
    return outcomes;
  }

  /** The holder hears first. Then what the other half holds goes back. */
  #lose(reason: unknown): void {
    if (this.lost.aborted) return;
    this.#lost.abort(reason);
    // An end under way does the rest.
    if (this.#ending === undefined) this.#ending = this.#giveUp();
  }

  async #giveUp(): Promise<void> {
    this.#over.abort();
    const lost = this.#held.lose(this.#worker);
    try {
      // A guard that is there need not wait for the session to fall silent; one that has lost it answers `stale`.
      if (lost.length > 0 && !this.#tasks.lost.aborted) await this.#tasks.settle(lost).catch(() => {});
    } finally {
      await this.#endBoth();
    }
  }

  async #end(): Promise<void> {
    this.#over.abort();
    await this.#settler.idle();
    await this.#endBoth();
  }

  /** The guard first: a message that comes back finds its task free. */
  async #endBoth(): Promise<void> {
    try {
      await this.#tasks.end();
    } finally {
      this.#owner.onEnd(this);
      await this.#messages.end();
    }
  }

  #requireRunning(op: string): Capabilities {
    const capabilities = this.#owner.requireOpen(op);
    if (this.#ending === undefined || this.lost.aborted) return capabilities;
    throw new ClosedError(`${op}: this session has ended`, { op, adapter: 'amqp', reason: 'closed' });
  }
}

/** What becomes of the message of a task that was settled. */
function messageOf(operation: SettleOp, lease: SettleOp['lease']): SettleOp {
  switch (operation.type) {
    case 'retry':
    case 'snooze':
      return { type: 'snooze', lease, delayMs: operation.delayMs };
    case 'release':
      return { type: 'release', lease };
    default:
      return { type: 'complete', lease };
  }
}

/** Asks for each part where it belongs. The first is done when the second is refused, and is not taken back. */
async function inParts<T>(
  all: readonly T[],
  belongs: (each: T) => boolean,
  askFirst: (part: readonly T[]) => Promise<SettleOutcome[]>,
  askSecond: (part: readonly T[]) => Promise<SettleOutcome[]>,
): Promise<SettleOutcome[]> {
  const first = all.filter(belongs);
  if (first.length === all.length) return askFirst(all);
  const second = all.filter((each) => !belongs(each));
  const firstOutcomes = first.length === 0 ? [] : await askFirst(first);
  let secondOutcomes: SettleOutcome[];
  try {
    secondOutcomes = await askSecond(second);
  } catch (error) {
    if (first.length === 0 || !isMillraceError(error)) throw error;
    // Asked again by itself, it is refused by itself.
    secondOutcomes = second.map(() => 'unknown');
  }
  const answers = { first: firstOutcomes.values(), second: secondOutcomes.values() };
  return all.map((each) => answers[belongs(each) ? 'first' : 'second'].next().value ?? 'unknown');
}
