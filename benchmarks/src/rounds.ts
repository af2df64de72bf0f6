import { runJob } from './child-process.ts';
import { dropDatabase, freshDatabase, runSql, settleDatabase } from './database.ts';
import type { Job, Measurement } from './measurement.ts';
import type { Options } from './options.ts';
import type { Workload } from './plan.ts';
import { quietLoad, untilQuiet } from './quiet.ts';
import { loadSubject } from './subjects/index.ts';

/** All accepted runs of a subject at a workload, in the order they were made. */
export interface Series {
  readonly workload: string;
  readonly subject: string;
  readonly runs: Measurement[];
}

/** A run that others disturbed is repeated; the quietest one counts. */
const tries = 3;

/** Measures everything, one subject after the other in every round, so that a bad minute hits all alike. */
export async function runRounds(serverUrl: string, options: Options): Promise<readonly Series[]> {
  const templates = new Map<string, string>();
  const series: Series[] = [];
  const plan = options.workloads.map((workload) => ({
    workload,
    subjects: workload.subjects.filter((name) => options.subjects.includes(name)),
  }));
  try {
    for (const name of new Set(plan.flatMap(({ subjects }) => subjects))) {
      templates.set(name, await installTemplate(serverUrl, name, templates.size));
    }
    for (let round = 0; round < options.runs; round++) {
      for (const { workload, subjects } of plan) {
        for (const name of rotated(subjects, round)) {
          const measured = await measureQuietly(serverUrl, workload, name, templates.get(name) ?? '', options);
          record(series, workload.name, name, measured);
          print(round, workload, name, measured);
        }
      }
    }
  } finally {
    for (const template of templates.values()) await dropDatabase(serverUrl, template);
  }
  return series;
}

/** A database with the subject's schema, to copy for every run. */
async function installTemplate(serverUrl: string, subject: string, index: number): Promise<string> {
  const name = `bench_template_${index}`;
  const url = await freshDatabase(serverUrl, name);
  await runJob({ url, subject, step: { type: 'install' } }, []);
  return name;
}

async function measureQuietly(
  serverUrl: string,
  workload: Workload,
  subject: string,
  template: string,
  options: Options,
): Promise<Measurement> {
  let best: Measurement | undefined;
  for (let attempt = 0; attempt < (options.patience > 0 ? tries : 1); attempt++) {
    const measured = await measureOnce(serverUrl, workload, subject, template, options);
    if (best === undefined || loadOf(measured) < loadOf(best)) best = measured;
    if (loadOf(best) <= quietLoad) break;
  }
  if (best === undefined) throw new Error('no attempt was made');
  return best;
}

const loadOf = (measured: Measurement): number => measured.foreignLoad ?? 0;

async function measureOnce(
  serverUrl: string,
  workload: Workload,
  subject: string,
  template: string,
  options: Options,
): Promise<Measurement> {
  const { batched } = await loadSubject(subject);
  const url = await freshDatabase(serverUrl, 'bench_run', template);
  const job = (step: Job['step']): Job => ({ url, subject, step });
  const tasks = workload.fill(batched);
  if (tasks > 0) await runJob(job({ type: 'fill', tasks }), []);
  await settleDatabase(url);
  await untilQuiet(options.patience);
  const profile = options.profiles === undefined ? [] : profiling(options.profiles, workload.name, subject);
  const measured = await runJob(job(workload.step(batched)), profile);
  await runSql(serverUrl, 'drop database bench_run with (force)');
  return measured;
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

function print(round: number, workload: Workload, subject: string, measured: Measurement): void {
  const rate = Math.round(measured.tasks / measured.seconds).toLocaleString('en');
  const foreign =
    measured.foreignLoad === undefined ? '' : `, ${measured.foreignLoad.toFixed(2)} processors busy elsewhere`;
  console.log(`round ${round + 1}  ${workload.name.padEnd(16)} ${subject.padEnd(18)} ${rate.padStart(9)}/s${foreign}`);
}
