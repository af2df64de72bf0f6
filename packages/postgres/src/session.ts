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
  type StopRequest,
  type TaskReport,
} from '@millrace/core';
import { checkClaimIds, checkClaimRequest, type Heartbeat, startHeartbeat, type Wakeups } from '@millrace/core/adapter';
import { textArray } from './array-literal.ts';
import { type Claimant, findNextDue } from './claim.ts';
import type { CallOptions, Database } from './connection.ts';
import type { Notifier } from './notify.ts';
import type { StoreSettings } from './options.ts';
import { SessionClaims, track } from './session-claims.ts';
import { checkReport, checkSettle, reportTasks, settleTasks } from './settle.ts';
import type { HolderContext } from './settle-batch.ts';
import type { Statements } from './statements.ts';

/** What a session needs of the broker it belongs to. */
export interface SessionOwner {
  readonly database: Database;
  readonly statements: Statements;
  readonly notifier: Notifier;
  readonly wakeups: Wakeups;
  readonly settings: StoreSettings;
  readonly requireOpen: (op: string) => Capabilities;
  /** Tasks that have ended here. */
  readonly onSettled: (taskIds: readonly string[]) => void;
  readonly onEnd: (session: PostgresSession) => void;
}

/** Pause before a claim looks again when what is due is being claimed by others. */
const contendedMs = 5;

/** The client's end of a session; the other is a row of `session`. */
export class PostgresSession implements Session {
  readonly id: string = randomBytes(12).toString('base64url');
  readonly lost: AbortSignal;
  readonly #owner: SessionOwner;
  readonly #options: SessionOptions;
  readonly #heartbeat: Heartbeat;
  readonly #claimant: Claimant;
  readonly #holder: HolderContext;
  readonly #taken: SessionClaims;
  readonly #claims = new Set<Promise<unknown>>();
  #unknownHeldBeats = 0;
  #ending: Promise<void> | undefined;

