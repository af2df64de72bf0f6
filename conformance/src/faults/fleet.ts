import type { NewTask, TaskRecord } from '@millrace/core';
import { buildTask, buildTasks } from '../context/builders.ts';
import { shown } from '../context/checks.ts';
import { Recording } from '../context/recording.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { recoveryMs } from './call-end.ts';
import type { JournalEntry } from './worker-journal.ts';
import { longestStartMs, startWorkerProcess, type WorkerProcess, type WorkerProcessRequest } from './worker-process.ts';
import type { WorkerProcessOptions } from './worker-protocol.ts';
import type { Script } from './worker-script.ts';

/** How a worker of a fleet is started. */
export type EnlistOptions = WorkerProcessOptions &
  Partial<Pick<WorkerProcessRequest, 'url' | 'preload' | 'flags' | 'environment'>>;

/** A start or an end, in the order of time over all processes. */
export type RunEntry = Extract<JournalEntry, { event: 'start' | 'end' | 'abort' }>;

/** Worker processes of a scenario, and what they and the broker say about its tasks. */
export class Fleet {
  readonly ttlMs: number;
  readonly all: WorkerProcess[] = [];
  readonly tasks: NewTask[] = [];
  readonly #t: ScenarioContext;
  readonly #recording: Recording;

  constructor(t: ScenarioContext, wantedTtlMs = 2_000) {
    const { minTtlMs, maxTtlMs } = t.capabilities.session;
    this.#t = t;
    this.#recording = new Recording(t);
    // A process that is slow, or slow to start, must not be taken for one that is gone.
    this.ttlMs = Math.min(maxTtlMs, Math.max(minTtlMs, wantedTtlMs, Math.round(10 * t.unitMs)));
  }

  /** How long a task may stay with a process that was killed, until another one runs it (T11). */
  get recoveryMs(): number {
    return this.ttlMs + this.#t.capabilities.session.sweepMs + recoveryMs(this.#t);
  }

