import { randomBytes } from 'node:crypto';
import {
  type Capabilities,
  type ClaimRequest,
  type ClaimVerdict,
  ClosedError,
  type Delivery,
  type Session,
  type SessionOptions,
  type SettleOp,
  type SettleOutcome,
  type TaskReport,
} from '@millrace/core';
import {
  checkClaimIds,
  checkClaimRequest,
  type Heartbeat,
  startHeartbeat,
  Underway,
  type WakeupListener,
  type Wakeups,
} from '@millrace/core/adapter';
import { type Claimant, readGiven } from './claim.ts';
import type { RedisConnection } from './connection.ts';
import { JointCalls } from './joint-calls.ts';
import type { Keys } from './keys.ts';
import type { Locator } from './locator.ts';
import type { Notifier } from './notify.ts';
import type { StoreSettings } from './options.ts';
import { orLost } from './or-lost.ts';
import { SessionClaims } from './session-claims.ts';
import { checkSettle, type HolderContext, reportTasks, settleTasks } from './settle.ts';
import { requestOf } from './stored-task.ts';
import { type WaitingClaim, WaitingClaims } from './waiting-claims.ts';

/** What a session needs of the broker it belongs to. */
export interface SessionOwner {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly locator: Locator;
  readonly notifier: Notifier;
  readonly wakeups: Wakeups;
  readonly settings: StoreSettings;
  readonly requireOpen: (op: string) => Capabilities;
  /** Tasks that have ended here. */
  readonly onSettled: (taskIds: readonly string[]) => void;
  readonly onEnd: (session: RedisSession) => void;
}

/** Pause before a claim looks again when others were quicker. */
const contendedMs = 5;
/** Most tasks given back by one script. */
const mostInScript = 250;

/**
 * The client's end of a session. The other end is an entry in each queue it claimed from, because a queue's tasks and
 * whoever holds them must lie in one slot. The session is lost as soon as one of them says so.
 */
export class RedisSession implements Session {
  readonly id: string = randomBytes(12).toString('base64url');
  readonly lost: AbortSignal;
  readonly #owner: SessionOwner;
  readonly #options: SessionOptions;
  readonly #heartbeat: Heartbeat;
  readonly #holder: HolderContext;
  readonly #joint: JointCalls;
  readonly #taken: SessionClaims;
  readonly #waiting = new WaitingClaims();
  readonly #claims = new Underway<Promise<unknown>>();
  readonly #suspicions = new Map<string, number>();
  #ending: Promise<void> | undefined;

