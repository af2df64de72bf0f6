import { setMaxListeners } from 'node:events';
import type {
  Broker,
  BrokerEnqueueOptions,
  BrokerHealth,
  EnqueueOutcome,
  MaintenanceReport,
  QueueStore,
} from '../src/broker/broker.ts';
import type { Capabilities } from '../src/broker/capabilities.ts';
import type {
  ClaimRequest,
  Delivery,
  Session,
  SessionOptions,
  SettleOp,
  SettleOutcome,
  TaskReport,
} from '../src/broker/session.ts';
import type { TaskStore } from '../src/broker/task-store.ts';
import { LeaseLostError } from '../src/errors.ts';
import type { NewTask } from '../src/task.ts';

/** A broker that can do everything, within narrow limits. */
export const everything: Capabilities = {
  profile: 'full',
  durability: 'none',
  clock: 'process',
  timePrecisionMs: 1,
  delay: { maxMs: 1_000_000_000, granularityMs: 1 },
  priority: { levels: 10, strict: true },
  order: 'fifo',
  settle: { confirmedBy: 'memory', retryAtomic: true },
  session: { minTtlMs: 100, maxTtlMs: 86_400_000, sweepMs: 1_000 },
  batch: { maxEnqueue: 1_000, maxClaim: 100, enqueueAtomic: true },
  idempotentIds: true,
  claimByName: true,
  claimById: false,
  unique: { until: ['started', 'settled'], replace: true },
  transactions: true,
  reports: { progress: true, checkpoint: true, log: true, begun: false },
  tasks: {
    get: true,
    list: true,
    count: true,
    cancel: ['waiting', 'running'],
    pause: ['waiting', 'running'],
    rerun: true,
    reschedule: true,
    update: true,
    remove: true,
    wait: true,
    events: true,
  },
  queues: { pause: 'global', counts: 'exact', purge: true },
  schedules: true,
  groups: true,
  wakeup: { push: true, pollMs: 1_000 },
  payload: { maxBytes: 1_000 },
  retention: { succeededMs: null, failedMs: null },
};

let deliveries = 0;

/** A claimed task for the session that asks for it. */
export function delivery(changes: Partial<Delivery> & { readonly attempt?: number } = {}): Delivery {
  const { attempt = 1, ...rest } = changes;
  const number = ++deliveries;
  return {
    lease: { taskId: `task-${number}`, attempt, fence: number, sessionId: 'scripted' },
    name: 'work',
    queue: 'default',
    headers: {},
    priority: 4,
    maxAttempts: 3,
    version: 1,
    createdAt: 0,
    runAt: 0,
    ...rest,
  };
}

/** A session that hands out what its broker was given, notes every call, and answers as it is told. */
export class ScriptedSession implements Session {
  readonly id = 'scripted';
  readonly options: SessionOptions | undefined;
  readonly claims: ClaimRequest[] = [];
  readonly settled: SettleOp[] = [];
  readonly settleBatches: (readonly SettleOp[])[] = [];
  readonly reported: TaskReport[] = [];
  ended = 0;
  onClaim: ((request: ClaimRequest) => Promise<Delivery[]>) | undefined;
  onSettle: ((operations: readonly SettleOp[]) => Promise<SettleOutcome[]>) | undefined;
  onReport: ((reports: readonly TaskReport[]) => Promise<SettleOutcome[]>) | undefined;
  onEnd: (() => Promise<void>) | undefined;
  readonly #work: Delivery[];
  readonly #claimed = new Map<number, Delivery>();
  readonly #lost = new AbortController();
  readonly #wake = new Set<() => void>();

  constructor(options?: SessionOptions, work: Delivery[] = []) {
    this.options = options;
    this.#work = work;
    setMaxListeners(0, this.lost);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  lose(why = 'scripted'): void {
    this.#lost.abort(new LeaseLostError(why));
  }

  /** Looks again for work in claims that wait. */
  wake(): void {
    for (const wake of [...this.#wake]) wake();
  }

  async claim(request: ClaimRequest): Promise<Delivery[]> {
    this.claims.push(request);
    if (this.onClaim !== undefined) return this.onClaim(request);
    for (;;) {
      if (this.lost.aborted) throw this.lost.reason;
      if (request.signal?.aborted === true) return [];
      const taken = this.#take(request);
      if (taken.length > 0 || request.waitMs === 0) return taken;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#wake.delete(done);
          request.signal?.removeEventListener('abort', done);
          this.lost.removeEventListener('abort', done);
          resolve();
        };
        this.#wake.add(done);
        request.signal?.addEventListener('abort', done);
        this.lost.addEventListener('abort', done);
      });
    }
  }