  /** Starts workers and waits until they claim. Killed at the end. */
  async enlist(count: number, options: EnlistOptions = {}): Promise<WorkerProcess[]> {
    const started = Array.from({ length: count }, () => this.launch(options));
    await Promise.all(started.map((each) => this.#t.soon(each.ready, 'the start of a worker process', longestStartMs)));
    return started;
  }

  async enlistOne(options: EnlistOptions = {}): Promise<WorkerProcess> {
    const [worker] = await this.enlist(1, options);
    return worker as WorkerProcess;
  }

  /** Starts one without waiting for it. */
  launch(options: EnlistOptions = {}): WorkerProcess {
    const { harness, namespace, capabilities } = this.#t;
    const { url = harness.url ?? '', preload, flags, environment, ...rest } = options;
    if (harness.workerModule === undefined) throw new Error('the scenario needs `processes`');
    const worker = startWorkerProcess({
      module: harness.workerModule,
      bundle: harness.bundleWorker === true,
      url,
      namespace,
      options: {
        concurrency: 5,
        sessionTtlMs: this.ttlMs,
        maintenanceMs: Math.min(500, capabilities.session.sweepMs),
        ...rest,
      },
      ...(preload !== undefined && { preload }),
      ...(flags !== undefined && { flags }),
      ...(environment !== undefined && { environment }),
    });
    this.all.push(worker);
    this.#t.defer(() => worker.close());
    return worker;
  }

  /**
   * Ends everybody, so that the next part of a scenario has the queue to itself. Where tasks cannot be looked up, a
   * result may still be due: whoever lives sends it.
   */
  async dismiss(): Promise<void> {
    if (!this.#t.capabilities.tasks.get) {
      const stops = this.all.map((worker) => this.#t.soon(worker.stop(), 'the stop of a worker', this.recoveryMs));
      // Those that were killed cannot.
      await Promise.allSettled(stops);
    }
    await Promise.all(this.all.map((worker) => worker.close()));
  }

  /** Enqueues a task that runs this script. */
  async enqueue(script: Script, changes: Partial<NewTask> = {}): Promise<NewTask> {
    const [task] = await this.enqueueMany(1, script, changes);
    return task as NewTask;
  }

  async enqueueMany(count: number, script: Script, changes: Partial<NewTask> = {}): Promise<NewTask[]> {
    const input = JSON.stringify(script);
    const tasks = buildTasks(count, () => ({ input, maxAttempts: 20, ...changes, id: buildTask().id }));
    await this.#t.enqueueAll(tasks, this.#recording.of(this.#t.client, 'producer'));
    this.tasks.push(...tasks);
    return tasks;
  }

  /** What all processes noted about runs, by time. */
  runs(): RunEntry[] {
    const entries = this.all.flatMap((worker) => worker.journal());
    const runs = entries.filter((entry): entry is RunEntry => 'fence' in entry);
    return runs.sort((a, b) => (a.at < b.at ? -1 : 1));
  }

  starts(taskId: string): RunEntry[] {
    return this.runs().filter((entry) => entry.event === 'start' && entry.task === taskId);
  }

  async started(taskId: string, times = 1): Promise<RunEntry> {
    const { eventually } = this.#t;
    const find = (): RunEntry | undefined => this.starts(taskId)[times - 1];
    return eventually.call(this.#t, find, `start ${times} of task ${taskId}`, this.recoveryMs) as Promise<RunEntry>;
  }

  /** The process that noted an entry. */
  whose(entry: RunEntry): WorkerProcess {
    const found = this.all.find((worker) => worker.pid === entry.pid);
    if (found === undefined) throw new Error(`no worker process ${entry.pid}`);
    return found;
  }

  /**
   * Waits until every task has succeeded, then checks its history: fences grow from run to run, and every attempt
   * before the last is accounted for. Where tasks cannot be looked up, what the handlers noted has to do.
   */
  async allSucceed(tasks: readonly NewTask[] = this.tasks, ms: number = this.recoveryMs): Promise<void> {
    const t = this.#t;
    const done = (): Set<string> =>
      new Set(this.runs().flatMap((run) => (run.event === 'end' && run.how === 'returned' ? [run.task] : [])));
    let left: string[] = tasks.map((task) => task.id);
    try {
      await t.eventually(
        async () => {
          const finished = t.capabilities.tasks.get ? await this.#succeeded(left) : done();
          left = left.filter((id) => !finished.has(id));
          return left.length === 0;
        },
        `the success of ${tasks.length} tasks`,
        ms,
      );
    } catch (error) {
      if (error instanceof Error) error.message += `; ${await this.#describe(left)}`;
      throw error;
    }
    await this.#checkHistory(tasks);
    if (tasks === this.tasks) await this.#judge();
  }

  /** What all processes recorded, together. */
  async #judge(): Promise<void> {
    const more = this.all.flatMap((worker) => worker.history());
    const ids = this.tasks.map((task) => task.id);
    await this.#recording.judge(ids, { faulty: true, more });
  }

  /** Nothing is left to deliver. Workers must have stopped; where tasks cannot be looked up, a result may still be due. */
  async leavesNothing(): Promise<void> {
    if (this.#t.capabilities.tasks.get) await (await this.#t.holder()).claimsNothing();
  }

  async #succeeded(ids: readonly string[]): Promise<Set<string>> {
    const records = await this.#records(ids);
    return new Set(records.filter((record) => record.state === 'succeeded').map((record) => record.id));
  }

  async #records(ids: readonly string[]): Promise<TaskRecord[]> {
    const records: TaskRecord[] = [];
    for (let first = 0; first < ids.length; first += 200) {
      const found = await this.#t.soon(this.#t.tasks.get(ids.slice(first, first + 200)), 'the answer to get');
      records.push(...found.filter((record) => record !== undefined));
    }
    return records;
  }

  async #checkHistory(tasks: readonly NewTask[]): Promise<void> {
    const t = this.#t;
    const starts = new Map<string, RunEntry[]>();
    for (const run of this.runs()) {
      if (run.event === 'start') starts.set(run.task, [...(starts.get(run.task) ?? []), run]);
    }
    for (const [id, runs] of starts) {
      const fences = runs.map((run) => run.fence);
      // A broker whose retry is not one step may leave two copies when it is killed in between, each with its fences.
      const different = t.capabilities.settle.retryAtomic ? [...new Set(fences)] : fences;
      t.equal(
        fences,
        different.toSorted((a, b) => a - b),
        `fences of task ${id}, by time`,
      );
      const attempts = runs.map((run) => run.attempt);
      t.equal(
        attempts,
        attempts.toSorted((a, b) => a - b),
        `attempts of task ${id}, by time`,
      );
    }
    if (!t.capabilities.tasks.get) return;
    for (const record of await this.#records(tasks.map((task) => task.id))) {
      const runs = starts.get(record.id) ?? [];
      t.ok(runs.length > 0, `task ${record.id} succeeded by running`);
      t.equal(record.attempt, runs.at(-1)?.attempt, `the attempt of task ${record.id}: that of its last run`);
      // Each attempt but the last ended in an error, or was lost with its process.
      if (record.attempt <= 10)
        t.equal(record.errors.length, record.attempt - 1, `the errors of task ${record.id}: ${shown(record.errors)}`);
    }
  }

  async #describe(ids: readonly string[]): Promise<string> {
    const records = this.#t.capabilities.tasks.get ? await this.#records(ids.slice(0, 3)) : [];
    const workers = this.all.map((worker) => `${worker.pid}: ${worker.output().slice(-300)}`);
    return `${ids.length} are missing, such as ${shown(records)}; workers: ${shown(workers)}`;
  }
}
