import { describe } from 'vitest';
import { type Anomaly, claimed, completed, enqueued, findAnomalies } from '../../test/anomalies.ts';
import { strictCapabilities } from '../../test/history-script.ts';

const anomalies: readonly Anomaly[] = [
  {
    name: 'unique key accepted twice',
    fails: ['H15'],
    inject: (s) => {
      enqueued(s, { key: 'k', args: { keyUntil: 'settled' } }).enqueue('y', { at: 1_005 }, 'accepted', {
        key: 'k',
        args: { keyUntil: 'settled' },
      });
      s.claim('x', 1, 1, { at: 1_010 }).settle('complete', 'x', 1, { at: 1_020 });
      s.claim('y', 1, 1, { at: 1_030 }).settle('complete', 'y', 1, { at: 1_040 });
    },
  },
  {
    name: 'unique key not freed',
    fails: ['H15'],
    inject: (s) =>
      claimed(s, { key: 'k', args: { keyUntil: 'settled' } })
        .settle('complete', 'x', 1, { at: 1_020 })
        .duplicate('y', 'x', { at: 1_030 }, { key: 'k' }),
  },
  {
    name: 'id accepted twice',
    fails: ['H15'],
    inject: (s) => completed(s).enqueue('x', { at: 1_100 }),
  },
  {
    name: 'tick enqueued twice',
    fails: ['H21'],
    inject: (s) => {
      const tick = 'schedule:nightly:2026-01-01T00:00:00.000Z';
      s.enqueue(tick, { at: 1_000 }).enqueue(tick, { at: 1_005 }, 'accepted');
      s.claim(tick, 1, 1, { at: 1_010 }).settle('complete', tick, 1, { at: 1_020 });
    },
  },
  {
    name: 'group out of order',
    fails: ['H16'],
    options: { capabilities: { ...strictCapabilities, groups: true, order: 'best-effort' } },
    inject: (s) => {
      enqueued(s, { args: { group: 'g' } }).enqueue('y', { at: 1_005 }, 'accepted', { args: { group: 'g' } });
      s.claim('y', 1, 1, { at: 1_010 }).settle('complete', 'y', 1, { at: 1_020 });
      s.claim('x', 1, 1, { at: 1_030 }).settle('complete', 'x', 1, { at: 1_040 });
    },
  },
  {
    name: 'first in, not first out',
    fails: ['H17'],
    inject: (s) => {
      enqueued(s).enqueue('y', { at: 1_005 });
      s.claim('y', 1, 1, { at: 1_010 }).settle('complete', 'y', 1, { at: 1_020 });
      s.claim('x', 1, 1, { at: 1_030 }).settle('complete', 'x', 1, { at: 1_040 });
    },
  },
  {
    name: 'batch out of order',
    fails: ['H17'],
    inject: (s) => {
      s.enqueue('x', { at: 1_000, took: 5, pid: 4 }).enqueue('y', { at: 1_000.001, took: 5, pid: 4 }, 'accepted', {
        args: { batch: 1 },
      });
      s.claim('y', 1, 1, { at: 1_010 }).settle('complete', 'y', 1, { at: 1_020 });
      s.claim('x', 1, 1, { at: 1_030 }).settle('complete', 'x', 1, { at: 1_040 });
    },
  },
  {
    name: 'lower priority first',
    fails: ['H18'],
    inject: (s) => {
      s.enqueue('y', { at: 1_000 });
      s.enqueue('x', { at: 1_005 }, 'accepted', { args: { priority: 9 } });
      s.claim('y', 1, 1, { at: 1_010 }).settle('complete', 'y', 1, { at: 1_020 });
      s.claim('x', 1, 1, { at: 1_030 }).settle('complete', 'x', 1, { at: 1_040 });
    },
  },
  {
    name: 'too many handlers at once',
    fails: ['H19'],
    options: { concurrency: { perRole: 1 } },
    inject: (s) => {
      enqueued(s, { queue: 'a' }).enqueue('y', { at: 1_000 }, 'accepted', { queue: 'b' });
      for (const [index, task] of ['x', 'y'].entries()) {
        s.claim(task, 1, 1, { at: 1_010 + index }).mark('start', { task, fence: 1 }, { at: 1_020 + index, role: 'w1' });
        s.mark('end', { task, fence: 1 }, { at: 1_030 + index, role: 'w1' }).settle('complete', task, 1, {
          at: 1_040 + index,
        });
      }
    },
  },
  {
    name: 'starts too fast',
    fails: ['H20'],
    options: { rate: { limit: 1, perMs: 100 } },
    inject: (s) => {
      enqueued(s, { queue: 'a' }).enqueue('y', { at: 1_000 }, 'accepted', { queue: 'b' });
      for (const [index, task] of ['x', 'y'].entries()) {
        s.claim(task, 1, 1, { at: 1_010 + index }).mark(
          'start',
          { task, fence: 1 },
          { at: 1_020 + index * 20, role: 'w1' },
        );
        s.mark('end', { task, fence: 1 }, { at: 1_030 + index * 20, role: 'w1' }).settle('complete', task, 1, {
          at: 1_080 + index,
        });
      }
    },
  },
  {
    name: 'rolled back, and there',
    fails: ['H22'],
    inject: (s) =>
      enqueued(s, { args: { tx: 'tx-1' } })
        .mark('rollback', { args: { tx: 'tx-1' } }, { at: 1_005 })
        .claim('x', 1, 1, { at: 1_010 })
        .settle('complete', 'x', 1, { at: 1_020 }),
  },
  {
    name: 'seen before the commit',
    fails: ['H22'],
    inject: (s) =>
      claimed(s, { args: { tx: 'tx-1' } })
        .settle('complete', 'x', 1, { at: 1_020 })
        .mark('commit', { args: { tx: 'tx-1' } }, { at: 1_050 }),
  },
  {
    name: 'accepted, and not there to be read',
    fails: ['H23'],
    inject: (s) =>
      enqueued(s)
        .read('x', { at: 1_005 }, 'gone')
        .claim('x', 1, 1, { at: 1_010 })
        .settle('complete', 'x', 1, { at: 1_020 }),
  },
  {
    name: 'read that goes back',
    fails: ['H23'],
    inject: (s) => completed(s).read('x', { at: 1_030 }, 'succeeded', 1).read('x', { at: 1_040 }, 'running', 1),
  },
  {
    name: 'state that no way leads to',
    fails: ['H23'],
    inject: (s) =>
      enqueued(s)
        .read('x', { at: 1_002 }, 'pending')
        .read('x', { at: 1_004 }, 'running')
        .claim('x', 1, 1, { at: 1_010 })
        .settle('complete', 'x', 1, { at: 1_020 }),
  },
  {
    name: 'end that was not told',
    fails: ['H24'],
    inject: (s) =>
      completed(s)
        .mark('taskEvent', { task: 'x', args: { state: 'running' } }, { at: 1_011 })
        .final('x', 20_000, 'succeeded'),
  },
  {
    name: 'conservation broken',
    fails: ['H25'],
    inject: (s) =>
      completed(s)
        .final('x', 20_000, 'succeeded')
        .mark('counts', { args: { counts: { succeeded: 20 } } }, { at: 20_001 }),
  },
  {
    name: 'half of an atomic batch',
    fails: ['H26'],
    options: { capabilities: { ...strictCapabilities, batch: { maxEnqueue: 10, maxClaim: 10, enqueueAtomic: true } } },
    inject: (s) => {
      s.enqueue('x', { at: 1_000, took: 5, pid: 4 }, 'error:INDETERMINATE');
      s.enqueue('y', { at: 1_000.001, took: 5, pid: 4 }, 'error:INDETERMINATE', { args: { batch: 1 } });
      s.claim('x', 1, 1, { at: 1_010 }).settle('complete', 'x', 1, { at: 1_020 }).final('y', 20_000, 'gone');
    },
  },
  {
    name: 'recovery late',
    fails: ['H27'],
    options: { recoverWithinMs: 500 },
    inject: (s) =>
      enqueued(s)
        .session('w9', 9, 1_000, 900)
        .claim('x', 1, 1, { at: 1_010, role: 'w9', pid: 9 })
        .mark(
          'fault',
          { args: { fault: 'kill', faultPhase: 'instant', target: 9 } },
          { at: 1_100, pid: 0, role: 'fault' },
        )
        .claim('x', 2, 2, { at: 9_000 })
        .settle('complete', 'x', 2, { at: 9_010 }),
  },
  {
    name: 'connections leaked',
    fails: ['H28'],
    inject: (s) =>
      s
        .mark('resources', { args: { counts: { connections: 1 } } }, { at: 0 })
        .mark('resources', { args: { counts: { connections: 3 } } }, { at: 20_000 }),
  },
  {
    name: 'effect twice',
    fails: ['H29'],
    inject: (s) => {
      for (let index = 0; index < 20; index++) s.mark('effect', { task: `t${index}` }, { at: 20_000 });
      completed(s).mark('effect', { task: 'x' }, { at: 20_000 }).mark('effect', { task: 'x' }, { at: 20_000 });
    },
  },
  { name: 'undocumented error', fails: ['H30'], inject: (s) => s.enqueue('x', { at: 1_000 }, 'error:TypeError') },
  {
    name: 'settle that throws',
    fails: ['H30'],
    inject: (s) => claimed(s).settle('complete', 'x', 1, { at: 1_020 }, 'error:INDETERMINATE'),
  },
  {
    name: 'call that never ended',
    fails: ['H30'],
    options: { deadlineMs: 5_000 },
    inject: (s) => s.enqueue('x', { at: 1_000, took: 'never' }),
  },
];

describe('anomalies of keys, order, limits and rest (H15 to H30)', () => findAnomalies(anomalies));
