import { sleep } from '../adapter/deadline.ts';
import type { Clock } from '../clock.ts';
import { AbortedError } from '../errors.ts';
import type { Lane } from './lane.ts';
import type { ReportBuffer } from './report-buffer.ts';
import type { Runner } from './runner.ts';
import type { SessionKeeper } from './session-keeper.ts';
import type { SettleBuffer } from './settle-buffer.ts';
import type { TaskRun } from './task-run.ts';

/** What stopping a worker did, in tasks. */
export interface ShutdownReport {
  /** Runs that ended by themselves while the worker was stopping. */
  readonly drained: number;
  /** Handed back without an attempt being charged: claimed ahead, or stopped. */
  readonly released: number;
  /** Of those: runs whose handler did not stop in time and may still be doing something. */
  readonly abandoned: number;
}

/** The parts of a worker that shutting down works on. */
export interface ShutdownParts {
  readonly runs: ReadonlyMap<string, TaskRun>;
  readonly lanes: readonly Lane[];
  readonly loops: readonly Promise<void>[];
  readonly runner: Runner;
  readonly settles: SettleBuffer;
  readonly reports: ReportBuffer;
  readonly keeper: SessionKeeper;
  readonly clock: Clock;
  /** Aborts when somebody no longer wants to wait. */
  readonly hurried: AbortSignal;
  readonly drainMs: number;
  readonly graceMs: number;
}

/** How long the last settles may wait for a broker that does not answer. */
const settleLimitMs = 5_000;

/** Stops in phases: hand back what has not begun, drain, abort, abandon, settle, leave. */
export async function shutDown(parts: ShutdownParts): Promise<ShutdownReport> {
  const { runs, lanes, runner } = parts;
  let drained = 0;
  let released = 0;
  for (const lane of lanes) released += lane.releaseAll();
  const running = [...runs.values()];

  await emptied(parts, parts.drainMs);
  const stop = new AbortedError('shutdown', 'the worker is shutting down', { op: 'run' });
  for (const run of runs.values()) run.abort(stop);
  await emptied(parts, parts.graceMs);

  const abandoned = runs.size;
  for (const run of [...runs.values()]) runner.end(run, { type: 'release', lease: run.delivery.lease });
  await within(parts.reports.flush(), settleLimitMs, parts);
  await within(parts.settles.drain(), settleLimitMs, parts);
  // A claim that was under way may still have brought tasks; they go back with the session at the latest.
  await within(Promise.allSettled(parts.loops), settleLimitMs, parts);
  for (const lane of lanes) released += lane.releaseAll();
  await within(parts.settles.drain(), settleLimitMs, parts);
  await within(
    parts.keeper.end().catch(() => {}),
    settleLimitMs,
    parts,
  );
  parts.settles.close();
  // A run whose session was lost meanwhile is neither: its task is somebody else's.
  for (const { settledAs } of running) {
    if (settledAs === 'release') released++;
    else if (settledAs !== undefined) drained++;
  }
  return { drained, released, abandoned };
}

/** Waits until no run is left, the time is over, or somebody is in a hurry. */
async function emptied(parts: ShutdownParts, limitMs: number): Promise<void> {
  const { runs, clock, hurried } = parts;
  const end = clock.monotonic() + limitMs;
  while (runs.size > 0 && !hurried.aborted) {
    const left = end - clock.monotonic();
    if (left <= 0) return;
    await sleep(Math.min(left, 10), hurried, clock);
  }
}

function within(work: Promise<unknown>, limitMs: number, parts: ShutdownParts): Promise<void> {
  return new Promise((resolve) => {
    const timer = parts.clock.setTimer(resolve, limitMs, { keepAlive: true });
    const done = (): void => {
      parts.clock.clearTimer(timer);
      resolve();
    };
    work.then(done, done);
  });
}
