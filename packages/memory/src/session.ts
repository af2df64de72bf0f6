import { randomUUID } from 'node:crypto';
import {
  type Capabilities,
  type ClaimRequest,
  type ClaimVerdict,
  type Clock,
  ClosedError,
  type Delivery,
  type Session,
  type SessionOptions,
  type SettleOp,
  type SettleOutcome,
  type TaskReport,
} from '@millrace/core';
import { checkClaimIds, checkClaimRequest, type Heartbeat, startHeartbeat } from '@millrace/core/adapter';
import { claimById, claimTasks, msUntilNextDue } from './claim.ts';
import { endRun } from './end-run.ts';
import { checkSettle, reportTask, settleTask } from './settle.ts';
import type { StoreState } from './store.ts';
import type { StoredSession } from './stored-session.ts';

/** What a session needs of the broker it belongs to. */
export interface SessionOwner {
  readonly store: StoreState;
  /** The client's own clock, for its heartbeats. */
  readonly clock: Clock;
  readonly requireOpen: (op: string) => Capabilities;
  readonly onEnd: (session: MemorySession) => void;
}

/** The client's end of a session. Its counterpart in the store lives on until it ends or falls silent. */
export class MemorySession implements Session {
  readonly id: string = randomUUID();
  readonly lost: AbortSignal;
  readonly #owner: SessionOwner;
  readonly #store: StoreState;
  readonly #heartbeat: Heartbeat;
  #ended = false;

  constructor(owner: SessionOwner, options: SessionOptions) {
    this.#owner = owner;
    this.#store = owner.store;
    this.#store.sessions.set(this.id, this.#present(options));
    this.#heartbeat = startHeartbeat({
      clock: owner.clock,
      adapter: 'memory',
      ttlMs: options.ttlMs,
      beat: async () => this.#beat(),
    });
    this.lost = this.#heartbeat.lost;
    // A claim that sleeps has to notice.
    this.lost.addEventListener('abort', () => this.#store.wakeups.wake(), { once: true });
  }

  async claim(request: ClaimRequest): Promise<Delivery[]> {
    checkClaimRequest(request, this.#requireRunning('session.claim'));
    const { clock, wakeups } = this.#store;
    const until = clock.monotonic() + request.waitMs;
    // Listens before it looks, so that what arrives in between wakes it (T8).
    const listener = wakeups.listen(request.queues);
    try {
      for (;;) {
        if (this.lost.aborted) throw this.lost.reason;
        if (this.#ended || request.signal?.aborted === true) return [];
        const deliveries = claimTasks(this.#store, this.#requirePresence(), request);
        const left = until - clock.monotonic();
        if (deliveries.length > 0 || left <= 0) return deliveries;
        await listener.sleep(Math.min(left, msUntilNextDue(this.#store, request)), request.signal);
      }
    } finally {
      listener.close();
    }
  }

  readonly claimTasks = async (ids: readonly string[]): Promise<ClaimVerdict[]> => {
    checkClaimIds(ids, this.#requireRunning('session.claimTasks'));
    if (this.lost.aborted) throw this.lost.reason;
    const presence = this.#requirePresence();
    return ids.map((id) => claimById(this.#store, presence, id));
  };

  async report(reports: readonly TaskReport[]): Promise<SettleOutcome[]> {
    return reports.map((report) => (this.lost.aborted ? 'stale' : reportTask(this.#store, this.id, report)));
  }

  async settle(operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
    for (const operation of operations) checkSettle(operation);
    return operations.map((operation) =>
      // A holder that has stopped trusting its session stops writing, even where the store would still let it.
      this.lost.aborted ? 'stale' : settleTask(this.#store, this.id, operation),
    );
  }

  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#heartbeat.stop();
    const presence = this.#store.sessions.get(this.id);
    // What a lost session held is maintenance's to take back, and counts as an attempt.
    if (presence !== undefined && !this.lost.aborted) {
      for (const task of [...presence.held]) endRun(this.#store, task, { operation: 'release' });
      this.#store.sessions.delete(this.id);
    }
    this.#store.wakeups.wake();
    this.#owner.onEnd(this);
  }

  #present(options: SessionOptions): StoredSession {
    return {
      id: this.id,
      instance: options.instance,
      worker: `${options.instance}@${options.host}`,
      ttlMs: options.ttlMs,
      silentUntil: this.#store.clock.monotonic() + options.ttlMs,
      held: new Set(),
      // As a message would: the caller who asked for the stop does not run the holder's code.
      tell: (signal) =>
        queueMicrotask(() => {
          if (this.#ended || this.lost.aborted) return;
          try {
            options.onSignal(signal);
          } catch {
            // A holder that cannot listen still finds out when it settles; it must not take the process down.
          }
        }),
    };
  }

  #beat(): 'alive' | 'lost' {
    const presence = this.#store.sessions.get(this.id);
    const now = this.#store.clock.monotonic();
    if (presence === undefined || presence.silentUntil <= now) return 'lost';
    presence.silentUntil = now + presence.ttlMs;
    return 'alive';
  }

  #requireRunning(op: string): Capabilities {
    const capabilities = this.#owner.requireOpen(op);
    if (!this.#ended) return capabilities;
    throw new ClosedError(`${op}: this session has ended`, { op, adapter: 'memory', reason: 'closed' });
  }

  /** The store gives nothing to a session it has given up, whatever the client still believes. */
  #requirePresence(): StoredSession {
    const presence = this.#store.sessions.get(this.id);
    if (presence !== undefined && presence.silentUntil > this.#store.clock.monotonic()) return presence;
    this.#heartbeat.declareLost('the broker has ended it');
    throw this.lost.reason;
  }
}
