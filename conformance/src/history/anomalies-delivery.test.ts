import { describe } from 'vitest';
import { type Anomaly, claimed, completed, enqueued, findAnomalies } from '../../test/anomalies.ts';

const anomalies: readonly Anomaly[] = [
  { name: 'lost, by its final record', fails: ['H01'], inject: (s) => enqueued(s).final('x', 20_000, 'gone') },
  { name: 'lost, by the drain', fails: ['H01'], inject: (s) => enqueued(s) },
  { name: 'lost after a retry', fails: ['H01'], inject: (s) => claimed(s).settle('retry', 'x', 1, { at: 1_020 }) },
  {
    name: 'phantom',
    fails: ['H02'],
    inject: (s) => s.claim('x', 1, 1, { at: 1_010 }).settle('complete', 'x', 1, { at: 1_020 }),
  },
  {
    name: 'phantom of a rejected task',
    fails: ['H02'],
    inject: (s) =>
      s
        .enqueue('x', { at: 1_000 }, 'rejected')
        .claim('x', 1, 1, { at: 1_010 })
        .settle('complete', 'x', 1, { at: 1_020 }),
  },
  { name: 'lost settle', fails: ['H03'], inject: (s) => completed(s).final('x', 20_000, 'pending') },
  {
    name: 'output of somebody else',
    fails: ['H03'],
    inject: (s) => completed(s).final('x', 20_000, 'succeeded', { args: { output: 'other' } }),
  },
  {
    name: 'run again after it was completed',
    fails: ['H04'],
    inject: (s) =>
      completed(s)
        .claim('x', 2, 1, { at: 1_040, role: 'w2', pid: 2 })
        .settle('complete', 'x', 2, { at: 1_050, role: 'w2', pid: 2 }, 'stale'),
  },
  {
    name: 'two owners',
    fails: ['H05'],
    inject: (s) =>
      claimed(s)
        .claim('x', 2, 2, { at: 1_020, role: 'w2', pid: 2 })
        .settle('complete', 'x', 2, { at: 1_030, role: 'w2', pid: 2 })
        .settle('complete', 'x', 1, { at: 1_040 }, 'stale'),
  },
  {
    name: 'stale settle applied',
    fails: ['H06'],
    inject: (s) =>
      claimed(s)
        .mark('lost', { args: { session: 'w1' } }, { at: 1_500, role: 'w1' })
        .claim('x', 2, 2, { at: 2_500, role: 'w2', pid: 2 })
        .settle('complete', 'x', 1, { at: 2_600 })
        .settle('complete', 'x', 2, { at: 2_700, role: 'w2', pid: 2 }, 'stale'),
  },
  {
    name: 'stale report applied',
    fails: ['H06'],
    inject: (s) =>
      completed(s).call('report', { task: 'x', fence: 1, args: { session: 'w1' } }, 'applied', {
        at: 1_030,
        role: 'w1',
      }),
  },
  { name: 'settled twice', fails: ['H06'], inject: (s) => completed(s).settle('complete', 'x', 1, { at: 1_030 }) },
  {
    name: 'settled with a lease nobody had',
    fails: ['H06'],
    inject: (s) => completed(s).settle('complete', 'x', 7, { at: 1_030 }),
  },
  {
    name: 'settled after its session had ended',
    fails: ['H06'],
    inject: (s) =>
      claimed(s)
        .call('endSession', { args: { session: 'w1' } }, 'ok', { at: 1_015, role: 'w1' })
        .settle('complete', 'x', 1, { at: 1_020 }),
  },
  {
    name: 'fence that does not grow',
    fails: ['H07'],
    inject: (s) =>
      enqueued(s)
        .claim('x', 5, 1, { at: 1_010 })
        .settle('release', 'x', 5, { at: 1_020 })
        .claim('x', 4, 1, { at: 1_030 })
        .settle('complete', 'x', 4, { at: 1_040 }, 'unknown')
        .final('x', 20_000, 'succeeded'),
  },
  {
    name: 'fence given twice',
    fails: ['H07'],
    inject: (s) =>
      claimed(s)
        .settle('release', 'x', 1, { at: 1_020 }, 'unknown')
        .claim('x', 1, 1, { at: 1_030 })
        .settle('complete', 'x', 1, { at: 1_040 }),
  },
  {
    name: 'attempt left out',
    fails: ['H08'],
    inject: (s) =>
      claimed(s)
        .settle('retry', 'x', 1, { at: 1_020 })
        .claim('x', 2, 3, { at: 1_030 })
        .settle('complete', 'x', 2, { at: 1_040 }),
  },
  {
    name: 'attempt that goes back',
    fails: ['H08'],
    inject: (s) =>
      claimed(s)
        .settle('retry', 'x', 1, { at: 1_020 })
        .claim('x', 2, 1, { at: 1_030 })
        .settle('complete', 'x', 2, { at: 1_040 }),
  },
  {
    name: 'attempt charged for a release',
    fails: ['H08'],
    inject: (s) =>
      claimed(s)
        .settle('release', 'x', 1, { at: 1_020 })
        .claim('x', 2, 2, { at: 1_030 })
        .settle('complete', 'x', 2, { at: 1_040 }),
  },
  {
    name: 'attempts exceeded',
    fails: ['H09'],
    inject: (s) => {
      enqueued(s);
      for (let attempt = 1; attempt <= 4; attempt++) {
        s.claim('x', attempt, attempt, { at: 1_000 + attempt * 10 });
        s.settle(attempt === 4 ? 'complete' : 'retry', 'x', attempt, { at: 1_005 + attempt * 10 });
      }
    },
  },
  {
    name: 'dead before its attempts were used up',
    fails: ['H09'],
    inject: (s) =>
      claimed(s)
        .mark('lost', { args: { session: 'w1' } }, { at: 1_500, role: 'w1' })
        .final('x', 20_000, 'failed', { attempt: 1, args: { kind: 'lost' } }),
  },
  {
    name: 'started early',
    fails: ['H10'],
    inject: (s) =>
      enqueued(s, { args: { delayMs: 500 } })
        .claim('x', 1, 1, { at: 1_400 })
        .settle('complete', 'x', 1, { at: 1_420 }),
  },
  {
    name: 'retried early',
    fails: ['H10'],
    inject: (s) =>
      claimed(s)
        .settle('retry', 'x', 1, { at: 1_020 }, 'applied', { delayMs: 1_000 })
        .claim('x', 2, 2, { at: 1_500 })
        .settle('complete', 'x', 2, { at: 1_520 }),
  },
  {
    name: 'started after it expired',
    fails: ['H10'],
    inject: (s) =>
      enqueued(s, { args: { expiresInMs: 100 } })
        .claim('x', 1, 1, { at: 1_400 })
        .settle('complete', 'x', 1, { at: 1_420 }),
  },
  {
    name: 'forgotten while a worker waited',
    fails: ['H11'],
    options: { startWithinMs: 500 },
    inject: (s) =>
      enqueued(s)
        .emptyClaim({ at: 1_100, took: 2_000 }, 'empty', 2_000)
        .claim('x', 1, 1, { at: 4_000 })
        .settle('complete', 'x', 1, { at: 4_010 }),
  },
  {
    name: 'payload changed',
    fails: ['H12'],
    inject: (s) =>
      enqueued(s).claim('x', 1, 1, { at: 1_010 }, { hash: 'other.put' }).settle('complete', 'x', 1, { at: 1_020 }),
  },
  {
    name: 'cancelled but ran',
    fails: ['H13'],
    inject: (s) =>
      enqueued(s)
        .control('cancel', 'x', { at: 1_010 })
        .claim('x', 1, 1, { at: 1_020 })
        .settle('settleCancel', 'x', 1, { at: 1_030 }),
  },
  {
    name: 'cancelled while running, given out again',
    fails: ['H13'],
    inject: (s) =>
      claimed(s)
        .control('cancel', 'x', { at: 1_012 }, 'requested')
        .settle('release', 'x', 1, { at: 1_020 })
        .claim('x', 2, 1, { at: 1_030 })
        .settle('complete', 'x', 2, { at: 1_040 }),
  },
  {
    name: 'stop that nobody was told of',
    fails: ['H13'],
    options: { signalWithinMs: 500 },
    inject: (s) =>
      claimed(s).control('cancel', 'x', { at: 1_012 }, 'requested').settle('settleCancel', 'x', 1, { at: 3_000 }),
  },
  {
    name: 'paused queue claimed',
    fails: ['H14'],
    inject: (s) =>
      enqueued(s)
        .call('queuePause', { queue: 'line' }, 'ok', { at: 1_005, role: 'control' })
        .claim('x', 1, 1, { at: 1_010 })
        .settle('complete', 'x', 1, { at: 1_020 })
        .call('queueResume', { queue: 'line' }, 'ok', { at: 1_900, role: 'control' }),
  },
  {
    name: 'paused task claimed',
    fails: ['H14'],
    inject: (s) =>
      enqueued(s)
        .control('pause', 'x', { at: 1_005 })
        .claim('x', 1, 1, { at: 1_010 })
        .settle('complete', 'x', 1, { at: 1_020 }),
  },
];

describe('anomalies of delivery, ownership, time and control (H01 to H14)', () => findAnomalies(anomalies));