  /** Nothing is stored before the first claim, so there is nothing to be told. */
  constructor(owner: SessionOwner, options: SessionOptions) {
    const { connection, keys, settings } = owner;
    const { instance, host, ttlMs } = options;
    this.#owner = owner;
    this.#options = options;
    this.#heartbeat = startHeartbeat({
      clock: settings.clock,
      adapter: 'redis',
      ttlMs,
      beat: () => this.#beat(),
    });
    this.lost = this.#heartbeat.lost;
    const joint = new JointCalls(connection);
    this.#joint = joint;
    const listener = connection.mayBeGiven ? owner.notifier.id : '';
    const worker = `${instance}\0${host}`;
    const claimant: Claimant = { connection, joint, keys, sessionId: this.id, ttlMs, worker, listener };
    this.#taken = new SessionClaims(claimant, owner.locator, settings);
    this.#holder = {
      connection,
      joint,
      keys,
      settings,
      sessionId: this.id,
      queueOf: (taskId) => this.#taken.held.get(taskId)?.queue,
      lost: this.lost,
    };
    // A claim that sleeps has to notice.
    this.lost.addEventListener('abort', () => owner.wakeups.wake(), { once: true });
  }

  async claim(request: ClaimRequest): Promise<Delivery[]> {
    checkClaimRequest(request, this.#requireRunning('session.claim'));
    // Listens before it looks, so that what arrives in between wakes it (T8).
    const listener = this.#owner.wakeups.listen(request.queues);
    const waiting = this.#waiting.open(request, () => listener.wake());
    try {
      return await this.#claim(request, listener, waiting);
    } finally {
      listener.close();
      const tooMany = this.#waiting.close(waiting);
      if (tooMany.length > 0) void this.#giveBack(tooMany);
    }
  }

  async #claim(request: ClaimRequest, listener: WakeupListener, { given }: WaitingClaim): Promise<Delivery[]> {
    const { settings, notifier } = this.#owner;
    const { clock, pollMs } = settings;
    const until = clock.monotonic() + request.waitMs;
    for (let contended = 0, first = true; ; first = false) {
      if (this.lost.aborted) throw this.lost.reason;
      if (this.#ending !== undefined) return [];
      if (given.length > 0 || request.signal?.aborted === true) return given.splice(0);
      const before = until - clock.monotonic();
      // Only who listens may count on being told.
      if (!first && before > 0) await notifier.listenForWork(request.queues);
      const told = before > 0 && notifier.hearsOfWork(request.queues);
      const sleepMs = told ? Math.ceil(Math.min(before, pollMs)) : 0;
      const claimed = await orLost(this.#track(this.#taken.take(request, sleepMs)), this.lost);
      if (claimed === 'lost') this.#heartbeat.declareLost('the broker has ended it');
      if (claimed === 'lost' || this.lost.aborted) throw this.lost.reason;
      // Ending gives back what came in the meantime.
      if (this.#ending !== undefined) return [];
      const deliveries = [...claimed.deliveries, ...given.splice(0, request.limit - claimed.deliveries.length)];
      if (deliveries.length > 0) return deliveries;
      const left = until - clock.monotonic();
      if (left <= 0) return [];
      if (first && !told) continue;
      const { inMs = pollMs } = claimed;
      contended = inMs === 0 ? contended + 1 : 0;
      const napMs = inMs === 0 ? Math.min(contendedMs * contended, pollMs) : Math.min(pollMs, inMs);
      await listener.sleep(Math.min(left, napMs), request.signal);
    }
  }

  readonly claimTasks = async (ids: readonly string[]): Promise<ClaimVerdict[]> => {
    checkClaimIds(ids, this.#requireRunning('session.claimTasks'));
    if (this.lost.aborted) throw this.lost.reason;
    const verdicts = await orLost(this.#track(this.#taken.takeThese(ids)), this.lost);
    if (verdicts === 'lost') this.#heartbeat.declareLost('the broker has ended it');
    if (this.lost.aborted) throw this.lost.reason;
    // Ending gives back what came in the meantime.
    this.#requireRunning('session.claimTasks');
    return verdicts as ClaimVerdict[];
  };

  async report(reports: readonly TaskReport[]): Promise<SettleOutcome[]> {
    if (this.#isOver()) return reports.map(() => 'stale');
    return reportTasks(this.#holder, reports);
  }

  async settle(operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
    for (const operation of operations) checkSettle(operation);
    if (this.#isOver()) return operations.map(() => 'stale');
    const outcomes = await settleTasks(this.#holder, operations);
    this.#forget(operations, outcomes);
    return outcomes;
  }

  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  /** A task was given to a claim that slept. What nobody waits for any more goes back, uncharged. */
  receive(queue: string, text: string): void {
    if (this.#isOver()) return;
    let delivery: Delivery;
    try {
      delivery = readGiven(text.slice(this.id.length), queue, this.id);
    } catch {
      // Nobody is there to hear of it: whoever claims next is told what cannot be read.
      this.#taken.suspect(queue);
      return;
    }
    if (!this.#taken.accept(delivery)) return;
    if (!this.#waiting.give(delivery)) void this.#giveBack([delivery]);
  }

  /** It may have been given tasks that it has not heard of. */
  missed(): void {
    if (this.#owner.connection.mayBeGiven) for (const queue of this.#taken.joined) this.#taken.suspect(queue);
  }

  /** Asks the server now whether something is wanted. */
  hurry(): void {
    if (this.#ending === undefined) this.#heartbeat.hurry();
  }

  /**
   * Ended, or lost: a holder that has stopped trusting its session stops writing, even where the server would still
   * let it.
   */
  #isOver(): boolean {
    return this.lost.aborted || this.#ending !== undefined;
  }

  #forget(operations: readonly SettleOp[], outcomes: readonly SettleOutcome[]): void {
    const settled: string[] = [];
    const { wakeups } = this.#owner;
    for (let index = 0; index < operations.length; index++) {
      const { type, lease } = operations[index] as SettleOp;
      const held = this.#taken.held.get(lease.taskId);
      if (outcomes[index] === 'unknown' || held?.fence !== lease.fence) continue;
      this.#taken.held.delete(lease.taskId);
      if (outcomes[index] !== 'applied') continue;
      settled.push(lease.taskId);
      if (type === 'retry' || type === 'release' || type === 'snooze') wakeups.wake(held.queue);
    }
    if (settled.length > 0) this.#owner.onSettled(settled);
  }

  async #beat(): Promise<'alive' | 'lost'> {
    const { connection, keys } = this.#owner;
    const { ttlMs } = this.#options;
    const call = { op: 'session.beat', harmless: true, timeoutMs: Math.ceil(ttlMs / 3) };
    const args = [this.id, String(ttlMs)];
    const answers = await Promise.all(
      [...this.#taken.joined].map(async (queue) => {
        const reply = (await connection.run('beatSession', keys.queue(queue), args, call)) as (string | number)[];
        return { queue, reply };
      }),
    );
    if (answers.some(({ reply }) => reply[0] !== 1)) return 'lost';
    for (const { queue, reply } of answers) {
      for (let at = 2; at < reply.length; at += 3) {
        this.#tell(String(reply[at]), Number(reply[at + 1]), String(reply[at + 2]));
      }
      this.#watchStrays(queue, Number(reply[1]));
    }
    void this.#giveBackStrays();
    return 'alive';
  }

  #tell(taskId: string, fence: number, letter: string): void {
    const request = requestOf(letter);
    const held = this.#taken.held.get(taskId);
    if (held?.fence === fence) {
      if (held.told === request) return;
      held.told = request;
    }
    try {
      this.#options.onSignal({ taskId, fence, request });
    } catch {
      // A holder that cannot listen still finds out when it settles; it must not take the process down.
    }
  }

  /**
   * A claim may be carried out after it was given up here, or twice: its tasks would be held for ever by a session
   * that does not know them.
   */
  #watchStrays(queue: string, held: number): void {
    const known = this.#taken.countKnown(queue);
    // Once may be a claim or a settle whose answer is on its way.
    const seen = known !== undefined && held > known ? (this.#suspicions.get(queue) ?? 0) + 1 : 0;
    this.#suspicions.set(queue, seen);
    if (seen < 2) return;
    this.#suspicions.set(queue, 0);
    this.#taken.suspect(queue);
  }

  /** Nobody may ask for it again, so what was found after its answer was lost goes back, uncharged. */
  async #giveBackStrays(): Promise<void> {
    try {
      await this.#giveBack(await this.#taken.takeStrays());
    } catch {
      // The next beat tries again.
    }
  }

  /** What stays here for want of an answer is handed out by the next claim. */
  async #giveBack(deliveries: readonly Delivery[]): Promise<void> {
    if (deliveries.length === 0) return;
    const outcomes = await this.settle(deliveries.map(({ lease }) => ({ type: 'release', lease })));
    this.#taken.keepStrays(deliveries.filter((_delivery, index) => outcomes[index] === 'unknown'));
  }

  async #end(): Promise<void> {
    const { wakeups, onEnd } = this.#owner;
    const wasLost = this.lost.aborted;
    this.#heartbeat.stop();
    // What was settled must not be given back.
    this.#joint.flush();
    wakeups.wake();
    await Promise.allSettled([...this.#claims]);
    try {
      // What a lost session held is maintenance's to take back, and counts as an attempt.
      if (!wasLost) await Promise.all(this.#taken.queues.map((queue) => this.#leave(queue)));
    } catch {
      // Not reachable: the session runs out by itself, and maintenance takes its tasks back.
    } finally {
      this.#taken.held.clear();
      onEnd(this);
    }
  }

  async #leave(queue: string): Promise<void> {
    const { connection, keys, wakeups } = this.#owner;
    const args = [this.id, randomBytes(12).toString('base64url'), String(mostInScript)];
    const call = { op: 'session.end', harmless: true };
    for (let left = 1; left > 0; ) left = Number(await connection.run('leaveQueue', keys.queue(queue), args, call));
    wakeups.wake(queue);
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#claims.add(work);
    const untrack = (): void => {
      this.#claims.delete(work);
    };
    work.then(untrack, untrack);
    return work;
  }

  #requireRunning(op: string): Capabilities {
    const capabilities = this.#owner.requireOpen(op);
    if (this.#ending === undefined) return capabilities;
    throw new ClosedError(`${op}: this session has ended`, { op, adapter: 'redis', reason: 'closed' });
  }
}
