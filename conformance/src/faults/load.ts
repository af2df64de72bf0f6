import type { NewTask, TaskContext } from '@millrace/core';
import { buildTask } from '../context/builders.ts';
import { shown } from '../context/checks.ts';
import type { Client } from '../context/client.ts';
import { type Hired, type HireOptions, hire, job, type Logged } from '../context/crew.ts';
import { Recording } from '../context/recording.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { endOfCall, recoveryMs } from './call-end.ts';

/** One run of a handler. */
export interface Run {
  readonly taskId: string;
  readonly attempt: number;
  readonly fence: number;
  readonly startedAt: number;
  returned: boolean;
  lost: boolean;
}

/** Workers that note what they run, and tasks that are enqueued through faults. */
export class Load {
  readonly runs: Run[] = [];
  readonly enqueued: NewTask[] = [];
  readonly #t: ScenarioContext;
  /** Enqueued once more although the first time may have been applied. */
  readonly #repeated = new Set<string>();
  readonly #logs: (readonly Logged[])[] = [];
  readonly #recording: Recording;

  constructor(t: ScenarioContext) {
    this.#t = t;
    this.#recording = new Recording(t);
  }

  /** How many tasks have run. There may be more runs: one whose end was lost with a link comes again. */
  get started(): number {
    return new Set(this.runs.map((run) => run.taskId)).size;
  }