  #take(request: ClaimRequest): Delivery[] {
    const taken: Delivery[] = [];
    for (let index = 0; index < this.#work.length && taken.length < request.limit; ) {
      const next = this.#work[index]!;
      if (request.names.includes(next.name) && request.queues.includes(next.queue)) {
        taken.push(...this.#work.splice(index, 1));
      } else index++;
    }
    for (const one of taken) this.#claimed.set(one.lease.fence, one);
    return taken;
  }

  async report(reports: readonly TaskReport[]): Promise<SettleOutcome[]> {
    this.reported.push(...reports.map((report) => structuredClone(report)));
    return this.onReport === undefined ? reports.map(() => 'applied') : this.onReport(reports);
  }

  async settle(operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
    this.settleBatches.push([...operations]);
    this.settled.push(...operations);
    this.#takeBack(operations);
    return this.onSettle === undefined ? operations.map(() => 'applied') : this.onSettle(operations);
  }

  /** What was released is there for the next claim, with a new fence. */
  #takeBack(operations: readonly SettleOp[]): void {
    for (const { type, lease } of operations) {
      const claimed = this.#claimed.get(lease.fence);
      this.#claimed.delete(lease.fence);
      if (type !== 'release' || claimed === undefined) continue;
      this.#work.push({ ...claimed, lease: { ...lease, fence: ++deliveries } });
    }
    this.wake();
  }

  async end(): Promise<void> {
    this.ended++;
    await this.onEnd?.();
  }
}

/** A broker without a store: it hands out the work it is given, notes every call, and answers as it is told. */
export class ScriptedBroker implements Broker<unknown> {
  readonly kind = 'scripted';
  capabilities: Capabilities = everything;
  readonly batches: (readonly NewTask[])[] = [];
  readonly transactions: unknown[] = [];
  readonly sessions: ScriptedSession[] = [];
  readonly work: Delivery[] = [];
  opened = 0;
  closed = 0;
  maintained = 0;
  onOpen: (() => Promise<void>) | undefined;
  onEnqueue: ((tasks: readonly NewTask[]) => Promise<EnqueueOutcome[]>) | undefined;
  onOpenSession: ((session: ScriptedSession) => Promise<void>) | undefined;
  onMaintain: (() => Promise<MaintenanceReport>) | undefined;
  onClose: (() => Promise<void>) | undefined;
  tasks?: TaskStore;

  /** The session opened last. */
  get session(): ScriptedSession {
    return this.sessions.at(-1)!;
  }

  /** Everything enqueued, in order. */
  get enqueued(): NewTask[] {
    return this.batches.flat();
  }

  /** Gives work to whoever claims it. */
  push(...work: Delivery[]): void {
    this.work.push(...work);
    for (const session of this.sessions) session.wake();
  }

  async open(): Promise<Capabilities> {
    this.opened++;
    await this.onOpen?.();
    return this.capabilities;
  }

  async enqueue(tasks: readonly NewTask[], options: BrokerEnqueueOptions<unknown> = {}): Promise<EnqueueOutcome[]> {
    this.batches.push([...tasks]);
    if (options.transaction !== undefined) this.transactions.push(options.transaction);
    return this.onEnqueue === undefined ? tasks.map(() => ({ status: 'accepted' })) : this.onEnqueue(tasks);
  }

  async openSession(options: SessionOptions): Promise<ScriptedSession> {
    const session = new ScriptedSession(options, this.work);
    await this.onOpenSession?.(session);
    this.sessions.push(session);
    return session;
  }

  async maintain(): Promise<MaintenanceReport> {
    this.maintained++;
    return this.onMaintain?.() ?? { reclaimed: 0, expired: 0, pruned: 0, more: false };
  }

  readonly queues: QueueStore = {
    stats: async () => [],
    pause: async () => {},
    resume: async () => {},
    purge: async () => 0,
  };

  async health(): Promise<BrokerHealth> {
    return { state: 'ready' };
  }

  async close(): Promise<void> {
    this.closed++;
    await this.onClose?.();
  }
}
