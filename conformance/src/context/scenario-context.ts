import assert from 'node:assert/strict';
import type {
  Broker,
  Capabilities,
  EnqueueOutcome,
  MaintenanceReport,
  NewTask,
  SessionSignal,
  TaskRecord,
  TaskReport,
  TaskState,
  TaskStore,
} from '@millrace/core';
import { priorityRange } from '@millrace/core';
import type { BrokerHarness, Hooks } from '../harness.ts';
import type { CheckOptions } from '../history/check-options.ts';
import { checkHistory, type HistoryReport } from '../history/checker.ts';
import type { HistoryEvent } from '../history/event.ts';
import { renderReport } from '../history/render-text.ts';
import { buildTask, buildTasks, usual } from './builders.ts';
import { Checks, shown } from './checks.ts';
import { Client } from './client.ts';
import { type ClaimOptions, Holder } from './holder.ts';
import { Tempo } from './tempo.ts';

/** What the suite knows about a broker before it runs scenarios. */
export interface Circumstances {
  readonly harness: BrokerHarness;
  readonly capabilities: Capabilities;
  /** What waits are made of: half again what twenty times enqueue → claim took here when it was slow, at least 50 ms. */
  readonly unitMs: number;
  /** How long anything may take that must happen: 800 times the 99th percentile of enqueue → claim, at least 2 s. */
  readonly budgetMs: number;
  /** Five times its median, at least 20 ms: enough for most calls to be answered. Nothing may fail for its length. */
  readonly momentMs: number;
  /** What was measured for that. Absent where time is virtual. */
  readonly enqueueToClaimMs?: { readonly p50: number; readonly p99: number };
  /** Of scenarios that make up what they do: the same seed makes up the same. Default: another one each time. */
  readonly seed?: number;
}

/** What scenarios measure, in milliseconds. */
export type Measure =
  | 'enqueueToStartMs'
  | 'recoveryAfterSilenceMs'
  | 'recoveryAfterWorkerKillMs'
  | 'recoveryAfterServerRestartMs';

/** How a scenario opens a session. */
export interface HolderOptions {
  /** Default: so long that it does not end by itself. */
  readonly ttlMs?: number;
  /** A client of its own, which can be frozen without the others. Default: the scenario's. */
  readonly own?: boolean;
  readonly client?: Client;
  readonly instance?: string;
  /** When somebody else beat for it last, as `SessionOptions` has it. */
  readonly beatenAt?: () => number | undefined;
}

interface Cleanup {
  readonly run: () => Promise<void>;
  /** It works on the backend, which knows nothing of a virtual clock. */
  readonly outside: boolean;
}

/** What a clean-up may take beyond the usual. */
const cleanUpMs = 10_000;

/** Everything a scenario works with: a namespace of its own, clients, time, and assertions that count. */
export class ScenarioContext extends Checks {
  readonly harness: BrokerHarness;
  readonly capabilities: Capabilities;
  readonly namespace: string;
  readonly tempo: Tempo;
  /** The client scenarios use unless they need several. Open. */
  readonly client: Client;
  readonly #cleanups: Cleanup[] = [];
  /** The budget of a scenario that is not patient. */
  readonly plainBudgetMs: number;
  readonly #momentMs: number;
  readonly #histories: HistoryReport[] = [];
  readonly #measured = new Map<Measure, number[]>();
  readonly #givenSeed: number | undefined;
  #neighbours = 0;
  #seed: number | undefined;

  constructor(circumstances: Circumstances, namespace: string, patience: number) {
    super();
    this.harness = circumstances.harness;
    this.capabilities = circumstances.capabilities;
    this.namespace = namespace;
    this.plainBudgetMs = circumstances.budgetMs;
    this.#momentMs = circumstances.momentMs;
    this.#givenSeed = circumstances.seed;
    const { travel } = this.harness.hooks ?? {};
    const { push, pollMs } = this.capabilities.wakeup;
    this.tempo = new Tempo({
      virtual: this.harness.clock?.(namespace),
      travel: travel === undefined ? undefined : (ms) => travel(this.client.target, ms),
      unitMs: circumstances.unitMs,
      budgetMs: patience * circumstances.budgetMs + (push ? 0 : 2 * pollMs),
    });
    this.#deferOutside(() => this.harness.drop(this.client.target));
    this.client = this.connect();
  }

  /** What was measured on the way, for reports. No verdict rests on it. */
  get measured(): ReadonlyMap<Measure, readonly number[]> {
    return this.#measured;
  }

  /** What recorded histories showed. */
  get histories(): readonly HistoryReport[] {
    return this.#histories;
  }

  /** What this scenario makes things up from. A failure names it, so that it can be repeated. */
  get seed(): number {
    this.#seed ??= this.#givenSeed ?? Math.floor(Math.random() * 2 ** 32);
    return this.#seed;
  }

  /** The line that repeats this scenario, if it made anything up. */
  get replay(): string | undefined {
    return this.#seed === undefined ? undefined : `seed=${this.#seed}`;
  }

