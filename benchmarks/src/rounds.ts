import type { Backend } from './backends/backend.ts';
import { runJob } from './child-process.ts';
import type { Family } from './families/family.ts';
import { loadSubject } from './families/index.ts';
import type { Job, Measurement } from './measurement.ts';
import type { Options } from './options.ts';
import type { Workload } from './plan.ts';
import { quietLoad, untilQuiet } from './quiet.ts';

/** All accepted runs of a subject at a workload, in the order they were made. */
export interface Series {
  readonly workload: string;
  readonly subject: string;
  readonly runs: Measurement[];
}

/** A subject that did not get through a workload. It is not tried again at that one, and after three not at all. */
export interface Failure {
  readonly workload: string;
  readonly subject: string;
  readonly reason: string;
}

/** Everything known so far. */
export interface Results {
  readonly series: readonly Series[];
  readonly failures: readonly Failure[];
  /** Rounds that are complete. */
  readonly rounds: number;
}

const mostFailures = 3;

/** A run that others disturbed is repeated; the quietest one counts. */
const tries = 3;

/**
 * Measures everything, one subject after the other in every round, so that a bad minute hits all alike. `report` gets
 * what there is after every workload: a run that is interrupted has not been for nothing.
 */
export async function runRounds(
  backend: Backend,
  family: Family,
  options: Options,
  report: (results: Results) => Promise<void>,
): Promise<Results> {
  const series: Series[] = [];
  const failures: Failure[] = [];
  const serverPid = await backend.serverPid();
  for (let round = 0; round < options.runs; round++) {
    for (const workload of options.workloads.filter(({ once }) => round === 0 || !once)) {
      const willing = options.subjects.filter(
        (name) => workload.subjects.includes(name) && !isGivenUp(failures, workload.name, name),
      );
      const order = Array.from({ length: workload.repeats }, (_each, repeat) => rotated(willing, round + repeat));
      for (const subject of order.flat()) {
        if (isGivenUp(failures, workload.name, subject)) continue;
        const run = { backend, family, workload, subject, options, serverPid };
        try {
          const measured = await measureQuietly(run);
          record(series, workload.name, subject, measured);
          print(round, workload.name, subject, measured);
        } catch (error) {
          const reason = (error as Error).message;
          failures.push({ workload: workload.name, subject, reason });
          console.error(`round ${round + 1}  ${workload.name.padEnd(16)} ${subject.padEnd(18)} FAILED: ${reason}`);
        }
      }
      await report({ series, failures, rounds: round });
    }
  }
  return { series, failures, rounds: options.runs };
}

function isGivenUp(failures: readonly Failure[], workload: string, subject: string): boolean {
  const own = failures.filter((failure) => failure.subject === subject);
  return own.length >= mostFailures || own.some((failure) => failure.workload === workload);
}

interface Run {
  readonly backend: Backend;
  readonly family: Family;
  readonly workload: Workload;
  readonly subject: string;
  readonly options: Options;
  readonly serverPid: number | undefined;
}

async function measureQuietly(run: Run): Promise<Measurement> {
  let best: Measurement | undefined;
  for (let attempt = 0; attempt < (run.options.patience > 0 ? tries : 1); attempt++) {
    const measured = await measureOnce(run);
    if (best === undefined || loadOf(measured) < loadOf(best)) best = measured;
    if (loadOf(best) <= quietLoad) break;
  }
  if (best === undefined) throw new Error('no attempt was made');
  return best;
}

const loadOf = (measured: Measurement): number => measured.foreignLoad ?? 0;

async function measureOnce(run: Run): Promise<Measurement> {
  const { backend, family, workload, subject, options, serverPid } = run;
  const { batched } = await loadSubject(family, subject);
  const job = (url: string, step: Job['step']): Job => ({ backend: family.name, url, subject, step, serverPid });
  const url = await backend.fresh(subject, async (fresh) => {
    await runJob(job(fresh, { type: 'install' }), options.limitMs);
  });
  const empty = (await backend.usedBytes?.(url)) ?? 0;
  const start = performance.now();
  const tasks = workload.fill(batched);
  if (tasks > 0) await runJob(job(url, { type: 'fill', tasks }), options.limitMs);
  await backend.settle(url);
  const step = workload.step(batched);
  if (step.type === 'memory') {
    const used = ((await backend.usedBytes?.(url)) ?? Number.NaN) - empty;
    return { tasks, seconds: (performance.now() - start) / 1000, bytesPerTask: used / tasks };
  }
  await untilQuiet(options.patience);
  const profile = options.profiles === undefined ? [] : profiling(options.profiles, workload.name, subject);
  // Delayed tasks are waited for; the limit is for what comes on top.
  const waitMs = step.type === 'delays' ? step.toMs : 0;
  return runJob(job(url, step), options.limitMs + waitMs, profile);
}

function profiling(folder: string, workload: string, subject: string): readonly string[] {
  const file = `${workload}-${subject.replaceAll(/\W+/g, '-')}-${Date.now()}.cpuprofile`;
  return ['--cpu-prof', '--cpu-prof-interval=500', `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${file}`];
}

const rotated = <T>(list: readonly T[], by: number): readonly T[] =>
  list.map((_, index) => list[(index + by) % list.length] as T);

function record(series: Series[], workload: string, subject: string, measured: Measurement): void {
  const known = series.find((one) => one.workload === workload && one.subject === subject);
  if (known === undefined) series.push({ workload, subject, runs: [measured] });
  else known.runs.push(measured);
}

function print(round: number, workload: string, subject: string, measured: Measurement): void {
  const rate = Math.round(measured.tasks / measured.seconds).toLocaleString('en');
  const value = measured.bytesPerTask === undefined ? `${rate}/s` : `${Math.round(measured.bytesPerTask)} bytes`;
  const foreign =
    measured.foreignLoad === undefined ? '' : `, ${measured.foreignLoad.toFixed(2)} processors busy elsewhere`;
  console.log(`round ${round + 1}  ${workload.padEnd(16)} ${subject.padEnd(18)} ${value.padStart(11)}${foreign}`);
}