  private constructor(owner: SessionOwner, options: SessionOptions) {
    const { database, statements, settings } = owner;
    this.#owner = owner;
    this.#options = options;
    this.#heartbeat = startHeartbeat({
      clock: settings.clock,
      adapter: database.adapter,
      ttlMs: options.ttlMs,
      beat: () => this.#beat(),
      beatenAt: options.beatenAt,
    });
    this.lost = this.#heartbeat.lost;
    this.#claimant = { database, statements, sessionId: this.id, worker: `${options.instance}@${options.host}` };
    this.#taken = new SessionClaims(this.#claimant, settings);
    this.#holder = {
      database,
      statements,
      clock: settings.clock,
      operationTimeoutMs: settings.operationTimeoutMs,
      sessionId: this.id,
      isLost: () => this.lost.aborted,
      find: ({ taskId, fence }) => {
        const held = this.#taken.held.get(taskId);
        return held?.fence === fence ? held : undefined;
      },
    };
    // A claim that sleeps has to notice.
    this.lost.addEventListener('abort', () => owner.wakeups.wake(), { once: true });
  }

  /** @throws UnavailableError */
  static async open(owner: SessionOwner, options: SessionOptions): Promise<PostgresSession> {
    // Trust counts from before the server is told.
    const session = new PostgresSession(owner, options);
    const { instance, host, ttlMs } = options;
    try {
      const values = [session.id, instance, host, ttlMs];
      await owner.database.query(owner.statements.openSession, values, { op: 'openSession', harmless: true });
      return session;
    } catch (error) {
      session.#heartbeat.stop();
      throw error;
    }
  }

  async claim(request: ClaimRequest): Promise<Delivery[]> {
    checkClaimRequest(request, this.#requireRunning('session.claim'));
    const { settings, wakeups } = this.#owner;
    const { clock, pollMs } = settings;
    const until = clock.monotonic() + request.waitMs;
    // Listens before it looks, so that what arrives in between wakes it (T8).
    const listener = wakeups.listen(request.queues);
    try {
      for (let contended = 0; ; ) {
        if (this.lost.aborted) throw this.lost.reason;
        if (this.#ending !== undefined || request.signal?.aborted === true) return [];
        const deliveries = await track(this.#claims, this.#taken.take(request, contended > 0));
        if (this.lost.aborted) throw this.lost.reason;
        // Ending gives back what came in the meantime.
        if (this.#ending !== undefined) return [];
        if (deliveries.length > 0) return deliveries;
        const left = until - clock.monotonic();
        if (left <= 0 && (request.names.length === 1 || contended >= 3)) return [];
        const { alive, inMs = pollMs } = await findNextDue(this.#claimant, request);
        if (!alive) this.#heartbeat.declareLost('the broker has ended it');
        contended = inMs === 0 ? contended + 1 : 0;
        if (left <= 0 && contended === 0) return [];
        const contendedSleepMs = Math.min(contendedMs * contended, pollMs);
        await listener.sleep(inMs === 0 ? contendedSleepMs : Math.min(left, pollMs, inMs), request.signal);
      }
    } finally {
      listener.close();
    }
  }

  readonly claimTasks = async (ids: readonly string[]): Promise<ClaimVerdict[]> => {
    checkClaimIds(ids, this.#requireRunning('session.claimTasks'));
    if (this.lost.aborted) throw this.lost.reason;
    const verdicts = await track(this.#claims, this.#taken.takeThese(ids));
    if (verdicts === 'lost') this.#heartbeat.declareLost('the broker has ended it');
    if (this.lost.aborted) throw this.lost.reason;
    // Ending gives back what came in the meantime.
    this.#requireRunning('session.claimTasks');
    return verdicts as ClaimVerdict[];
  };

  async report(reports: readonly TaskReport[]): Promise<SettleOutcome[]> {
    for (const report of reports) checkReport(report);
    if (this.#isOver()) return reports.map(() => 'stale');
    return reportTasks(this.#holder, reports);
  }

  async settle(operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
    for (const operation of operations) checkSettle(operation);
    // A holder that has stopped trusting its session stops writing, even where the server would still let it.
    if (this.#isOver()) return operations.map(() => 'stale');
    const outcomes = await settleTasks(this.#holder, operations);
    this.#forget(operations, outcomes);
    return outcomes;
  }

  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
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
    const waiting = new Set<string>();
    for (const [index, { type, lease }] of operations.entries()) {
      const held = this.#taken.held.get(lease.taskId);
      if (outcomes[index] === 'unknown' || held?.fence !== lease.fence) continue;
      this.#taken.held.delete(lease.taskId);
      if (outcomes[index] !== 'applied') continue;
      settled.push(lease.taskId);
      if (type === 'retry' || type === 'release' || type === 'snooze') waiting.add(held.queue);
    }
    if (settled.length > 0) this.#owner.onSettled(settled);
    this.#tellOfWork(waiting);
  }

  #tellOfWork(queues: ReadonlySet<string>): void {
    const { wakeups, notifier } = this.#owner;
    for (const queue of queues) wakeups.wake(queue);
    notifier.announce(queues);
  }

  async #beat(): Promise<'alive' | 'lost'> {
    const { database, statements } = this.#owner;
    const call: CallOptions = { op: 'session.beat', harmless: true, timeoutMs: Math.ceil(this.#options.ttlMs / 3) };
    const rows = await database.query(statements.beatSession, [this.id], call);
    const [alive, held, requests] = rows[0] ?? [];
    if (alive !== true) return 'lost';
    for (const [taskId, fence, request] of JSON.parse(String(requests)) as [string, number, StopRequest][]) {
      this.#tell(taskId, fence, request);
    }
    this.#watchStrays(Number(held));
    void this.#giveBackStrays();
    return 'alive';
  }

  #tell(taskId: string, fence: number, request: StopRequest): void {
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

  /** Nobody may ask for it again, so what was found after its answer was lost goes back, uncharged. */
  async #giveBackStrays(): Promise<void> {
    try {
      const strays = await this.#taken.takeStrays();
      if (strays.length === 0) return;
      const outcomes = await this.settle(strays.map(({ lease }) => ({ type: 'release', lease })));
      this.#taken.keepStrays(strays.filter((_stray, index) => outcomes[index] === 'unknown'));
    } catch {
      // The next beat tries again.
    }
  }

  /**
   * A claim may be carried out after it was given up here: its tasks would be held for ever by a session that does
   * not know them. Whatever is older than any call may last, and unknown, is given back.
   */
  #watchStrays(held: number): void {
    const { database, statements, settings } = this.#owner;
    // Once may be a claim whose answer is on its way.
    this.#unknownHeldBeats = held > this.#taken.held.size ? this.#unknownHeldBeats + 1 : 0;
    if (this.#unknownHeldBeats < 2) return;
    this.#unknownHeldBeats = 0;
    const values = [this.id, textArray([...this.#taken.held.keys()]), settings.operationTimeoutMs * 2];
    database.query(statements.releaseHeld, values, { op: 'session.beat' }).then(
      (rows) => this.#tellOfWork(new Set(rows.map(([queue]) => String(queue)))),
      // The next beats see the same again.
      () => {},
    );
  }

  async #end(): Promise<void> {
    const { database, statements, wakeups, onEnd } = this.#owner;
    const wasLost = this.lost.aborted;
    this.#heartbeat.stop();
    wakeups.wake();
    await Promise.allSettled([...this.#claims]);
    try {
      // What a lost session held is maintenance's to take back, and counts as an attempt.
      if (wasLost) return;
      const call: CallOptions = { op: 'session.end', harmless: true };
      await database.query(statements.endSession, [this.id], call);
      const rows = await database.query(statements.releaseHeld, [this.id, '{}', 0], call);
      this.#tellOfWork(new Set(rows.map(([queue]) => String(queue))));
      await database.query(statements.deleteSession, [this.id], call);
    } catch {
      // Not reachable: the session runs out by itself, and maintenance takes its tasks back.
    } finally {
      this.#taken.held.clear();
      onEnd(this);
    }
  }

  #requireRunning(op: string): Capabilities {
    const capabilities = this.#owner.requireOpen(op);
    if (this.#ending === undefined) return capabilities;
    throw new ClosedError(`${op}: this session has ended`, {
      op,
      adapter: this.#owner.database.adapter,
      reason: 'closed',
    });
  }
}
