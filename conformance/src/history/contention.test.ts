import { describe, expect, it } from 'vitest';
import { HistoryScript } from '../../test/history-script.ts';
import { checkContention } from './contention.ts';
import { renderSteps } from './render-text.ts';

const script = (): HistoryScript => new HistoryScript().session('w1', 1).session('w2', 2).enqueue('x', { at: 10 });

describe('checkContention', () => {
  it('accepts either winner of a race between cancel and claim (CAN-04)', () => {
    const cancelled = script().control('cancel', 'x', { at: 20, took: 10 }).emptyClaim({ at: 21, took: 8 });
    expect(checkContention(cancelled.events)).toMatchObject({ failures: [] });
    const claimed = script()
      .claim('x', 1, 1, { at: 20, took: 10 })
      .control('cancel', 'x', { at: 21, took: 5 }, 'requested')
      .settle('release', 'x', 1, { at: 40 })
      .read('x', { at: 50 }, 'cancelled', 1);
    expect(checkContention(claimed.events)).toMatchObject({ status: 'pass', groups: 1, largest: 2 });
  });

  it('finds a task that was both cancelled and started', () => {
    const both = script()
      .claim('x', 1, 1, { at: 20, took: 10 })
      .control('cancel', 'x', { at: 21, took: 5 })
      .settle('complete', 'x', 1, { at: 40 });
    const report = checkContention(both.events);
    expect(report).toMatchObject({ status: 'fail', failures: [{ task: 'x' }] });
    const [failure] = report.failures;
    expect(failure && renderSteps(failure.task, failure.steps)).toContain(
      '✗ no order of these calls explains this answer',
    );
  });

  it('finds a cancel and a complete that both won (CAN-05)', () => {
    const both = script()
      .claim('x', 1, 1, { at: 20 })
      .settle('complete', 'x', 1, { at: 30, took: 10 })
      .control('cancel', 'x', { at: 31, took: 5 }, 'applied');
    expect(checkContention(both.events).status).toBe('fail');
  });

  it('finds two claims that were both given the task at once', () => {
    const both = script()
      .claim('x', 1, 1, { at: 20, took: 10 })
      .claim('x', 2, 2, { at: 21, took: 10, role: 'w2', pid: 2 });
    expect(checkContention(both.events).status).toBe('fail');
  });

  it('takes a settle without an answer either way', () => {
    for (const state of ['succeeded', 'running'] as const) {
      const unknown = script()
        .claim('x', 1, 1, { at: 20 })
        .settle('complete', 'x', 1, { at: 30, took: 10 }, 'unknown')
        .read('x', { at: 31 }, state, 1)
        .read('x', { at: 60 }, 'succeeded', 1);
      expect(checkContention(unknown.events).failures).toEqual([]);
    }
    const undone = script()
      .claim('x', 1, 1, { at: 20 })
      .settle('complete', 'x', 1, { at: 30, took: 10 }, 'unknown')
      .read('x', { at: 31 }, 'succeeded', 1)
      .read('x', { at: 60 }, 'running', 1);
    expect(checkContention(undone.events).status).toBe('fail');
  });

  it('lets a settle race with the loss of its session (LSE-15)', () => {
    for (const outcome of ['applied', 'stale'] as const) {
      const raced = script()
        .claim('x', 1, 1, { at: 20 })
        .mark('lost', { args: { session: 'w1' } }, { at: 1_000, role: 'w1' })
        .settle('complete', 'x', 1, { at: 1_001, took: 20 }, outcome)
        .read('x', { at: 1_010 }, outcome === 'applied' ? 'succeeded' : 'retrying', 1);
      expect(checkContention(raced.events).failures).toEqual([]);
    }
  });

  it('knows which tasks a claim by id may have had when its answer was lost', () => {
    const history = (ids: readonly string[]): HistoryScript =>
      script()
        .call('claim', { args: { session: 'w1', ids } }, 'error:INDETERMINATE', { at: 20, took: 10, role: 'w1' })
        .claim('x', 2, 2, { at: 25, took: 20, role: 'w2', pid: 2 })
        .read('x', { at: 26, took: 2 }, 'pending');
    expect(checkContention(history(['x', 'y']).events).failures).toEqual([]);
    expect(checkContention(history(['y']).events).failures).toMatchObject([{ task: 'x' }]);
  });

  it('leaves tasks out that too many calls are about at once', () => {
    const crowd = script();
    for (let index = 0; index < 13; index++) crowd.control('pause', 'x', { at: 20, took: 50, pid: 10 + index });
    expect(checkContention(crowd.events)).toMatchObject({ status: 'unknown', undecided: 1 });
  });
});
