import type {
  ClaimRequest,
  ClaimVerdict,
  Delivery,
  Lease,
  Payload,
  Session,
  SessionSignal,
  SettleOp,
  SettleOutcome,
  TaskFailure,
  TaskReport,
} from '@millrace/core';
import { buildFailure, usual } from './builders.ts';
import type { Client } from './client.ts';
import type { ScenarioContext } from './scenario-context.ts';

/** What a claim of a scenario may say; the rest is usual. */
export type ClaimOptions = Partial<Omit<ClaimRequest, 'signal'>> & { readonly signal?: AbortSignal };

/** The same of claims that go on until there are enough. */
type ClaimManyOptions = ClaimOptions & { readonly withinMs?: number };

/** A lease, or a delivery that has one. */
export type Leased = Lease | Delivery;

function leaseOf(leased: Leased): Lease {
  return 'lease' in leased ? leased.lease : leased;
}

/** A session with the words scenarios need. Each call is bounded by the budget. */
export class Holder {
  readonly client: Client;
  readonly session: Session;
  readonly ttlMs: number;
  /** What the broker asked its tasks to do, in order. */
  readonly signals: readonly SessionSignal[];
  readonly #context: ScenarioContext;

  constructor(
    context: ScenarioContext,
    client: Client,
    session: Session,
    ttlMs: number,
    signals: readonly SessionSignal[],
  ) {
    this.#context = context;
    this.client = client;
    this.session = session;
    this.ttlMs = ttlMs;
    this.signals = signals;
  }

  /** Asks once unless `waitMs` says otherwise. */
  claim(options: ClaimOptions = {}): Promise<Delivery[]> {
    return this.#context.underway(this.#claim(options));
  }

