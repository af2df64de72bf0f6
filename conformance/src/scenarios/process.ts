import type { ScenarioContext } from '../context/scenario-context.ts';
import type { JournalEntry } from '../faults/worker-journal.ts';
import { longestStartMs, startWorkerProcess, type WorkerProcess } from '../faults/worker-process.ts';
import type { WorkerProcessOptions } from '../faults/worker-protocol.ts';
import type { Script, Step } from '../faults/worker-script.ts';
import { processes } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** Scenarios that kill, freeze and block worker processes. */
export const processScenarios: readonly Scenario[] = [
  {
    id: 'FLT-29',
    rule: 'R-FLT-29',
    title: 'kill -9 of a worker amid many tasks: all end, only what it held runs twice, within ttl + sweep',
    tier: 'fault',
    needs: [processes],
    patience: 3,
    async run(t) {
      // One of them kills the process that runs it: from outside, the blow might come when all is done already.
      const deadly: Step = ['on-attempt', 1, [['kill', 'SIGKILL']]];
      const tasks = await t.enqueueMany(60, (index) => ({
        input: script(['sleep', 40], ...(index === 20 ? [deadly] : []), ['return', 1]),
      }));
      const victim = await startWorker(t, { concurrency: 5, prefetch: 0 });
      const death = await t.soon(victim.exited, 'the death of the victim', 5_000 + t.budgetMs);
      t.equal(death.signal, 'SIGKILL', 'the end of the victim');
      const heir = await startWorker(t, { concurrency: 5, prefetch: 0 });
      // How long a process takes to start is not the broker's.
      const readyAt = t.now();
      const ids = tasks.map((task) => task.id);
      const boundMs = processTtlMs(t) + t.capabilities.session.sweepMs + t.budgetMs;
      const ended = async (): Promise<boolean> =>
        t.capabilities.tasks.get
          ? (await t.tasks.get(ids)).every((record) => record?.state === 'succeeded')
          : ids.every((id) => count(victim, 'end', id) + count(heir, 'end', id) > 0);
      await t.eventually(ended, 'the end of all tasks', boundMs);
      const recoveredMs = t.now() - readyAt;
      t.measure('recoveryAfterWorkerKillMs', recoveredMs);
      t.between(recoveredMs, 0, boundMs, 'the time from when another worker was there to the end of all tasks');
      const attempts = ids.map((id) => Math.max(...attemptsOf(victim, id), ...attemptsOf(heir, id)));
      t.ok(
        attempts.every((attempt) => attempt <= 2),
        'no task was charged more than the one lost run',
      );
      // What it ran, what had ended and was still being settled, and one claim for its slots.
      const charged = ids.filter((_id, index) => attempts[index] === 2);
      t.between(charged.length, 1, ids.length, 'tasks that were charged for the kill');
      const innocent = charged.filter((id) => count(victim, 'start', id) === 0);
      t.between(innocent.length, 0, 5, 'tasks that were charged although it never started them');
      const twice = ids.filter((id) => count(victim, 'start', id) > 0 && count(heir, 'start', id) > 0);
      t.ok(twice.length <= charged.length, 'only what was charged ran on both');
      t.equal(
        ids.filter((id) => count(heir, 'start', id) > 1),
        [],
        'tasks the heir started twice',
      );
    },
  },
  {
    id: 'LSE-09',
    rule: 'R-LSE-9',
    title:
      'SIGSTOP past the ttl, then SIGCONT: the task runs elsewhere, the handler sees LEASE_LOST, its result is refused',
    tier: 'fault',
    needs: [processes],
    patience: 2,
    async run(t) {
      const frozen = await startWorker(t);
      const task = await t.enqueue({ input: script(['sleep-deaf', 2 * processTtlMs(t)], ['return', 'first']) });
      await t.eventually(() => count(frozen, 'start', task.id) === 1, 'the start of the task');
      await frozen.freeze();
      await t.pause(processTtlMs(t));
      const holder = await t.holder();
      const [delivery] = await holder.claimRecovered();
      t.equal([delivery?.lease.taskId, delivery?.lease.attempt], [task.id, 2], 'what is delivered elsewhere');
      await frozen.thaw();
      const told = (): boolean => frozen.journal().some((line) => line.event === 'abort' && line.code === 'LEASE_LOST');
      await t.eventually(told, 'the abort in the thawed process', processTtlMs(t) + t.budgetMs);
      const longMs = 3 * processTtlMs(t) + t.budgetMs;
      await t.eventually(() => count(frozen, 'end', task.id) === 1, 'the end of the deaf handler', longMs);
      await t.moment();
      await t.inState(task.id, 'running', 'the state after the thawed process was done');
      t.equal(await holder.complete(t.defined(delivery, 'the delivery'), '"second"'), 'applied', 'the completion');
      if (t.capabilities.tasks.get) t.equal((await t.record(task.id)).output, '"second"', 'the output');
    },
  },
  {
    id: 'LSE-23',
    rule: 'R-LSE-23',
    title:
      'an event loop blocked longer than the ttl: the task runs elsewhere, and what the blocked one returns is refused',
    tier: 'fault',
    needs: [processes],
    patience: 2,
    async run(t) {
      const blocked = await startWorker(t);
      const task = await t.enqueue({ input: script(['busy', 3 * processTtlMs(t)], ['return', 'late']) });
      await t.eventually(() => count(blocked, 'start', task.id) === 1, 'the start of the task');
      await t.pause(processTtlMs(t));
      const holder = await t.holder();
      const [delivery] = await holder.claimRecovered();
      t.equal(delivery?.lease.attempt, 2, 'the attempt delivered elsewhere');
      const longMs = 4 * processTtlMs(t) + t.budgetMs;
      await t.eventually(() => count(blocked, 'end', task.id) === 1, 'the end of the blocking handler', longMs);
      await t.moment();
      await t.inState(task.id, 'running', 'the state after the blocked process was done');
      t.equal(await holder.complete(t.defined(delivery, 'the delivery'), '"second"'), 'applied', 'the completion');
      if (t.capabilities.tasks.get) t.equal((await t.record(task.id)).output, '"second"', 'the output');
    },
  },
  {
    id: 'SHD-04',
    rule: 'R-SHD-4',
    title:
      'SIGTERM: running handlers finish, what waits goes back uncharged, and the process ends by itself with code 0',
    tier: 'fault',
    needs: [processes],
    patience: 2,
    async run(t) {
      const worker = await startWorker(t, { concurrency: 2, sessionTtlMs: t.capabilities.session.maxTtlMs });
      const tasks = await t.enqueueMany(6, () => ({ input: script(['sleep', 300], ['return', 'done']) }));
      await t.eventually(() => count(worker, 'start') >= 2, 'two runs');
      worker.kill('SIGTERM');
      // Nothing calls process.exit in there: timers, sockets or handles left behind would keep it alive (SHD-05).
      const end = await t.soon(worker.exited, 'the end of the process', 6_000 + t.budgetMs);
      t.equal(end, { code: 0, signal: null }, 'how the process ended');
      t.equal(count(worker, 'stopped'), 1, 'whether it stopped in order');
      const finished = tasks.filter((task) => count(worker, 'end', task.id) === 1);
      const records = t.capabilities.tasks.get ? await t.tasks.get(tasks.map((task) => task.id)) : [];
      for (const record of records) {
        const ended = finished.some((task) => task.id === record?.id);
        t.equal(record?.state, ended ? 'succeeded' : 'pending', 'the state of a task');
      }
      const rest = await (await t.holder()).claimMany(tasks.length - finished.length);
      t.ok(
        rest.every((delivery) => delivery.lease.attempt === 1),
        'what went back is not charged',
      );
    },
  },
  {
    id: 'SHD-05',
    rule: 'R-SHD-5',
    title: 'a process that only enqueued ends by itself once its broker is closed: no timer, no socket is left',
    tier: 'fault',
    needs: [processes],
    async run(t) {
      const producer = await startWorker(t, { claims: false });
      producer.produce({ prefix: 'made-', count: 20, batch: 7, script: [['return', 1]] });
      await t.eventually(() => count(producer, 'enqueued') === 3, 'three batches');
      const end = await t.soon(producer.stop(), 'the end of the process', 5_000 + t.budgetMs);
      t.equal(end, { code: 0, signal: null }, 'how the process ended');
      t.equal((await (await t.holder()).claimMany(20)).length, 20, 'tasks it enqueued');
    },
  },
  {
    id: 'SHD-10',
    rule: 'R-SHD-10',
    title: 'kill -9 while a worker is stopping: what it still held comes back, nothing is lost',
    tier: 'fault',
    needs: [processes],
    patience: 2,
    async run(t) {
      const worker = await startWorker(t, { concurrency: 3 });
      const tasks = await t.enqueueMany(3, () => ({ input: script(['sleep-deaf', 60_000]) }));
      await t.eventually(() => count(worker, 'start') === 3, 'three runs');
      worker.kill('SIGTERM');
      await t.moment();
      worker.kill();
      await t.soon(worker.exited, 'the end of the process');
      await t.advance(processTtlMs(t));
      const recovered = await (await t.holder()).claimRecovered(3);
      t.equal(
        recovered.map((each) => each.lease.taskId).sort(),
        tasks.map((task) => task.id).sort(),
        'tasks recovered',
      );
    },
  },
];

