import type { Scenario } from '../scenario.ts';
import { recoveryMs } from './call-end.ts';
import { Fleet } from './fleet.ts';
import { processScenario } from './process-scenario.ts';
import { longestStartMs } from './worker-process.ts';

/** Processes that die. */
export const killScenarios: readonly Scenario[] = [
  processScenario({
    id: 'FLT-38',
    rule: 'R-FLT-29',
    title:
      'a worker dies of SIGKILL in a handler, between handler and settle, and in the middle of 2,000 tasks: none is lost',
    patience: 6,
    async run(t) {
      for (const [label, death] of [
        ['in the handler', ['kill', 'SIGKILL']],
        ['between handler and settle', ['return-and-kill', 'SIGKILL']],
      ] as const) {
        await t.cell(label, async () => {
          const fleet = new Fleet(t);
          await fleet.enlist(2);
          const victim = await fleet.enqueue(
            [
              ['on-attempt', 1, [death]],
              ['return', 1],
            ],
            { maxAttempts: 3 },
          );
          await fleet.enqueueMany(20, [
            ['sleep', 20],
            ['return', 1],
          ]);
          const first = await fleet.started(victim.id);
          const second = await fleet.started(victim.id, 2);
          t.ok(first.pid !== second.pid, 'another process runs it');
          t.between(Number(second.at - first.at) / 1e6, 0, fleet.recoveryMs, 'milliseconds until the task ran again');
          t.equal((await fleet.whose(first).exited).signal, 'SIGKILL', 'how the first process ended');
          await fleet.allSucceed();
          await fleet.dismiss();
        });
      }
      await t.cell('one of two in the middle of 2,000 tasks', async () => {
        const fleet = new Fleet(t);
        const [first] = await fleet.enlist(2);
        await fleet.enqueueMany(2_000, [
          ['sleep', 2],
          ['return', 1],
        ]);
        await t.eventually(
          () => fleet.runs().filter((run) => run.event === 'end').length > 600,
          'the first third',
          recoveryMs(t),
        );
        first?.kill();
        await fleet.allSucceed(fleet.tasks, 2 * fleet.recoveryMs);
      });
    },
  }),
  processScenario({
    id: 'FLT-42',
    rule: 'R-FLT-42',
    title: 'a worker dies of SIGKILL while it waits for work: what comes next starts elsewhere, at once',
    patience: 3,
    async run(t) {
      // A ttl far longer than anything here takes: what is handed to who is gone would show.
      const fleet = new Fleet(t, 120_000);
      const workers = await fleet.enlist(4);
      for (const worker of workers.slice(1)) {
        worker.kill();
        await worker.exited;
        const enqueued = process.hrtime.bigint();
        const longestMs = t.capabilities.wakeup.pollMs + t.budgetMs;
        // One by one, and more than there are workers: whoever has a turn gets one before it can ask again.
        const tasks = await Promise.all(workers.flatMap(() => [1, 2].map(() => fleet.enqueue([['return', 1]]))));
        for (const { id } of tasks) {
          const start = await t.eventually(() => fleet.starts(id)[0], 'the start of a task', longestMs);
          t.between(Number(start.at - enqueued) / 1e6, 0, longestMs, 'milliseconds until a task starts');
        }
        // They may have run where the next one dies.
        await fleet.allSucceed(tasks);
      }
    },
  }),
  processScenario({
    id: 'FLT-30',
    rule: 'R-CON-3',
    title: 'a producer dies of SIGKILL in the middle of its batches: what it was told is accepted is there, once',
    patience: 3,
    async run(t) {
      const fleet = new Fleet(t);
      const producer = await fleet.enlistOne({ claims: false });
      const prefix = `${t.namespace}-`;
      producer.produce({ prefix, count: 100_000, batch: 50, script: [['return', 1]] });
      const accepted = (): string[] =>
        producer.journal().flatMap((entry) => (entry.event === 'enqueued' ? entry.tasks : []));
      await t.eventually(() => accepted().length >= 1_000, 'a thousand tasks accepted', recoveryMs(t));
      producer.kill();
      await producer.exited;
      const known = new Set(accepted());
      const holder = await t.holder();
      const delivered: string[] = [];
      for (;;) {
        const batch = await holder.claim({
          limit: Math.min(200, t.capabilities.batch.maxClaim),
          waitMs: Math.round(t.unitMs),
        });
        if (batch.length === 0) break;
        delivered.push(...batch.map((delivery) => delivery.lease.taskId));
        await holder.settleAll(batch.map(({ lease }) => ({ type: 'complete', lease })));
      }
      const there = new Set(delivered);
      t.equal(there.size, delivered.length, 'tasks delivered, each once');
      t.equal(
        [...known].filter((id) => !there.has(id)),
        [],
        'accepted tasks that are not there',
      );
      // The batch under way may be there or not; nothing beyond it was sent.
      const unknown = delivered.filter((id) => !known.has(id));
      t.between(unknown.length, 0, 50, 'tasks that are there although nobody was told');
      if (t.capabilities.batch.enqueueAtomic) t.ok(unknown.length % 50 === 0, 'a batch is there as a whole');
      await holder.claimsNothing();
    },
  }),
  processScenario({
    id: 'FLT-33',
    rule: 'R-FLT-29',
    title:
      'a handler exhausts the heap, another throws from a timer: their processes die, their tasks run again, the rest succeeds',
    patience: 4,
    async run(t) {
      for (const [label, death] of [
        ['out of memory', ['exhaust-heap']],
        ['uncaught exception', ['throw-in-timer', 'nobody catches this']],
      ] as const) {
        await t.cell(label, async () => {
          const fleet = new Fleet(t);
          await fleet.enlist(2, { flags: ['--max-old-space-size=96'], concurrency: 2 });
          const victim = await fleet.enqueue([
            ['on-attempt', 1, [death, ['sleep', 30_000]]],
            ['return', 1],
          ]);
          await fleet.enqueueMany(20, [
            ['sleep', 10],
            ['return', 1],
          ]);
          const first = await fleet.started(victim.id);
          const { code, signal } = await t.soon(fleet.whose(first).exited, 'the death of the process', longestStartMs);
          t.ok(code !== 0, `the process died (${code ?? signal})`);
          await fleet.allSucceed();
          t.equal(fleet.starts(victim.id).length, 2, 'runs of the task');
          await fleet.dismiss();
        });
      }
    },
  }),
  processScenario({
    id: 'FLT-34',
    rule: 'R-FLT-29',
    title:
      'a random worker is killed every half second and replaced: all tasks are done, and kills explain their attempts',
    patience: 5,
    async run(t) {
      const fleet = new Fleet(t);
      const alive = await fleet.enlist(3, { concurrency: 4 });
      await fleet.enqueueMany(600, [
        ['sleep', 30],
        ['return', 1],
      ]);
      for (let kill = 0; kill < 10; kill++) {
        await t.tempo.pause(500);
        const [chosen] = alive.splice(Math.floor(Math.random() * alive.length), 1);
        chosen?.kill();
        alive.push(fleet.launch({ concurrency: 4 }));
      }
      await fleet.allSucceed(fleet.tasks, 3 * fleet.recoveryMs);
    },
  }),
  processScenario({
    id: 'FLT-39',
    rule: 'R-RTY-6',
    title: 'a task that kills its process ends dead after its attempts, kind lost, while its neighbours succeed',
    patience: 5,
    async run(t) {
      const fleet = new Fleet(t, 1_000);
      const poison = await fleet.enqueue([['kill', 'SIGKILL']], { maxAttempts: 3 });
      const neighbours = await fleet.enqueueMany(
        30,
        [
          ['sleep', 5],
          ['return', 1],
        ],
        // Where a broker cannot know that they never began, each death charges those claimed ahead; where it keeps no
        // order, the poison may also start right behind one whose completion is still on its way.
        { maxAttempts: t.capabilities.reports.begun && t.capabilities.order === 'fifo' ? 3 : 20 },
      );
      for (let death = 1; death <= 3; death++) {
        // One at a time: neighbours are claimed ahead when the process dies, but have not begun (LSE-16).
        const worker = fleet.launch({ concurrency: 1, prefetch: 10 });
        const { signal } = await t.soon(worker.exited, `death ${death}`, fleet.recoveryMs + longestStartMs);
        t.equal(signal, 'SIGKILL', `death ${death}: ${worker.output()}`);
      }
      // It has to live, on a busy machine too: neighbours on their last attempt would die with its session.
      const survivor = await fleet.enlistOne({ sessionTtlMs: t.heardTtlMs });
      await fleet.allSucceed(neighbours, 2 * fleet.recoveryMs);
      if (t.capabilities.tasks.get) {
        const record = await t.eventually(
          async () => {
            const found = await t.record(poison.id);
            return found.state === 'failed' ? found : undefined;
          },
          'the end of the poison',
          fleet.recoveryMs,
        );
        t.equal([record.failure, record.attempt], ['lost', 3], 'failure and attempt');
        t.equal(
          record.errors.map((error) => error.kind),
          ['lost', 'lost', 'lost'],
          'its errors',
        );
      }
      t.equal((await survivor.stop()).code, 0, 'how the last worker ends');
      t.equal(
        fleet.starts(poison.id).map((run) => run.attempt),
        [1, 2, 3],
        'attempts of the poison',
      );
      await fleet.leavesNothing();
    },
  }),
];
