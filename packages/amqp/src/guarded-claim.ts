import type { ClaimRequest, ClaimVerdict, Clock, Delivery, Session, SettleOp } from '@millrace/core';
import { sleep } from '@millrace/core/adapter';
import type { ClosedQueues } from './closed-queues.ts';
import type { HeldTasks } from './held-tasks.ts';
import type { MessageSettler } from './message-settler.ts';
import { readThin } from './thin-message.ts';
import type { ThinPublisher } from './thin-publisher.ts';

/** What claiming needs of a session. */
export interface GuardedClaimOptions {
  /** Of the guard's store. */
  readonly kind: string;
  readonly clock: Clock;
  /** At RabbitMQ. */
  readonly messages: Session;
  /** At the guard. */
  readonly tasks: Session & Required<Pick<Session, 'claimTasks'>>;
  readonly held: HeldTasks;
  readonly settler: MessageSettler;
  readonly closedQueues: ClosedQueues;
  readonly publisher: ThinPublisher;
  readonly ttlMs: number;
  /** Aborts when the session is over, in whatever way. */
  readonly over: AbortSignal;
}

/** A message, and the id of the task it brings. */
interface Thin {
  readonly id: string;
  readonly message: Delivery;
  readonly uncommitted: boolean;
}

/** What came of messages. */
interface Claimed {
  readonly deliveries: readonly Delivery[];
  /** Some could not run, and may have been in the way of others that can. */
  readonly wasObstructed: boolean;
}

/** A message whose task cannot run now looks again after this long, doubling. */
const firstLookMs = 100;
/** A task that runs elsewhere: its holder may be dead, and is swept at the latest after its time to live. */
const heldLookMs = 1_000;
const longHeldLookMs = 5_000;
/** A record that is not there: its transaction may be open. Given up after about an hour; the sweep does not. */
const uncommittedLookMs = 60_000;
const mostUncommittedLooks = 70;
/** The guard could not be asked. */
const unaskedMs = 1_000;
/** A claim whose time is over goes on while it meets messages that may not run, but not for ever. */
const mostLooks = 50;

/** Turns messages into claims of the tasks they bring. */
export class GuardedClaim {
  readonly #options: GuardedClaimOptions;

  constructor(options: GuardedClaimOptions) {
    this.#options = options;
  }

