import type { ScenarioContext } from '../context/scenario-context.ts';
import { serverClock } from '../needs.ts';
import type { Scenario } from '../scenario.ts';
import { clockSkewPreload, clockSkewVariable } from './clock-skew.ts';
import { Fleet } from './fleet.ts';
import { processScenario } from './process-scenario.ts';
import type { JournalEntry } from './worker-journal.ts';
import type { WorkerProcess } from './worker-process.ts';

const hourMs = 3_600_000;

/** A warning that an outcome of this task was not taken, or came too late. */
function wasTold(worker: WorkerProcess, taskId: string): boolean {
  const tells = (entry: JournalEntry): boolean =>
    (entry.event === 'abort' && entry.task === taskId && entry.code === 'LEASE_LOST') ||
    (entry.event === 'log' && entry.task === taskId);
  return worker.journal().some(tells);
}

/** Processes that stand still, or whose clocks are wrong. */
export const freezeScenarios: readonly Scenario[] = [
  processScenario({
    id: 'FLT-31',
    rule: 'R-LSE-9',
    title:
      'workers that stand still or block for three times the ttl: late results are refused, nothing runs twice without a reason',
    patience: 8,
    async run(t) {
      for (const [label, part] of [
        ['SIGSTOP and SIGCONT of some', someFrozen],
        ['SIGSTOP and SIGCONT of all', allFrozen],
        ['a blocked event loop', oneBlocked],
      ] as const) {
        const fleet = new Fleet(t);
        await t.cell(label, () => part(t, fleet));
        await fleet.dismiss();
      }
    },
  }),
  processScenario({
    id: 'FLT-32',
    rule: 'R-DLY-10',
    title: 'worker clocks an hour ahead, an hour behind, and jumping: nothing early, nothing missed, no session lost',
    needs: [serverClock],
    patience: 4,
    async run(t) {
      const fleet = new Fleet(t);
      const skewed = (ms: number): ReturnType<Fleet['enlistOne']> =>
        fleet.enlistOne({ preload: [clockSkewPreload], environment: { [clockSkewVariable]: String(ms) } });
      const [, , jumping] = await Promise.all([skewed(hourMs), skewed(-hourMs), skewed(0)]);
      const delayMs = Math.max(1_500, 2 * t.capabilities.delay.granularityMs);
      const enqueued = process.hrtime.bigint();
      const delayed = await fleet.enqueueMany(15, [['return', 1]], { delayMs });
      await fleet.enqueueMany(
        30,
        [
          ['sleep', 100],
          ['return', 1],
        ],
        { expiresInMs: 600_000 },
      );
      for (let jump = 0; jump < 10; jump++) {
        jumping.jumpClock(jump % 2 === 0 ? hourMs : -hourMs);
        await t.tempo.pause(delayMs / 10);
      }
      await fleet.allSucceed();
      for (const task of delayed) {
        const [start] = fleet.starts(task.id);
        const waited = Number(t.defined(start, 'the start').at - enqueued) / 1e6;
        t.ok(
          waited >= delayMs - t.capabilities.timePrecisionMs,
          `a delayed task was not early: it waited ${waited} of ${delayMs} ms`,
        );
      }
      t.equal(
        fleet.runs().filter((run) => run.attempt > 1),
        [],
        'runs that were repeated',
      );
    },
  }),
];