/** Short, and long enough that a process which shares its processor with others does not lose its session. */
export function processTtlMs(t: ScenarioContext): number {
  return Math.max(2_000, t.shortTtlMs);
}

/** A worker process that claims, with a short ttl; gone at the end, whatever state it is in. */
export async function startWorker(t: ScenarioContext, options: WorkerProcessOptions = {}): Promise<WorkerProcess> {
  const { workerModule, bundleWorker = false } = t.harness;
  if (workerModule === undefined) throw new Error('the harness has no workerModule');
  const worker = startWorkerProcess({
    module: workerModule,
    bundle: bundleWorker,
    url: t.client.target.url,
    namespace: t.namespace,
    options: {
      sessionTtlMs: processTtlMs(t),
      maintenanceMs: Math.min(200, t.capabilities.session.sweepMs),
      drainMs: 5_000,
      ...options,
    },
  });
  t.defer(() => worker.close());
  await t.soon(worker.ready, 'the start of a worker process', longestStartMs);
  return worker;
}

/** The attempts of a task that a worker process ran. */
function attemptsOf(worker: WorkerProcess, task: string): number[] {
  return worker.journal().flatMap((line) => (line.event === 'start' && line.task === task ? [line.attempt] : []));
}

/** How often something happened in a worker process, to one task or to any. */
export function count(worker: WorkerProcess, event: JournalEntry['event'], task?: string): number {
  return worker
    .journal()
    .filter((line) => line.event === event && (task === undefined || ('task' in line && line.task === task))).length;
}

/** An input that a worker process runs. */
export function script(...steps: Script): string {
  return JSON.stringify(steps);
}