  /** As `Session.claim`. Rejects with whatever RabbitMQ or the guard says. */
  async claim(request: ClaimRequest): Promise<Delivery[]> {
    const { clock, over, settler } = this.#options;
    // Who asks but once must not miss what messages on their way out leave no room for yet.
    if (request.waitMs === 0) await settler.idle();
    const until = clock.monotonic() + request.waitMs;
    const isOver = (): boolean => over.aborted || request.signal?.aborted === true;
    const got: Delivery[] = [];
    for (let looks = 1; ; looks++) {
      const { open, changesInMs } = this.#options.closedQueues.among(request.queues);
      const leftMs = Math.min(until - clock.monotonic(), changesInMs);
      const waitMs = got.length > 0 ? 0 : Math.max(0, Math.ceil(leftMs));
      const missing = { ...request, queues: open, limit: request.limit - got.length, waitMs };
      const { deliveries, wasObstructed } = await this.#look(missing).catch((error: unknown) => {
        // What came before is as good as ever.
        if (got.length === 0) throw error;
        return { deliveries: [], wasObstructed: false };
      });
      got.push(...deliveries);
      if (isOver() || got.length === request.limit) return got;
      const looksAgain = wasObstructed && looks < mostLooks;
      if (!looksAgain && (got.length > 0 || clock.monotonic() >= until)) return got;
    }
  }

  async #fetch(request: ClaimRequest): Promise<Delivery[]> {
    const { messages, clock, over } = this.#options;
    const signal = request.signal === undefined ? over : AbortSignal.any([over, request.signal]);
    if (request.queues.length > 0) return messages.claim({ ...request, signal });
    // All of them are paused.
    if (request.waitMs > 0) await sleep(request.waitMs, signal, clock);
    return [];
  }

  /** What the guard gives of what arrives. */
  async #look(request: ClaimRequest): Promise<Claimed> {
    const arrived = await this.#fetch(request);
    const thin: Thin[] = [];
    const twins: Thin[] = [];
    const foreign: Thin[] = [];
    const free: Delivery[] = [];
    const ids = new Set<string>();
    for (const message of arrived) {
      const brought = readThin(message.headers);
      if (brought === undefined) free.push(message);
      else if (brought.kind !== this.#options.kind) foreign.push({ ...brought, uncommitted: true, message });
      else if (ids.has(brought.id)) twins.push({ ...brought, message });
      else {
        ids.add(brought.id);
        thin.push({ ...brought, message });
      }
    }
    // Of another guard, whose workers share the queue: they get their chance, and their sweep is behind them.
    const leftOver = foreign.map((each) => this.#leave(each, { status: 'gone' }));
    let verdicts: ClaimVerdict[] = [];
    try {
      if (ids.size > 0) verdicts = await this.#options.tasks.claimTasks([...ids]);
    } catch (error) {
      const unasked = [...thin, ...twins].map((each) => snoozed(each, unaskedMs));
      // A session that is over gives back what is here, and at once.
      if (!this.#options.over.aborted) await this.#options.settler.settle([...leftOver, ...unasked]);
      if (free.length === 0) throw error;
      return { deliveries: free, wasObstructed: false };
    }
    const claimed: Delivery[] = [];
    thin.forEach((each, index) => {
      const verdict = verdicts[index] as ClaimVerdict;
      if (verdict.status === 'claimed' && request.names.includes(verdict.delivery.name)) {
        this.#options.held.add(verdict.delivery, each.message.lease);
        claimed.push(verdict.delivery);
      } else leftOver.push(this.#leave(each, verdict));
    });
    // By now the first of them says what becomes of the task.
    for (const twin of twins) leftOver.push(this.#leave(twin, { status: 'held' }));
    await this.#options.settler.settle(leftOver);
    return { deliveries: [...free, ...claimed], wasObstructed: leftOver.length > 0 };
  }

  /** What becomes of a message whose task does not run now. */
  #leave(thin: Thin, verdict: ClaimVerdict): SettleOp {
    const { held, closedQueues } = this.#options;
    const { message, id } = thin;
    // Every delivery grows the message's own fence, so it counts how often the task could not run.
    const looks = message.lease.fence;
    switch (verdict.status) {
      case 'early':
        return snoozed(thin, verdict.dueInMs);
      case 'held':
        // The message that brought it here goes on with it; this one is a fork.
        return held.has(id) ? dropped(thin) : snoozed(thin, this.#heldLookMs(looks));
      case 'queue-paused':
        closedQueues.close(message.queue);
        return { type: 'release', lease: message.lease };
      case 'gone':
        return thin.uncommitted && looks <= mostUncommittedLooks
          ? snoozed(thin, doubled(looks, uncommittedLookMs))
          : dropped(thin);
      case 'claimed':
        this.#rename(verdict.delivery);
        return dropped(thin);
      default:
        // Whatever lets it run again sends another message.
        return dropped(thin);
    }
  }

  #heldLookMs(looks: number): number {
    const sweptBy = this.#options.ttlMs / heldLookMs + Math.log2(heldLookMs / firstLookMs);
    return doubled(looks, looks <= sweptBy + 5 ? heldLookMs : longHeldLookMs);
  }

  /** It was replaced by a task of another name, which workers of that name must get. */
  #rename(delivery: Delivery): void {
    const { tasks, publisher } = this.#options;
    const { lease, name, queue, priority } = delivery;
    void tasks
      .settle([{ type: 'release', lease }])
      .then(() => publisher.send([{ id: lease.taskId, name, queue, priority }]))
      .catch(() => {});
  }
}

function snoozed({ message }: Thin, delayMs: number): SettleOp {
  return { type: 'snooze', lease: message.lease, delayMs };
}

function dropped({ message }: Thin): SettleOp {
  return { type: 'complete', lease: message.lease };
}

function doubled(looks: number, mostMs: number): number {
  return Math.min(mostMs, firstLookMs * 2 ** (looks - 1));
}