/** LSE-09 with a second process: the old run is told, its late result is refused, the new one stands. */
async function someFrozen(t: ScenarioContext, fleet: Fleet): Promise<void> {
  await fleet.enlist(2, { concurrency: 4 });
  // One returns as soon as it moves again, before any timer told it; the other notices by its signal.
  const late = await fleet.enqueue([
    [
      'on-attempt',
      1,
      [
        // Over while it stands still, and not before, however long the freezing takes.
        ['sleep-deaf', 1.5 * fleet.ttlMs],
        ['return', 'old'],
      ],
    ],
    ['return', 'new'],
  ]);
  const waiting = await fleet.enqueue([
    ['on-attempt', 1, [['await-abort']]],
    ['return', 'new'],
  ]);
  const first = await fleet.started(late.id);
  const second = await fleet.started(waiting.id);
  const frozen = new Set([fleet.whose(first), fleet.whose(second)]);
  await Promise.all([...frozen].map((worker) => worker.freeze()));
  // When both had it, nobody is left to take over.
  if (frozen.size === 2) await fleet.enlistOne();
  await t.tempo.pause(3 * fleet.ttlMs);
  for (const task of [late, waiting]) {
    const again = await fleet.started(task.id, 2);
    t.ok(![...frozen].some((worker) => worker.pid === again.pid), 'a process that moves took over');
    // Where tasks are pushed, one may have been sent to another process that stands still, or to another subscription of
    // the same one whose end the server had not come to yet; that counts, too.
    const most = t.capabilities.settle.confirmedBy === 'barrier' ? 1 + 2 * frozen.size : 2;
    t.between(again.attempt, 2, most, 'the attempt: the frozen run is charged');
  }
  await Promise.all([...frozen].map((worker) => worker.thaw()));
  await t.eventually(
    () => wasTold(fleet.whose(first), late.id),
    'word that the late result was refused',
    fleet.recoveryMs,
  );
  await t.eventually(() => wasTold(fleet.whose(second), waiting.id), 'the abort with LEASE_LOST', fleet.recoveryMs);
  await fleet.allSucceed();
  for (const task of [late, waiting]) {
    t.equal(fleet.starts(task.id).length, 2, 'runs');
    if (t.capabilities.tasks.get) t.equal((await t.record(task.id)).output, '"new"', 'the output: that of the new run');
  }
  // They work again, with sessions of their own.
  await fleet.enqueueMany(20, [
    ['sleep', 50],
    ['return', 1],
  ]);
  await fleet.allSucceed();
}

/** Nobody is left to take over: they take each other’s tasks when they move again. */
async function allFrozen(t: ScenarioContext, fleet: Fleet): Promise<void> {
  const workers = await fleet.enlist(2);
  await fleet.enqueueMany(60, [
    ['sleep', 60],
    ['return', 1],
  ]);
  await t.eventually(() => fleet.runs().length > 10, 'runs under way', fleet.recoveryMs);
  await Promise.all(workers.map((worker) => worker.freeze()));
  await t.tempo.pause(3 * fleet.ttlMs);
  await Promise.all(workers.map((worker) => worker.thaw()));
  await fleet.allSucceed(fleet.tasks, 2 * fleet.recoveryMs);
  const ends = await Promise.all(
    workers.map((worker) => t.soon(worker.stop(), 'the stop of a worker', fleet.recoveryMs)),
  );
  t.equal(
    ends.map((end) => end.code),
    [0, 0],
    'exit codes',
  );
  await fleet.leavesNothing();
}

/** LSE-23 with a second process. */
async function oneBlocked(t: ScenarioContext, fleet: Fleet): Promise<void> {
  await fleet.enlist(2, { concurrency: 2 });
  const task = await fleet.enqueue([
    [
      'on-attempt',
      1,
      [
        ['busy', 3 * fleet.ttlMs],
        ['return', 'old'],
      ],
    ],
    ['return', 'new'],
  ]);
  const first = await fleet.started(task.id);
  const second = await fleet.started(task.id, 2);
  t.ok(first.pid !== second.pid, 'another process took over');
  t.equal(second.attempt, 2, 'the attempt');
  await t.eventually(
    () => wasTold(fleet.whose(first), task.id),
    'word that the late result was refused',
    3 * fleet.ttlMs + fleet.recoveryMs,
  );
  await fleet.allSucceed();
  if (t.capabilities.tasks.get) t.equal((await t.record(task.id)).output, '"new"', 'the output');
  t.equal(fleet.starts(task.id).length, 2, 'runs');
  await fleet.enqueueMany(10, [
    ['sleep', 50],
    ['return', 1],
  ]);
  await fleet.allSucceed();
}
