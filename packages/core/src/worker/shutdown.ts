import { sleep } from '../adapter/deadline.ts';
import type { Clock } from '../clock.ts';
import { AbortedError } from '../errors.ts';
import type { Farewell } from './farewell.ts';
import type { Lane } from './lane.ts';
import type { ReportBuffer } from './report-buffer.ts';
import type { Runner } from './runner.ts';
import type { Runs } from './runs.ts';
import type { SessionKeeper } from './session-keeper.ts';
import type { SettleBuffer, SettleCount } from './settle-buffer.ts';

/** What stopping a worker did, in tasks. Only what the broker has confirmed counts as drained or released. */
export interface ShutdownReport {
  /** Runs that ended by themselves while the worker was stopping, and whose outcome is stored. */
  readonly drained: number;
  /** Handed back without an attempt being charged: claimed ahead, or stopped. */
  readonly released: number;
  /**
   * Neither is known: the broker did not answer in time. What it has not taken comes back when the session has run
   * out, and is charged as lost.
   */
  readonly unconfirmed: number;
  /** Runs whose handler did not stop in time and may still be doing something. Their tasks were handed back. */
  readonly abandoned: number;
}

/** The parts of a worker that shutting down works on. */
export interface ShutdownParts {
  readonly runs: Runs;
  readonly lanes: readonly Lane[];
  readonly loops: readonly Promise<void>[];
  readonly runner: Runner;
  readonly settles: SettleBuffer;
  /** Of the settles since the worker began to stop. */
  readonly count: SettleCount;
  readonly reports: ReportBuffer;
  readonly keeper: SessionKeeper;
  readonly clock: Clock;
  /** Aborts when somebody no longer wants to wait. */
  readonly hurried: AbortSignal;
  readonly drainMs: number;
  readonly graceMs: number;
  /** Begins the time the broker has. */
  readonly farewell: () => Farewell;
  /** Lets go of the broker. Never rejects. */
  readonly leave: () => Promise<void>;
}

/** Share of the farewell after which the session is ended, settled or not: its end gives back what it holds. */
const settleShare = 0.6;

/** Stops in phases: hand back what has not begun, drain, abort, abandon, settle, leave. */
export async function shutDown(parts: ShutdownParts): Promise<ShutdownReport> {
  const { runs, lanes, runner, settles, count } = parts;
  for (const lane of lanes) lane.releaseAll();

  await emptied(parts, parts.drainMs);
  const stop = new AbortedError('shutdown', 'the worker is shutting down', { op: 'run' });
  for (const run of runs) run.abort(stop);
  await emptied(parts, parts.graceMs);

  const abandoned = runs.size;
  for (const run of runs) runner.end(run, { type: 'release', lease: run.delivery.lease });
  const farewell = parts.farewell();
  await farewell.wait(Promise.all([outcomesSettled(parts), lateClaimsReleased(parts)]), settleShare);
  settles.close();
  await farewell.wait(parts.keeper.end());
  await farewell.wait(parts.leave());
  const { ended, released, unconfirmed } = count;
  return { drained: ended, released, unconfirmed, abandoned };
}

async function outcomesSettled({ reports, settles }: ShutdownParts): Promise<void> {
  await reports.flush();
  await settles.drain();
}

/** A claim that was under way may still have brought tasks; they go back with the session at the latest. */
async function lateClaimsReleased({ loops, lanes, settles }: ShutdownParts): Promise<void> {
  await Promise.allSettled(loops);
  for (const lane of lanes) lane.releaseAll();
  await settles.drain();
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
