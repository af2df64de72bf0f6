import type { Session, SettleOutcome, TaskReport } from '../broker/session.ts';
import type { Clock, TimerHandle } from '../clock.ts';
import { type TaskLogLine, taskListLimits } from '../task.ts';
import { sendApart } from './send-apart.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Entry {
  readonly session: Session;
  readonly report: Mutable<TaskReport> & { log?: TaskLogLine[] };
  readonly waiters: ((outcome: SettleOutcome) => void)[];
}

const maxBatch = 1_000;
const maxBatchLength = 4_000_000;
/** Progress and log lines may wait this long for company. */
const gatherMs = 100;

/** Collects what running tasks report and sends it as one call per session; the last progress of a task wins. */
export class ReportBuffer {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  #entries = new Map<string, Entry>();
  /** What is on its way and not answered yet. */
  #outgoing: ReadonlyMap<string, Entry> = new Map();
  #timer: TimerHandle | undefined;
  #queued = false;
  #sending: Promise<void> = Promise.resolve();

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Adds to what will be sent for a run; nobody waits for it. */
  add(session: Session, report: TaskReport): void {
    this.#merge(session, report);
    this.#timer ??= this.#clock.setTimer(() => void this.flush(), gatherMs);
  }

  /** Adds, sends with the next batch, and tells what became of it. */
  send(session: Session, report: TaskReport): Promise<SettleOutcome> {
    const entry = this.#merge(session, report);
    return new Promise((resolve) => {
      entry.waiters.push(resolve);
      queueMicrotask(() => void this.flush());
    });
  }

  /**
   * Whether something of a run is to be sent or not answered yet: it has to arrive before the run is settled, because
   * a report is refused afterwards.
   */
  has(taskId: string, fence: number): boolean {
    // Asked for every run, most of which report nothing.
    if (this.#entries.size === 0 && this.#outgoing.size === 0) return false;
    const key = keyOf(taskId, fence);
    return this.#entries.has(key) || this.#outgoing.has(key);
  }

  /**
   * Sends everything; resolves when it is answered. Batches go out one after the other, so order is kept; what is
   * added while one is on its way goes with the next, so that a slow broker does not make a line of batches.
   */
  flush(): Promise<void> {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer);
    this.#timer = undefined;
    if (this.#entries.size > 0 && !this.#queued) {
      this.#queued = true;
      this.#sending = this.#sending.then(() => this.#sendGathered());
    }
    return this.#sending;
  }

  async #sendGathered(): Promise<void> {
    this.#queued = false;
    this.#outgoing = this.#entries;
    this.#entries = new Map();
    await this.#deliver([...this.#outgoing.values()]);
    this.#outgoing = new Map();
  }

  #merge(session: Session, report: TaskReport): Entry {
    const key = keyOf(report.lease.taskId, report.lease.fence);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { session, report: { lease: report.lease }, waiters: [] };
      this.#entries.set(key, entry);
    }
    const { log, ...rest } = report;
    Object.assign(entry.report, rest);
    if (log !== undefined) {
      entry.report.log ??= [];
      entry.report.log.push(...log);
      // More is never kept, and a handler that logs in a loop must not fill the memory.
      if (entry.report.log.length > taskListLimits.log)
        entry.report.log.splice(0, entry.report.log.length - taskListLimits.log);
    }
    return entry;
  }

  async #deliver(entries: readonly Entry[]): Promise<void> {
    for (const session of new Set(entries.map((entry) => entry.session))) {
      const mine = entries.filter((entry) => entry.session === session);
      for (const batch of batchesOf(mine)) {
        const send = (part: readonly Entry[]): ReturnType<Session['report']> =>
          session.report(part.map(({ report }) => report));
        const verdicts = await sendApart(batch, send, this.#onError);
        for (const [index, { waiters }] of batch.entries()) {
          for (const resolve of waiters) resolve(verdicts[index]?.outcome ?? 'unknown');
        }
      }
    }
  }
}

/** Large checkpoints travel in several calls, each of which has to be built, sent and stored within one deadline. */
function batchesOf(entries: readonly Entry[]): Entry[][] {
  const batches: Entry[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const { checkpoint, progress } = entry.report;
    const own = (checkpoint?.length ?? 0) + (progress?.length ?? 0);
    const last = batches.at(-1);
    if (last === undefined || last.length === maxBatch || length + own > maxBatchLength) {
      batches.push([entry]);
      length = own;
    } else {
      last.push(entry);
      length += own;
    }
  }
  return batches;
}

function keyOf(taskId: string, fence: number): string {
  return `${fence}:${taskId}`;
}
