import { describe, expect, it } from 'vitest';
import { around } from '../../test/anomalies.ts';
import { HistoryScript, strictCapabilities } from '../../test/history-script.ts';
import { checkHistory } from './checker.ts';
import { renderWitnessHtml } from './render-html.ts';
import { renderReport, renderWitness } from './render-text.ts';

const options = { capabilities: strictCapabilities, seed: 9137 };

/** The example of the design note. */
function staleComplete(): HistoryScript {
  return new HistoryScript()
    .session('w1', 1, 500)
    .session('w2', 2, 500)
    .enqueue('t-41', { at: 0, pid: 3 })
    .claim('t-41', 7, 1, { at: 10, role: 'w1', pid: 1 })
    .mark('lost', { args: { session: 'w1' } }, { at: 512, role: 'w1', pid: 1 })
    .claim('t-41', 8, 2, { at: 530, role: 'w2', pid: 2 })
    .settle('complete', 't-41', 7, { at: 611, role: 'w1', pid: 1 });
}

describe('checkHistory', () => {
  it('finds nothing in a history without anything wrong', () => {
    const report = checkHistory(around(() => {}).events, options);
    expect(report.verdicts.filter((verdict) => verdict.status === 'fail')).toEqual([]);
    expect(report.guarantee).toEqual({ strongest: 'at-least-once + fencing', shown: false, refuted: [] });
    expect(report.counts).toMatchObject({
      accepted: 20,
      deliveries: 40,
      redeliveries: 20,
      duplicateRuns: 0,
      unknown: 0,
    });
  });

  it('says unknown where the history does not tell, and never pass', () => {
    const report = checkHistory(new HistoryScript().enqueue('x', { at: 0 }).events, options);
    const statusOf = Object.fromEntries(report.verdicts.map(({ id, status }) => [id, status]));
    expect(statusOf).toMatchObject({ H01: 'unknown', H05: 'unknown', H15: 'pass', H30: 'pass' });
    expect(report.status).toBe('unknown');
  });

  it('says nothing of the order in which tasks came that were asked for by their ids', () => {
    const history = (byId: boolean): HistoryScript => {
      const script = new HistoryScript().session('w1').enqueue('x', { at: 10 }).enqueue('y', { at: 20 });
      for (const [index, task] of ['y', 'x'].entries()) {
        const at = 30 + 20 * index;
        script.claim(task, 1, 1, { at }, byId ? { args: { byId } } : {}).settle('complete', task, 1, { at: at + 10 });
      }
      return script;
    };
    const orderOf = (byId: boolean): unknown =>
      checkHistory(history(byId).events, options).verdicts.find(({ id }) => id === 'H17')?.status;
    expect([orderOf(true), orderOf(false)]).toEqual(['unknown', 'fail']);
  });

  it('names the strongest guarantee that is left', () => {
    const report = checkHistory(staleComplete().events, options);
    expect(report.guarantee.strongest).toBe('at-least-once');
    expect(report.guarantee.refuted).toEqual([
      { guarantee: 'at-least-once + fencing', by: ['H06'] },
      { guarantee: 'effectively-once per transaction', by: ['H06'] },
    ]);
    const lost = checkHistory(around((s) => s.enqueue('x', { at: 1_000 })).events, options);
    expect(lost.guarantee.strongest).toBe('at-most-once');
    const phantom = checkHistory(around((s) => s.claim('x', 1, 1, { at: 1_000 })).events, options);
    expect(phantom.guarantee.strongest).toBe('none');
  });

  it('knows that a lost session may have been charged for a task that was pushed to it', () => {
    const history = (lost: boolean) =>
      around((script) => {
        script.session('w3', 4);
        script.enqueue('x', { at: 1_000, pid: 3 });
        if (lost) script.mark('lost', { args: { session: 'w3' } }, { at: 1_020, role: 'w3', pid: 4 });
        script.claim('x', 2, 2, { at: 1_030 }).settle('complete', 'x', 2, { at: 1_040 });
        script.mark('alive', {}, { at: 19_998, role: 'w3', pid: 4 });
      }).events;
    const statusOf = (lost: boolean, confirmedBy: 'commit' | 'barrier') => {
      const capabilities = { ...strictCapabilities, settle: { confirmedBy, retryAtomic: true } };
      return checkHistory(history(lost), { capabilities }).verdicts.find(({ id }) => id === 'H08')?.status;
    };
    expect([statusOf(true, 'commit'), statusOf(false, 'barrier'), statusOf(true, 'barrier')]).toEqual([
      'fail',
      'fail',
      'pass',
    ]);
  });

  it('knows that a process killed while it wrote down a claim may have been given more', () => {
    const statusOf = (left?: number) => {
      const { events } = around((script) => {
        script.session('w3', 4);
        for (const task of ['x', 'y']) script.enqueue(task, { at: 1_000, pid: 3 });
        script.claim('y', 1, 1, { at: 1_020, role: 'w3', pid: 4 }, left === undefined ? {} : { args: { left } });
        for (const task of ['x', 'y'])
          script.claim(task, 2, 2, { at: 1_030 }).settle('complete', task, 2, { at: 1_040 });
      });
      return checkHistory(events, options).verdicts.find(({ id }) => id === 'H08')?.status;
    };
    expect([statusOf(), statusOf(1)]).toEqual(['fail', 'pass']);
  });

  it('draws a witness as text', () => {
    const report = checkHistory(staleComplete().events, options);
    const witness = report.verdicts.find((verdict) => verdict.id === 'H06')?.witness;
    expect(witness && renderWitness(witness, report.startedAt, report.seed)).toBe(
      [
        'H06 fencing  task t-41  seed 9137',
        '  0.011  w1  claim              → fence 7, attempt 1',
        '  0.531  w2  claim              → fence 8, attempt 2',
        '  0.612  w1  complete(fence 7)  → applied             ✗ must be stale: fence 8 had been given',
      ].join('\n'),
    );
    expect(renderReport(report)).toContain('refuted: at-least-once + fencing, by H06');
  });

  it('draws a witness as HTML, hostile names escaped', () => {
    const script = around((s) => s.claim('<script>', 1, 1, { at: 1_000, role: 'w&1' }));
    const report = checkHistory(script.events, options);
    const witness = report.verdicts.find((verdict) => verdict.id === 'H02')?.witness;
    const html = witness === undefined ? '' : renderWitnessHtml(witness, report.startedAt, 1);
    expect(html).toContain('task &lt;script&gt;');
    expect(html).toContain('w&amp;1');
    expect(html).not.toContain('<script>');
    expect(html).toMatch(/^<figure class="millrace-witness".*<\/figure>$/s);
  });

  it('takes an answer that was lost either way', () => {
    const unknown = around((s) => {
      s.enqueue('x', { at: 1_000, took: 'never' }).claim('x', 1, 1, { at: 1_010 });
      s.settle('complete', 'x', 1, { at: 1_020 }, 'unknown').claim('x', 2, 2, { at: 1_030, role: 'w2', pid: 2 });
      s.settle('complete', 'x', 2, { at: 1_040, role: 'w2', pid: 2 });
      // A claim that nobody heard the answer of may explain an attempt that is missing.
      s.emptyClaim({ at: 1_050, took: 'never', role: 'w9', pid: 9 });
      s.enqueue('y', { at: 1_060 }).claim('y', 2, 2, { at: 1_070 }).settle('complete', 'y', 2, { at: 1_080 });
    });
    const report = checkHistory(unknown.events, options);
    expect(report.verdicts.filter((verdict) => verdict.status === 'fail')).toEqual([]);
    expect(report.counts.unknown).toBe(3);
  });

  it('takes an id that is used again after its removal as another task', () => {
    const script = around((s) => {
      s.enqueue('x', { at: 1_000 }).claim('x', 1, 1, { at: 1_010 }).settle('complete', 'x', 1, { at: 1_020 });
      s.control('remove', 'x', { at: 1_030 }).enqueue('x', { at: 1_040 });
      s.claim('x', 1, 1, { at: 1_050 }).settle('complete', 'x', 1, { at: 1_060 });
    });
    const report = checkHistory(script.events, options);
    expect(report.verdicts.filter((verdict) => verdict.status === 'fail')).toEqual([]);
  });

  it('counts what ran twice', () => {
    const script = around((s) => {
      s.enqueue('x', { at: 1_000 })
        .claim('x', 1, 1, { at: 1_010 })
        .mark('start', { task: 'x', fence: 1 }, { at: 1_012, role: 'w1' });
      s.mark('lost', { args: { session: 'w1' } }, { at: 1_500, role: 'w1' });
      s.claim('x', 2, 2, { at: 2_500, role: 'w2', pid: 2 }).mark(
        'start',
        { task: 'x', fence: 2 },
        { at: 2_501, role: 'w2', pid: 2 },
      );
      s.settle('complete', 'x', 2, { at: 2_510, role: 'w2', pid: 2 });
    });
    const report = checkHistory(script.events, options);
    expect(report.verdicts.filter((verdict) => verdict.status === 'fail')).toEqual([]);
    expect(report.counts.duplicateRuns).toBe(1);
  });
});
