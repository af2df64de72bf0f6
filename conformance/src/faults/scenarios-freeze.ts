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
    id: 'LSE-09',
    title:
      'SIGSTOP for three times the ttl, then SIGCONT: the old run is told, its late result is refused, the new one stands',
    patience: 4,
    async run(t) {
      const fleet = new Fleet(t);
      await fleet.enlist(2, { concurrency: 4 });
      // One returns as soon as it moves again, before any timer told it; the other notices by its signal.
      const late = await fleet.enqueue([
        [
          'on-attempt',
          1,
          [
            ['sleep-deaf', 500],
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
        t.equal(again.attempt, 2, 'the attempt: the frozen run is charged');
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
        if (t.capabilities.tasks.get)
          t.equal((await t.record(task.id)).output, '"new"', 'the output: that of the new run');
      }
      // They work again, with sessions of their own.
      await fleet.enqueueMany(20, [
        ['sleep', 50],
        ['return', 1],
      ]);
      await fleet.allSucceed();
    },
  }),
  processScenario({
    id: 'FLT-31',
    title: 'all workers are stopped for three times the ttl and go on: everything runs, nothing twice without a reason',
    patience: 4,
    async run(t) {
      const fleet = new Fleet(t);
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
      await (await t.holder()).claimsNothing();
    },
  }),
  processScenario({
    id: 'FLT-32',
    title: 'worker clocks an hour ahead, an hour behind, and jumping: nothing early, nothing missed, no session lost',
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
  processScenario({
    id: 'FLT-38',
    title:
      'a handler blocks the event loop of its process longer than the ttl: another takes over, its own result is refused',
    patience: 4,
    async run(t) {
      const fleet = new Fleet(t);
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
    },
  }),
  processScenario({
    id: 'SHD-04',
    title: 'SIGTERM to a worker process: it finishes what runs, hands back the rest, and ends by itself with code 0',
    patience: 3,
    async run(t) {
      const fleet = new Fleet(t, 60_000);
      const worker = await fleet.enlistOne({ concurrency: 2, prefetch: 10 });
      const running = await fleet.enqueueMany(2, [
        ['sleep', 500],
        ['return', 1],
      ]);
      const waiting = await fleet.enqueueMany(
        10,
        [
          ['sleep', 10],
          ['return', 1],
        ],
        { priority: 1 },
      );
      await t.eventually(() => fleet.runs().length >= 2, 'runs under way', fleet.recoveryMs);
      worker.kill('SIGTERM');
      const { code, signal } = await t.soon(worker.exited, 'the end of the process', 10_000);
      t.equal([code, signal], [0, null], `exit code and signal: ${worker.output()}`);
      const ended = new Set(fleet.runs().flatMap((run) => (run.event === 'end' ? [run.task] : [])));
      t.ok(
        running.every((task) => ended.has(task.id)),
        'what ran was finished',
      );
      // At once: nothing is left to a ttl of a minute. And uncharged.
      const left = waiting.filter((task) => !ended.has(task.id));
      const holder = await t.holder();
      const back = await holder.claimMany(left.length);
      t.equal(
        back.map((each) => [each.lease.taskId, each.lease.attempt]).sort(),
        left.map((task) => [task.id, 1]).sort(),
        'tasks that came back, and their attempts',
      );
      await holder.claimsNothing();
    },
  }),
  processScenario({
    id: 'SHD-10',
    title: 'SIGKILL in the middle of a graceful stop: what ran is run again, the rest was handed back',
    patience: 3,
    async run(t) {
      const fleet = new Fleet(t);
      const worker = await fleet.enlistOne({ concurrency: 2, prefetch: 10 });
      await fleet.enqueueMany(2, [
        ['on-attempt', 1, [['sleep-deaf', 20_000]]],
        ['return', 1],
      ]);
      await fleet.enqueueMany(10, [['return', 1]], { priority: 1 });
      await t.eventually(() => fleet.runs().length >= 2, 'runs under way', fleet.recoveryMs);
      void worker.stop();
      await t.tempo.pause(300);
      worker.kill();
      await fleet.enlistOne();
      await fleet.allSucceed();
    },
  }),
];
