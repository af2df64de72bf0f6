import { expect, test } from 'vitest';
import { families } from '../families/index.ts';
import type { Measurement } from '../measurement.ts';
import { readOptions } from '../options.ts';
import type { Results } from '../rounds.ts';
import { buildReport, type Report } from './build.ts';
import { toMarkdown } from './markdown.ts';

const machine = {
  processors: 2,
  processor: 'a processor',
  memoryGib: 4,
  platform: 'linux x64',
  node: '24.0.0',
  server: { name: 'PostgreSQL', version: '17', settings: { fsync: 'on' } },
  versions: { pg: '8' },
};
const measured = (tasks: number, more: Partial<Measurement> = {}): Measurement => ({ tasks, seconds: 1, ...more });

function reportOf(results: Partial<Results>): Promise<Report> {
  const options = readOptions(['--workloads', 'bulk,latency'], families.postgres, '');
  return buildReport({ series: [], failures: [], rounds: 3, ...results }, families.postgres, options, machine);
}

test('a cell is the median of its runs, with its share of the ceiling and of the best peer', async () => {
  const report = await reportOf({
    series: [
      { workload: 'bulk', subject: 'raw:batch-arch', runs: [measured(2000)] },
      { workload: 'bulk', subject: 'raw:single', runs: [measured(1)] },
      { workload: 'bulk', subject: 'raw:batch-del', runs: [900, 1000, 1100].map((tasks) => measured(tasks)) },
    ],
  });
  expect(report.cells.map(({ rate }) => rate)).toEqual([2000, 1, 1000]);
  expect(toMarkdown(report)).toContain('| raw:batch-del | 1,000 ±10 % (50 %) |');
});

test('a subject that failed is shown as such, with its reason', async () => {
  const failures = [{ workload: 'bulk', subject: 'raw:single', reason: 'bulk: no end\nwithin 90 s' }];
  const text = toMarkdown(await reportOf({ failures }));
  expect(text).toContain('| raw:single | failed |');
  expect(text).toContain('| raw:single | bulk | bulk: no end within 90 s |');
});

test('a subject that fails in one round has no figure from another', async () => {
  const failures = [{ workload: 'bulk', subject: 'raw:single', reason: 'no' }];
  const series = [{ workload: 'bulk', subject: 'raw:single', runs: [measured(10)] }];
  expect((await reportOf({ series, failures })).cells).toEqual([]);
});

test('a report of an interrupted run says so', async () => {
  expect(toMarkdown(await reportOf({ rounds: 1 }))).toContain('**Partial: 1 of 3 rounds are complete.**');
  expect(toMarkdown(await reportOf({}))).not.toContain('Partial');
});

test('latency is the median of the percentiles; who does not keep up gets none', async () => {
  const run = (latencies: readonly number[]): Measurement => measured(50, { latencies, sent: 2 });
  const cellOf = async (...runs: Measurement[]): Promise<string> =>
    toMarkdown(await reportOf({ series: [{ workload: 'latency', subject: 'raw:single', runs }] }));
  expect(await cellOf(run([1, 2]), run([3, 4]), run([5, 6]))).toContain('| p50 3.0, p99 4.0, max 4.0 |');
  expect(await cellOf(run([1]))).toContain('did not keep up: 50 % started in time');
});

test('a task that starts before its time is counted as early', async () => {
  const runs = [measured(2, { latencies: [-1.5, -0.5, 0], sent: 3 })];
  const { cells } = await reportOf({ series: [{ workload: 'delays', subject: 'raw:single', runs }] });
  expect(cells[0]?.latency?.early).toBe(1);
});