  /** Notes how long something took. */
  measure(what: Measure, ms: number): void {
    const known = this.#measured.get(what) ?? [];
    known.push(ms);
    this.#measured.set(what, known);
  }

  /**
   * Judges what a recorder wrote down: no invariant may be refuted, but for those `except` names: they are reported,
   * and fail nothing. Counts as an assertion.
   */
  judge(
    events: readonly HistoryEvent[],
    { except = [], ...options }: Omit<CheckOptions, 'capabilities'> & { readonly except?: readonly string[] } = {},
  ): HistoryReport {
    const report = checkHistory(events, { capabilities: this.capabilities, ...options });
    this.#histories.push(report);
    const failed = report.verdicts
      .filter((verdict) => verdict.status === 'fail' && !except.includes(verdict.id))
      .map((verdict) => verdict.id);
    this.ok(failed.length === 0, `the history refutes ${failed.join(', ')}\n${renderReport(report)}`);
    return report;
  }

  get broker(): Broker<unknown> {
    return this.client.broker;
  }

  get budgetMs(): number {
    return this.tempo.budgetMs;
  }

  get unitMs(): number {
    return this.tempo.unitMs;
  }

  /** The shortest time to live that a session of a scenario about expiry should have. */
  get shortTtlMs(): number {
    return Math.max(this.capabilities.session.minTtlMs, Math.round(6 * this.unitMs));
  }

  /** The time to live of sessions that must hear of something by heartbeat: a busy machine does not lose them. */
  get heardTtlMs(): number {
    return Math.min(
      this.capabilities.session.maxTtlMs,
      Math.max(Math.round(20 * this.unitMs), 2 * this.shortTtlMs, 5_000),
    );
  }

  get hooks(): Hooks {
    return this.harness.hooks ?? {};
  }

  /** The task store. Scenarios that use it say so in `needs`. */
  get tasks(): TaskStore {
    const { tasks } = this.broker;
    if (tasks === undefined) assert.fail('the broker has no task store, although it claims operations of one');
    return tasks;
  }

  now(): number {
    return this.tempo.now();
  }

  advance(ms: number): Promise<void> {
    return this.tempo.advance(ms);
  }

  /** Waits, while everything else goes on. */
  pause(ms: number): Promise<void> {
    return this.tempo.pause(ms);
  }

  /** Lets what was begun get on its way: a claim go to sleep, a worker become idle. No verdict rests on it. */
  moment(): Promise<void> {
    return this.tempo.pause(this.#momentMs);
  }

  soon<T>(work: PromiseLike<T>, what: string, ms?: number): Promise<T> {
    return this.underway(this.tempo.soon(work, what, ms));
  }

  /**
   * A call that goes on while the scenario does something else. When the scenario fails before it looks at it again,
   * its rejection must not end the whole run.
   */
  underway<T>(call: Promise<T>): Promise<T> {
    call.catch(() => {});
    return call;
  }

  eventually<T>(
    probe: () => Promise<T | undefined | false> | T | undefined | false,
    what: string,
    ms?: number,
  ): Promise<T> {
    return this.tempo.eventually(probe, what, ms);
  }

  /** Runs at the end, whatever happens, last one first. */
  defer(cleanup: () => Promise<void>): void {
    this.#cleanups.push({ run: cleanup, outside: false });
  }

  #deferOutside(cleanup: () => Promise<void>): void {
    this.#cleanups.push({ run: cleanup, outside: true });
  }

  /** Runs what was deferred. Returns what went wrong, which must not hide why the scenario failed. */
  async cleanUp(): Promise<unknown[]> {
    const problems: unknown[] = [];
    for (const { run, outside } of this.#cleanups.reverse()) {
      const ms = cleanUpMs + this.budgetMs;
      try {
        await (outside ? this.tempo.soonOutside(run(), 'the clean-up', ms) : this.soon(run(), 'the clean-up', ms));
      } catch (error) {
        problems.push(error);
      }
    }
    this.#cleanups.length = 0;
    return problems;
  }

  /** A condition the scenario rests on. Fails it, but is not what the scenario asserts. */
  require(value: boolean, what: string): void {
    if (!value) assert.fail(what);
  }

  /** A client of this namespace, not yet opened; closed at the end. Its wall clock may be off. */
  connect(namespace: string = this.namespace, skewMs = 0): Client {
    const client = new Client(this.harness, { url: this.harness.url ?? '', namespace }, this.tempo.clock, skewMs);
    this.defer(() => client.close());
    return client;
  }

  /** An opened client of this namespace. */
  async open(namespace?: string): Promise<Client> {
    const client = this.connect(namespace);
    await this.soon(client.broker.open(), 'the opening of a client');
    return client;
  }

  /** A second namespace, dropped at the end. */
  neighbourNamespace(): string {
    this.#neighbours += 1;
    const namespace = `${this.namespace}_${this.#neighbours}`;
    this.#deferOutside(() => this.harness.drop({ ...this.client.target, namespace }));
    return namespace;
  }