  async #claim(options: ClaimOptions): Promise<Delivery[]> {
    const request = { queues: [usual.queue], names: [usual.name], limit: 1, waitMs: 0, ...options };
    const deliveries = await this.#context.soon(
      this.session.claim(request),
      'the answer to a claim',
      request.waitMs + this.#context.budgetMs,
    );
    this.#context.require(
      deliveries.length <= request.limit,
      `a claim of ${request.limit} returned ${deliveries.length} deliveries`,
    );
    return deliveries;
  }

  /** The next task, which must come within the budget. */
  async claimOne(options: ClaimOptions = {}): Promise<Delivery> {
    const [delivery] = await this.claimMany(1, options);
    return delivery as Delivery;
  }

  /** Claims these tasks. Needs `claimById`. */
  async claimTasks(ids: readonly string[]): Promise<ClaimVerdict[]> {
    const { session } = this;
    this.#context.require(session.claimTasks !== undefined, 'the session has no claimTasks, although it is claimed');
    const asked = session.claimTasks?.(ids) ?? Promise.resolve([]);
    const verdicts = await this.#context.soon(asked, 'the answer to a claim by id');
    this.#context.require(
      verdicts.length === ids.length,
      `a claim of ${ids.length} ids was answered by ${verdicts.length} verdicts`,
    );
    return verdicts;
  }

  async claimTask(id: string): Promise<ClaimVerdict> {
    const [verdict] = await this.claimTasks([id]);
    return verdict as ClaimVerdict;
  }

  /** This task, which must be there to be claimed. */
  async claimById(id: string): Promise<Delivery> {
    const verdict = await this.claimTask(id);
    if (verdict.status === 'claimed') return verdict.delivery;
    this.#context.require(false, `a task that can be claimed by its id is said to be ${verdict.status}`);
    throw new TypeError('unreachable');
  }

  /** So many tasks, in the order they came. */
  async claimMany(count: number, options: ClaimManyOptions = {}): Promise<Delivery[]> {
    const { withinMs = this.#context.budgetMs, ...claim } = options;
    const deliveries: Delivery[] = [];
    const end = this.#context.now() + withinMs;
    const { maxClaim } = this.#context.capabilities.batch;
    while (deliveries.length < count) {
      const left = Math.min(count - deliveries.length, maxClaim);
      const waitMs = Math.max(0, Math.round(end - this.#context.now()));
      const more = await this.claim({ waitMs, ...claim, limit: Math.min(left, claim.limit ?? left) });
      this.#context.require(
        more.length > 0 || waitMs > 0,
        `${deliveries.length} of ${count} tasks were delivered within ${Math.round(withinMs)} ms`,
      );
      deliveries.push(...more);
    }
    return deliveries;
  }

  /** So many tasks, one claim each: the order of the broker, not the order inside of a batch. */
  async claimInTurn(count: number, options: ClaimOptions = {}): Promise<Delivery[]> {
    const deliveries: Delivery[] = [];
    while (deliveries.length < count) deliveries.push(await this.claimOne(options));
    return deliveries;
  }

  /** So many tasks that a dead session held, once the broker has taken them back. */
  async claimRecovered(count = 1, options: ClaimOptions = {}): Promise<Delivery[]> {
    const deliveries: Delivery[] = [];
    if (count <= 0) return deliveries;
    const { sweepMs } = this.#context.capabilities.session;
    await this.#context.eventually(
      async () => {
        await this.client.broker.maintain({ maxTasks: 1_000 });
        const limit = Math.min(count - deliveries.length, this.#context.capabilities.batch.maxClaim);
        deliveries.push(...(await this.claim({ limit, ...options })));
        return deliveries.length >= count;
      },
      `the recovery of ${count} tasks`,
      sweepMs + this.#context.budgetMs,
    );
    return deliveries;
  }

  /**
   * Shows that nothing else is there, without waiting: a task enqueued now, behind everything, is what comes.
   * Counts as an assertion.
   */
  async claimsNothing(options: ClaimOptions = {}): Promise<void> {
    await this.#context.claimsOnlySentinel(this, options);
  }

  async settle(operation: SettleOp): Promise<SettleOutcome> {
    const [outcome] = await this.settleAll([operation]);
    return outcome as SettleOutcome;
  }

  async settleAll(operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
    const outcomes = await this.#context.soon(this.session.settle(operations), 'the answer to a settle');
    this.#context.require(
      outcomes.length === operations.length,
      `${operations.length} settles were answered by ${outcomes.length} outcomes`,
    );
    return outcomes;
  }

  complete(leased: Leased, output?: Payload): Promise<SettleOutcome> {
    const operation = { type: 'complete', lease: leaseOf(leased) } as const;
    return this.settle(output === undefined ? operation : { ...operation, output });
  }

  retry(leased: Leased, delayMs = 0, failure: TaskFailure = buildFailure()): Promise<SettleOutcome> {
    return this.settle({ type: 'retry', lease: leaseOf(leased), delayMs, failure });
  }

  fail(leased: Leased, failure: TaskFailure = buildFailure()): Promise<SettleOutcome> {
    return this.settle({ type: 'fail', lease: leaseOf(leased), failure });
  }

  release(leased: Leased): Promise<SettleOutcome> {
    return this.settle({ type: 'release', lease: leaseOf(leased) });
  }

  snooze(leased: Leased, delayMs: number): Promise<SettleOutcome> {
    return this.settle({ type: 'snooze', lease: leaseOf(leased), delayMs });
  }

  async report(leased: Leased, update: Omit<TaskReport, 'lease'>): Promise<SettleOutcome> {
    const reports = [{ lease: leaseOf(leased), ...update }];
    const outcomes = await this.#context.soon(this.session.report(reports), 'the answer to a report');
    this.#context.require(outcomes.length === 1, `1 report was answered by ${outcomes.length} outcomes`);
    return outcomes[0] as SettleOutcome;
  }

  /** What the broker asks of its tasks, or of this one: by heartbeat at the latest. */
  hear(taskId?: string): Promise<SessionSignal> {
    const { lost } = this.session;
    return this.#context.eventually(
      () => {
        this.#context.require(!lost.aborted, `no signal came, because the session was lost: ${lost.reason}`);
        return this.signals.find((signal) => taskId === undefined || signal.taskId === taskId);
      },
      'the signal to the holder',
      this.ttlMs + this.#context.budgetMs,
    );
  }

  /** Stops its client's heartbeat for good, as a dead or frozen process does. */
  freeze(): void {
    this.client.freeze();
  }

  /** Freezes and lets the time to live pass. Until somebody sweeps, the broker may or may not have noticed. */
  async fallSilent(): Promise<void> {
    this.freeze();
    // A heartbeat that had left already reaches the backend a moment later, and the time begins again there.
    const underWayMs = this.#context.tempo.kind === 'virtual' ? 0 : this.#context.unitMs;
    await this.#context.advance(this.ttlMs + this.#context.capabilities.timePrecisionMs + underWayMs);
  }
}
