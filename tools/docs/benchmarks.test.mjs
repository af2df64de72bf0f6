import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { produce } from './benchmarks.mjs';

let folder;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'millrace-report-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const cell = (subject, workload, rate) => ({ subject, workload, rate });
const report = (backend, name) => ({
  backend,
  machine: { server: { name, version: '7' } },
  ceilings: { usual: 'raw' },
  workloads: [
    { name: 'bulk', title: 'bulk × 1000' },
    { name: 'latency', title: '50 tasks/s' },
  ],
  subjects: [
    { name: 'raw', kind: 'ceiling' },
    { name: 'raw:other', kind: 'ceiling' },
    { name: 'peer', kind: 'peer' },
    { name: 'millrace', kind: 'ours' },
  ],
  cells: [cell('raw', 'bulk', 20_000), cell('raw:other', 'bulk', 1), cell('millrace', 'bulk', 9_999.6)],
  failures: [{ subject: 'peer', workload: 'bulk', reason: 'no end within 90 s' }],
});
const save = (value) => writeFileSync(path.join(folder, `report-${value.backend}.json`), JSON.stringify(value));

test('without a report it says how to make one', () => {
  expect(produce(folder)).toBe('No run yet: `pnpm bench`.');
});

test('a table for each report: ours, the peers, one line of hand-written code; what failed is not hidden', () => {
  save(report('redis', 'Redis'));
  const text = produce(folder);
  expect(text).toContain('[Redis](benchmarks/report-redis.md)');
  expect(text.split('\n').slice(3)).toEqual([
    '| Redis 7 | bulk × 1000 |',
    '| --- | --- |',
    '| hand-written loop (`raw`) | 20.0k |',
    '| peer | failed |',
    '| **millrace** | 10,000 |',
  ]);
});

test('servers come in one order', () => {
  save(report('amqp', 'RabbitMQ'));
  save(report('postgres', 'PostgreSQL'));
  expect(produce(folder)).toMatch(/\[PostgreSQL\].*\[RabbitMQ\]/);
});