  /** A worker whose handlers take a while. */
  async hire(client: Client, runMs: number, options: Omit<HireOptions, 'client'> = {}): Promise<Hired> {
    const { handler } = job(async (_input, context) => this.#run(context, runMs));
    // As often as the broker advises: it is another thing that reconnects.
    const maintenance = this.#t.capabilities.session.sweepMs;
    const broker = this.#recording.of(client);
    const middleware = [this.#recording.recorder.handlers(`worker ${this.#logs.length + 1}`)];
    const hired = await hire(this.#t, [handler], { client, broker, maintenance, middleware, ...options });
    this.#logs.push(hired.logged);
    return hired;
  }

  async #run(context: TaskContext, runMs: number): Promise<string> {
    const run: Run = {
      taskId: context.id,
      attempt: context.attempt,
      fence: context.fence,
      startedAt: this.#t.now(),
      returned: false,
      lost: false,
    };
    this.runs.push(run);
    context.signal.addEventListener('abort', () => {
      run.lost = (context.signal.reason as { code?: unknown }).code === 'LEASE_LOST';
    });
    if (runMs > 0) await this.#t.tempo.timer(runMs, context.signal);
    if (context.signal.aborted) throw context.signal.reason;
    run.returned = true;
    return 'done';
  }

  /** Enqueues one task, repeating it until it is accepted: outcomes that were lost are asked for again. */
  async enqueue(client: Client): Promise<void> {
    const task = buildTask({ maxAttempts: 20 });
    const end = this.#t.now() + 10 * recoveryMs(this.#t);
    for (;;) {
      const broker = this.#recording.of(client);
      const ended = await endOfCall(this.#t, () => broker.enqueue([task]), 'an enqueue under faults');
      if (ended.how === 'answered') break;
      if (ended.how === 'unknown') this.#repeated.add(task.id);
      this.#t.require(this.#t.now() < end, 'enqueues do not get through any more');
      await this.#t.tempo.pause(5 + Math.random() * 20);
    }
    this.enqueued.push(task);
  }

  /** Enqueues until told to stop, one after the other. */
  async produce(client: Client, stop: AbortSignal, pauseMs: number): Promise<void> {
    while (!stop.aborted) {
      await this.enqueue(client);
      await this.#t.tempo.timer(pauseMs, stop);
    }
  }

  /** Waits until every task has run, then checks that each ended once and that further runs have a reason. */
  async drain(ms: number): Promise<void> {
    const t = this.#t;
    const finished = (): Set<string> => new Set(this.runs.filter((run) => run.returned).map((run) => run.taskId));
    const missing = (): NewTask[] => {
      const done = finished();
      return this.enqueued.filter((task) => !done.has(task.id));
    };
    await t
      .eventually(() => missing().length === 0, `the runs of ${this.enqueued.length} tasks`, ms)
      .catch((error: Error) => {
        error.message += `; missing: ${missing()
          .map((task) => task.id)
          .slice(0, 5)} (${missing().length})`;
        throw error;
      });
    if (t.capabilities.tasks.get) await this.#restAsSucceeded(ms);
    await this.#explainRuns(ms);
    // Without idempotent ids there may be two tasks of one id, and a history cannot tell whose events are whose.
    const twofold = t.capabilities.idempotentIds ? new Set<string>() : this.#repeated;
    const ids = this.enqueued.map((task) => task.id);
    await this.#recording.judge(ids, { faulty: true, without: twofold });
  }

  /** Nothing is left to deliver, once the workers have stopped, but copies where a broker may hold some. */
  async leavesNothing(): Promise<void> {
    const t = this.#t;
    const holder = await t.holder();
    const { settle, idempotentIds, batch } = t.capabilities;
    if (!settle.retryAtomic || !idempotentIds) {
      const known = new Set(this.enqueued.map((task) => task.id));
      const request = { limit: Math.min(50, batch.maxClaim), waitMs: Math.round(t.unitMs) };
      for (let copies = await holder.claim(request); copies.length > 0; copies = await holder.claim(request)) {
        const strangers = copies.filter(({ lease }) => !known.has(lease.taskId));
        t.equal(strangers, [], 'what is left that is no copy of a task that ran');
        await holder.settleAll(copies.map(({ lease }) => ({ type: 'complete', lease })));
      }
    }
    await holder.claimsNothing();
  }

  async #restAsSucceeded(ms: number): Promise<void> {
    const t = this.#t;
    for (const { id } of this.enqueued) {
      const record = await t.eventually(
        async () => {
          const found = await t.record(id);
          return found.state === 'succeeded' ? found : undefined;
        },
        `the success of task ${id}`,
        ms,
      );
      const attempts = this.runs.filter((run) => run.taskId === id).map((run) => run.attempt);
      t.equal(record.attempt, Math.max(...attempts), 'the attempt in the record: that of the last run');
    }
  }

  /** H06–H08: fences grow, and a task that ran more often than once was lost in between, or says so. */
  async #explainRuns(ms: number): Promise<void> {
    const t = this.#t;
    for (const { id } of this.enqueued) {
      // Without idempotent ids there may be two of it, each with a history of its own.
      if (!t.capabilities.idempotentIds && this.#repeated.has(id)) continue;
      const runs = this.runs.filter((run) => run.taskId === id).sort((a, b) => a.startedAt - b.startedAt);
      const fences = runs.map((run) => run.fence);
      const different = [...new Set(fences)];
      // A broker that moves a task by sending a copy may leave both when it is cut in between: they share a fence.
      const mayFork = !t.capabilities.settle.retryAtomic;
      t.equal(
        mayFork ? different : fences,
        different.toSorted((a, b) => a - b),
        `the fences of ${id} in the order of its runs`,
      );
      const isCopy = ({ fence }: Run): boolean => mayFork && fences.indexOf(fence) !== fences.lastIndexOf(fence);
      const early = runs.slice(0, -1);
      const explained = (): boolean => early.every((run) => run.lost || isCopy(run) || this.#wasNotTaken(run));
      // A settle without an answer ends by its deadline, and only then says so: later than the next run, as may be.
      await t.eventually(explained, `why ${id} ran again`, ms).catch(() => {});
      t.ok(
        explained(),
        `each run of ${id} but the last lost its lease, or was told that its outcome was not taken; ${this.#story(id, runs)}`,
      );
    }
  }

  /** Everything known of a task's runs, for the message of a failure. */
  #story(id: string, runs: readonly Run[]): string {
    const lines = this.#logs.flatMap((logged) => logged.filter(({ fields }) => fields.taskId === id));
    const calls = this.#recording.callsAbout(id);
    return `runs ${shown(runs)}; logged ${shown(lines)}; calls ${shown(calls)}`;
  }

  /** The handler was done, and then the session was lost with the answer to its settle: the worker says so. */
  #wasNotTaken(run: Run): boolean {
    const tells = ({ fields }: Logged): boolean =>
      fields.taskId === run.taskId && fields.attempt === run.attempt && fields.outcome !== undefined;
    return this.#logs.some((logged) => logged.some(tells));
  }
}