  async holder(options: HolderOptions = {}): Promise<Holder> {
    const client = options.client ?? (options.own === true ? await this.open() : this.client);
    const { minTtlMs, maxTtlMs } = this.capabilities.session;
    const ttlMs = options.ttlMs ?? Math.min(maxTtlMs, Math.max(minTtlMs, 60_000));
    const signals: SessionSignal[] = [];
    const instance = options.instance ?? 'scenario';
    const session = await this.soon(
      client.broker.openSession({
        instance,
        host: 'localhost',
        ttlMs,
        onSignal: (signal) => signals.push(signal),
        ...(options.beatenAt !== undefined && { beatenAt: options.beatenAt }),
      }),
      'the opening of a session',
    );
    return new Holder(this, client, session, ttlMs, signals);
  }

  /** A session of a client of its own, with a short time to live: made to be frozen. */
  mortal(): Promise<Holder> {
    return this.holder({ own: true, ttlMs: this.shortTtlMs, instance: 'mortal' });
  }

  task(changes?: Partial<NewTask>): NewTask {
    return buildTask(changes);
  }

  /** One task, which must be accepted. */
  async enqueue(changes?: Partial<NewTask>): Promise<NewTask> {
    const task = buildTask(changes);
    await this.enqueueAll([task]);
    return task;
  }

  /** So many tasks, which must be accepted. */
  async enqueueMany(count: number, changes?: (index: number) => Partial<NewTask>): Promise<NewTask[]> {
    const tasks = buildTasks(count, changes);
    await this.enqueueAll(tasks);
    return tasks;
  }

  /** In as few calls as the broker's limit allows; all must be accepted. */
  async enqueueAll(tasks: readonly NewTask[], broker: Broker<unknown> = this.broker): Promise<void> {
    const { maxEnqueue } = this.capabilities.batch;
    const outcomes: EnqueueOutcome[] = [];
    for (let start = 0; start < tasks.length; start += maxEnqueue) {
      const batch = tasks.slice(start, start + maxEnqueue);
      outcomes.push(...(await this.soon(broker.enqueue(batch), 'the answer to an enqueue')));
    }
    for (const outcome of outcomes) this.require(outcome.status === 'accepted', `an enqueue was ${shown(outcome)}`);
    this.require(
      outcomes.length === tasks.length,
      `${tasks.length} tasks were answered by ${outcomes.length} outcomes`,
    );
  }

  /** The outcome of enqueueing one task, whatever it is. */
  async tryEnqueue(task: NewTask, broker: Broker<unknown> = this.broker): Promise<EnqueueOutcome> {
    const [outcome] = await this.soon(broker.enqueue([task]), 'the answer to an enqueue');
    if (outcome === undefined) assert.fail('an enqueue of one task had no outcome');
    return outcome;
  }

  maintain(broker: Broker<unknown> = this.broker): Promise<MaintenanceReport> {
    return this.soon(broker.maintain({ maxTasks: 1_000 }), 'the answer to maintain');
  }

  /** An update of a running task with everything the broker keeps of one, which may be nothing. */
  reportable(value = '1'): Omit<TaskReport, 'lease'> {
    const { progress, checkpoint, log } = this.capabilities.reports;
    return {
      ...(progress && { progress: value }),
      ...(checkpoint && { checkpoint: value }),
      ...(log && { log: [{ level: 'info', message: value, at: 1_700_000_000_000 } as const] }),
    };
  }

  /** The stored task. Needs `tasks.get`. */
  async find(id: string): Promise<TaskRecord | undefined> {
    const [record] = await this.soon(this.tasks.get([id]), 'the answer to get');
    return record;
  }

  async record(id: string): Promise<TaskRecord> {
    const record = await this.find(id);
    if (record === undefined) assert.fail(`task ${id} is not there`);
    return record;
  }

  /** Asserts the state where the broker lets one look; where not, it is up to the deliveries to show it. */
  async inState(id: string, state: TaskState, what: string): Promise<void> {
    if (this.capabilities.tasks.get) this.equal((await this.find(id))?.state, state, what);
  }

  /** @see Holder.claimsNothing */
  async claimsOnlySentinel(holder: Holder, options: ClaimOptions): Promise<void> {
    const limit = Math.min(10, this.capabilities.batch.maxClaim);
    const { queues: [queue = usual.queue] = [], names: [name = usual.name] = [] } = options;
    const sentinel = buildTask({ queue, name, priority: priorityRange.lowest });
    await this.enqueueAll([sentinel]);
    const ids: string[] = [];
    while (!ids.includes(sentinel.id)) {
      const batch = await holder.claim({ ...options, limit, waitMs: Math.round(this.budgetMs) });
      this.require(batch.length > 0, 'the sentinel was not delivered');
      ids.push(...batch.map((delivery) => delivery.lease.taskId));
      await holder.settleAll(
        batch.filter((d) => d.lease.taskId === sentinel.id).map((d) => ({ type: 'complete', lease: d.lease })),
      );
    }
    ids.push(...(await holder.claim({ ...options, limit })).map((delivery) => delivery.lease.taskId));
    this.equal(
      ids.filter((id) => id !== sentinel.id),
      [],
      'tasks delivered beside the sentinel',
    );
  }
}
