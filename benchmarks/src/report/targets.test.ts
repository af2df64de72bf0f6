import { expect, test } from 'vitest';
import type { Cell } from './build.ts';
import { judge, type Target } from './targets.ts';

const cell = (workload: string, subject: string, rate: number, more: Partial<Cell> = {}): Cell => ({
  workload,
  subject,
  runs: 1,
  rate,
  spread: 0,
  rates: [rate],
  ...more,
});
const peers = new Set(['slow', 'quick']);
const verdicts = (cells: readonly Cell[], ...targets: readonly Target[]): readonly [boolean, string][] =>
  judge(cells, peers, targets, []).map(({ met, measured }) => [met, measured]);

test('a rate is compared with the named subject, or with the fastest peer', () => {
  const cells = [cell('bulk', 'millrace', 30), cell('bulk', 'slow', 10), cell('bulk', 'quick', 20)];
  const target = (than: string, atLeast: number): Target => ({ kind: 'rate', workload: 'bulk', than, atLeast });
  expect(verdicts(cells, target('slow', 3), target('best peer', 1.5), target('best peer', 1.6))).toEqual([
    [true, '3.00 ×'],
    [true, '1.50 ×'],
    [false, '1.50 ×'],
  ]);
});

test('medians are judged; beside them stands what they are within each round', () => {
  const rates = (...all: number[]): Partial<Cell> => ({ rates: all });
  const cells = [
    cell('bulk', 'millrace', 20, rates(10, 20, 40)),
    cell('bulk', 'slow', 30, rates(18, 60, 30)),
    cell('bulk', 'quick', 40, rates(40)),
  ];
  const target = (than: string): Target => ({ kind: 'rate', workload: 'bulk', than, atLeast: 0.5 });
  expect(verdicts(cells, target('slow'), target('quick'))).toEqual([
    [true, '0.67 × (within rounds 0.33 to 1.33, median 0.56)'],
    // Their runs do not pair off: the whole was interrupted between them.
    [true, '0.50 ×'],
  ]);
});

test('beside a ceiling stands what a task costs on both sides', () => {
  const cpu = (client: number, server: number): Partial<Cell> => ({ clientCpuPer10k: client, serverCpuPer10k: server });
  const cells = [cell('bulk', 'millrace', 30, cpu(0.104, 0.1)), cell('bulk', 'raw:lua', 40, cpu(0.04, 0.034))];
  const target: Target = { kind: 'rate', workload: 'bulk', than: 'raw:lua', atLeast: 0.5 };
  expect(verdicts(cells, target)).toEqual([[true, '0.75 ×; client / server 10.4 / 10.0 µs a task, against 4.0 / 3.4']]);
});

test('what was not measured on both sides is not judged', () => {
  const target: Target = { kind: 'rate', workload: 'bulk', than: 'slow', atLeast: 1 };
  expect(verdicts([cell('bulk', 'millrace', 1)], target)).toEqual([]);
  expect(verdicts([cell('bulk', 'slow', 1)], target, { kind: 'latency', than: 'slow' })).toEqual([]);
  expect(verdicts([], { kind: 'claim', atMost: 1 }, { kind: 'delays', latenessMs: 1 })).toEqual([]);
});

test('latency is judged at the median and at the 99th percentile', () => {
  const latency = (p50: number, p99: number, started = 1): Partial<Cell> => ({
    latency: { p50, p99, max: 9, started, early: 0 },
  });
  const target: Target = { kind: 'latency', than: 'quick' };
  const against = cell('latency', 'quick', 50, latency(1, 2));
  const met = (own: Partial<Cell>): readonly boolean[] =>
    verdicts([cell('latency', 'millrace', 50, own), against], target).map(([one]) => one);
  expect(met(latency(1, 2))).toEqual([true, true]);
  expect(met(latency(0.5, 2.1))).toEqual([true, false]);
  // Fast, but only for the tasks that started at all.
  expect(met(latency(0.5, 1, 0.5))).toEqual([false, false]);
});

test('claims from the deepest queue are compared with those from the shallowest', () => {
  const claim = (p50: number): Partial<Cell> => ({ claim: { p50, p99: 9, max: 9 } });
  const cells = [cell('claim-1000000', 'millrace', 1, claim(3)), cell('claim-1000', 'millrace', 1, claim(2))];
  expect(verdicts(cells, { kind: 'claim', atMost: 1.5 }, { kind: 'claim', atMost: 1.4 })).toEqual([
    [true, '1.50 ×'],
    [false, '1.50 ×'],
  ]);
  expect(verdicts(cells.slice(1), { kind: 'claim', atMost: 1.5 })).toEqual([]);
});

test('delayed tasks must be neither early, nor missing, nor too late', () => {
  const delays = (early: number, started: number, p99: number): readonly Cell[] => [
    cell('delays', 'millrace', 1, { latency: { p50: 1, p99, max: 9, started, early } }),
  ];
  const target: Target = { kind: 'delays', latenessMs: 1500 };
  const met = (cells: readonly Cell[]): readonly boolean[] => verdicts(cells, target).map(([one]) => one);
  expect(met(delays(0, 1, 1500))).toEqual([true, true, true]);
  expect(met(delays(1, 0.9999, 1501))).toEqual([false, false, false]);
});

test('a workload that ours did not get through is a miss, one of a peer is not', () => {
  const failure = (subject: string): { workload: string; subject: string; reason: string } => ({
    workload: 'bulk',
    subject,
    reason: 'no end within 90 s',
  });
  expect(judge([], peers, [], [failure('slow')])).toEqual([]);
  expect(judge([], peers, [], [failure('millrace')])).toEqual([
    { target: 'bulk: gets through', measured: 'failed', met: false },
  ]);
});
