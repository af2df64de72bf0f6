import { randomUUID } from 'node:crypto';
import * as core from '@millrace/core';
import * as kit from '@millrace/core/adapter';
import { capabilities } from './capabilities.ts';
import { deliveryOf, type Row, type Store } from './store.ts';

/** What a broker shares with its sessions, which are in `sessions` until they end. */
export type Client = { store: Store; clock: core.Clock; wakeups: kit.Wakeups; sessions: Set<core.Session> };
type Leased = { readonly lease: core.Lease };

export function openSession({ store, clock, wakeups, sessions }: Client, options: core.SessionOptions): core.Session {
  const { instance, host, ttlMs } = options;
  const id = randomUUID();
  const isAlive = (): boolean => store.sessions.has(id) && presence.until > clock.monotonic() && !lost.aborted;
  const beat = async (): Promise<'alive' | 'lost'> => {
    if (isAlive()) presence.until = clock.monotonic() + ttlMs;
    return isAlive() ? 'alive' : 'lost';
  };
  const { lost, declareLost, stop } = kit.startHeartbeat({ clock, adapter: 'file', ttlMs, beat });
  const presence = { until: clock.monotonic() + ttlMs, lose: declareLost };

  async function claim(request: core.ClaimRequest): Promise<core.Delivery[]> {
    kit.checkClaimRequest(request, capabilities);
    const until = clock.monotonic() + request.waitMs;
    const listener = wakeups.listen(request.queues);
    try {
      for (;;) {
        if (!sessions.has(session))
          throw new core.ClosedError('the session has ended', { adapter: 'file', reason: 'closed' });
        const now = clock.now();
        const deliveries = store.step('session.claim', clock, () => take(request, now));
        lost.throwIfAborted();
        const left = until - clock.monotonic();
        if (deliveries.length > 0 || left <= 0 || request.signal?.aborted === true) return deliveries;
        const nextMs = store.find((row) => row.runAt > now).reduce((ms, row) => Math.min(ms, row.runAt - now), left);
        await listener.sleep(Math.min(nextMs, capabilities.wakeup.pollMs), request.signal);
      }
    } finally {
      listener.close();
    }
  }

  function take({ queues, names, limit, signal }: core.ClaimRequest, now: number): core.Delivery[] {
    // At the same moment: what this takes back is due now.
    store.maintain(clock, undefined, now);
    if (!isAlive() || signal?.aborted === true) return [];
    const due = store
      .find((row) => row.runAt <= now && core.transition(row.state, 'claim') !== undefined)
      .filter((row) => queues.includes(row.queue) && names.includes(row.name))
      .sort((a, b) => b.priority - a.priority || a.runAt - b.runAt);
    return due.slice(0, limit).map((row) => {
      const counted = { attempt: row.attempt + 1, fence: row.fence + 1, startedAt: now };
      return deliveryOf(store.save(row, { ...counted, state: 'running', session: id, worker: `${instance}@${host}` }));
    });
  }

  /** Changes the task of each lease, if it is the task's latest and this session's. */
  function fenced<T extends Leased>(op: string, items: readonly T[], change: (row: Row, item: T) => void) {
    const outcomeOf = (item: T): core.SettleOutcome => {
      const row = store.rows.get(item.lease.taskId);
      const isHeld = row?.session === id && item.lease.sessionId === id && row.fence === item.lease.fence;
      if (!isHeld || !isAlive()) return 'stale';
      change(row, item);
      return 'applied';
    };
    try {
      return store.step(op, clock, () => items.map(outcomeOf));
    } catch {
      return items.map((): core.SettleOutcome => 'unknown');
    }
  }

  function settle(row: Row, op: core.SettleOp): void {
    const operation = op.type === 'pause' ? 'settlePause' : op.type === 'cancel' ? 'settleCancel' : op.type;
    const attempt = ['release', 'snooze', 'pause'].includes(op.type) ? row.attempt - 1 : row.attempt;
    const runAt = 'delayMs' in op ? clock.now() + op.delayMs : row.runAt;
    const changes = { attempt, runAt, output: 'output' in op ? op.output : undefined };
    const to = core.transition('running', operation) as core.TaskState;
    store.move(row, to, clock.now(), changes, 'failure' in op ? op.failure : undefined);
  }

  const session: core.Session = {
    ...{ id, lost, claim },
    settle: async (operations) => fenced('session.settle', operations, settle),
    report: async (reports) =>
      fenced('session.report', reports, (row, { lease: _lease, log = [], ...fields }) => {
        store.save(row, { ...fields, log: [...row.log, ...structuredClone(log)].slice(-core.taskListLimits.log) });
      }),
    end: async () => {
      if (!sessions.delete(session)) return;
      const held = store.find((row) => row.session === id).map(deliveryOf);
      fenced('session.end', held, (row, { lease }) => settle(row, { type: 'release', lease }));
      stop();
      store.sessions.delete(id);
      wakeups.wake();
    },
  };
  // A claim that sleeps has to say that the session is lost.
  lost.addEventListener('abort', () => wakeups.wake());
  store.sessions.set(id, presence);
  sessions.add(session);
  return session;
}
