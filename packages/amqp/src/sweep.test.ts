import { type Clock, systemClock } from '@millrace/core';
import { describe, expect, it } from 'vitest';
import { overdueMs, Sweep } from './sweep.ts';
import type { Brought } from './thin-message.ts';
import type { ThinPublisher } from './thin-publisher.ts';

function newSweep(overdueIds: readonly string[], pending: () => number) {
  let now = 0;
  const clock: Clock = { ...systemClock, monotonic: () => now };
  const brought: string[] = [];
  const asked: unknown[] = [];
  const publisher = {
    publish: async (tasks: readonly Brought[]) => {
      brought.push(...tasks.map(({ id }) => id));
      return tasks.map(() => undefined);
    },
  } as unknown as ThinPublisher;
  const sweep = new Sweep({
    guard: {
      overdue: async (request) => {
        asked.push(request);
        return overdueIds.map((id) => ({ id, name: 'work', queue: 'line', priority: 4 }));
      },
    },
    queues: {
      stats: async (queues = []) => queues.map((queue) => ({ queue, paused: false, pending: pending() })),
      pause: async () => {},
      resume: async () => {},
      purge: async () => 0,
    },
    publisher,
    clock,
  });
  /** Runs it every second, as many workers of one process would; how often each task was brought. */
  const runFor = async (seconds: number): Promise<number> => {
    const before = brought.length;
    for (let second = 0; second < seconds; second++) {
      await sweep.run();
      now += 1_000;
    }
    return brought.length - before;
  };
  return { runFor, brought, asked };
}

describe('the sweep', () => {
  it('asks for what is overdue, and not again and again', async () => {
    const { runFor, asked } = newSweep([], () => 0);
    await runFor(20);
    expect(asked).toEqual(Array.from({ length: 4 }, () => ({ dueForMs: overdueMs, limit: 1_000 })));
  });

  it('brings a task of an empty queue at once, and again with a growing pause', async () => {
    const { runFor, brought } = newSweep(['a', 'b'], () => 0);
    await runFor(1);
    expect(brought).toEqual(['a', 'b']);
    // After 5, 10, 20 and 40 seconds more.
    expect(await runFor(80)).toBe(8);
    // No more often than every ten minutes in the end: a name nobody runs must not fill the queue.
    await runFor(3_600);
    expect(await runFor(3_600)).toBeLessThanOrEqual(14);
  });

  it('leaves a task behind a long line alone for ten minutes, unless the line is gone before', async () => {
    let pending = 100;
    const { runFor, brought } = newSweep(['a'], () => pending);
    expect(await runFor(300)).toBe(0);
    pending = 0;
    await runFor(5);
    expect(brought).toEqual(['a']);
    const patient = newSweep(['b'], () => 100);
    expect(await patient.runFor(600)).toBe(0);
    expect(await patient.runFor(10)).toBe(1);
  });

  it('forgets the oldest of very many', async () => {
    const { runFor } = newSweep(
      Array.from({ length: 25_000 }, (_, index) => `n${index}`),
      () => 0,
    );
    expect(await runFor(1)).toBe(25_000);
  });
});
