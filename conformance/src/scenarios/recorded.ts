import { type Broker, fixed, NonRetryable, type TaskStore } from '@millrace/core';
import { buildTask } from '../context/builders.ts';
import type { Client } from '../context/client.ts';
import { hire, job } from '../context/crew.ts';
import { Recording } from '../context/recording.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { seededRandom } from '../faults/nemesis.ts';
import type { Scenario } from '../scenario.ts';

const producers = 3;
const workers = 3;
const tasksEach = 40;

/** CON: everything at once, recorded and judged. */
export const recordedScenarios: readonly Scenario[] = [
  {
    id: 'CON-15',
    rule: 'R-CON-15',
    title: 'producers, workers, users and a worker that stood still, recorded: the history refutes no invariant',
    tier: 'core',
    patience: 3,
    run: work,
  },
];

/** What an input tells its handler to do. */
const plans = ['return', 'return', 'return', 'throw once', 'throw', 'refuse', 'linger'] as const;

async function work(t: ScenarioContext): Promise<void> {
  const random = seededRandom(t.seed);
  const recording = new Recording(t);
  const settled = new Set<string>();
  const { handler } = job(
    async (input, { id, attempt, signal }) => {
      const plan = input as (typeof plans)[number];
      await t.tempo.timer(random() * t.unitMs * (plan === 'linger' ? 1 : 0.1), signal);
      if (signal.aborted) throw signal.reason;
      if (plan === 'throw' || (plan === 'throw once' && attempt === 1)) throw new Error(plan);
      if (plan === 'refuse') throw new NonRetryable(plan);
      settled.add(id);
      return plan;
    },
    { retry: fixed({ attempts: 3, delay: 0 }) },
  );
  const crew = await Promise.all(Array.from({ length: workers }, () => t.open()));
  for (const [index, client] of crew.entries()) {
    const role = `worker ${index + 1}`;
    await hire(t, [handler], {
      client,
      broker: recording.of(client, role),
      middleware: [recording.recorder.handlers(role)],
      concurrency: 3,
      sessionTtl: t.shortTtlMs,
    });
  }
  const ids: string[] = [];
  const producing = Array.from({ length: producers }, async (_unused, index) => {
    const client = await t.open();
    const broker = recording.of(client, `producer ${index + 1}`);
    for (let task = 0; task < tasksEach; task++) await produce(t, broker, random, ids);
  });
  const [doomed] = t.harness.ignoresClock === true ? [] : crew;
  await t.soon(Promise.all([...producing, falter(t, recording, doomed)]), 'the enqueues', 10 * t.budgetMs);
  const unrest = await atRest(t, ids, settled).catch((error: unknown) => error);
  // It knows better what went wrong than a wait that was too long.
  await recording.judge(ids, { seed: t.seed });
  if (unrest !== undefined) throw unrest;
}

/** One of the workers stands still until its session is over, and then goes on. */
async function falter(t: ScenarioContext, recording: Recording, client: Client | undefined): Promise<void> {
  if (client === undefined) return;
  await t.tempo.timer(t.unitMs);
  recording.noteFreeze('worker 1', 'start');
  client.freeze();
  await t.tempo.timer(1.5 * t.shortTtlMs);
  client.thaw();
  recording.noteFreeze('worker 1', 'heal');
}

async function produce(
  t: ScenarioContext,
  broker: Broker<unknown>,
  random: () => number,
  ids: string[],
): Promise<void> {
  const delayMs = random() < 0.2 ? Math.round(random() * t.unitMs) : 0;
  const plan = plans[Math.floor(random() * plans.length)];
  const task = buildTask({ input: JSON.stringify(plan), priority: Math.floor(random() * 10), delayMs });
  const outcomes = await broker.enqueue([task]);
  t.require(outcomes[0]?.status === 'accepted', 'an enqueue was not accepted');
  ids.push(task.id);
  if (random() < 0.2) await meddle(t, broker.tasks, ids[Math.floor(random() * ids.length)] ?? task.id, random);
  await t.tempo.timer(random() * 5);
}

/** What a user might do meanwhile, as far as the broker lets him. */
async function meddle(
  t: ScenarioContext,
  tasks: TaskStore | undefined,
  id: string,
  random: () => number,
): Promise<void> {
  const { cancel, reschedule, rerun, get } = t.capabilities.tasks;
  if (tasks === undefined) return;
  const choice = random();
  if (choice < 0.3 && cancel.length > 0) await tasks.cancel([id]);
  else if (choice < 0.5 && reschedule) await tasks.reschedule([id], { delayMs: 0 });
  else if (choice < 0.6 && rerun) await tasks.rerun([id]);
  else if (get) await tasks.get([id]);
}

/** Until every task has ended, as far as one can tell. */
async function atRest(t: ScenarioContext, ids: readonly string[], settled: ReadonlySet<string>): Promise<void> {
  const ended = new Set(['succeeded', 'failed', 'cancelled']);
  if (t.capabilities.tasks.get) {
    const allEnded = async (): Promise<boolean> =>
      (await t.tasks.get(ids)).every((record) => record !== undefined && ended.has(record.state));
    await t.eventually(allEnded, 'the end of all tasks', 10 * t.budgetMs);
    return;
  }
  // Without a lookup: as long as more of them succeed, there was more to do.
  for (let before = -1; before < settled.size; ) {
    before = settled.size;
    await t.pause(10 * t.unitMs);
  }
}
