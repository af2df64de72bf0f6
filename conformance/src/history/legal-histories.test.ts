import type { Capabilities } from '@millrace/core';
import { describe, expect, it } from 'vitest';
import { loadMemoryHarness } from '../../test/memory-harness.ts';
import { randomHistory } from '../../test/random-history.ts';
import { checkHistory } from './checker.ts';
import { checkContention } from './contention.ts';
import { renderReport, renderSteps } from './render-text.ts';

async function claimed(changes: Partial<Capabilities> = {}): Promise<Capabilities> {
  const memory = await loadMemoryHarness();
  const clock = memory.clock?.('legal');
  if (clock === undefined) throw new Error('the memory harness has a clock');
  const broker = memory.connect({ url: '', namespace: 'legal', clock });
  const capabilities = await broker.open();
  await broker.close();
  return { ...capabilities, ...changes };
}

const kinds = [
  { kind: 'calm', workers: 3, lossy: 0, deadly: false, order: 'fifo' },
  { kind: 'a single consumer', workers: 1, lossy: 0, deadly: false, order: 'fifo' },
  { kind: 'workers die', workers: 3, lossy: 0, deadly: true, order: 'fifo' },
  { kind: 'answers are lost', workers: 3, lossy: 0.1, deadly: false, order: 'fifo' },
  { kind: 'everything at once, weaker order', workers: 4, lossy: 0.1, deadly: true, order: 'best-effort' },
] as const;

describe('legal histories are never blamed', () => {
  it.each(kinds)('$kind', { timeout: 120_000 }, async ({ kind: _kind, order, ...options }) => {
    const capabilities = await claimed({
      order,
      ...(order === 'best-effort' && { priority: { levels: 10, strict: false } }),
    });
    let groups = 0;
    for (let seed = 1; seed <= Number(process.env.HISTORIES ?? 12); seed++) {
      const events = await randomHistory({ ...options, capabilities, seed, calls: 25 });
      const report = checkHistory(events, { capabilities, seed });
      const failed = report.verdicts.filter((verdict) => verdict.status === 'fail').map((verdict) => verdict.id);
      expect(failed, renderReport(report)).toEqual([]);
      const contention = checkContention(events);
      const [blamed] = contention.failures;
      expect(blamed && `seed ${seed}\n${renderSteps(blamed.task, blamed.steps)}`).toBeUndefined();
      groups += contention.groups;
    }
    expect(groups).toBeGreaterThan(0);
  });
});
