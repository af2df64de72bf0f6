import type { ControlOutcome, EnqueueOutcome, NewTask } from '@millrace/core';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { idempotentIds } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** More would only take longer: what grows with the square of a batch shows with these. */
const largest = 5_000;
const accepted: EnqueueOutcome = { status: 'accepted' };

/** MOD: batches in which each task has to be compared with what is there. */
export const largeBatchScenarios: readonly Scenario[] = [
  {
    id: 'MOD-27',
    rule: 'R-MOD-27',
    title: 'the largest batches of known ids, taken keys and replacements, and control of as many tasks, end in time',
    tier: 'extended',
    needs: [idempotentIds],
    patience: 3,
    async run(t) {
      const count = Math.min(largest, t.capabilities.batch.maxEnqueue);
      const tasks = many(t, count, (index) => ({ input: `${index}` }));
      await t.cell('ids of the caller', () => enqueues(t, tasks, () => accepted));
      await t.cell('ids that are known', () => enqueues(t, tasks, (index) => duplicateOf(tasks, index)));
      await t.cell('each id twice', async () => {
        const once = many(t, Math.floor(count / 2));
        const twice = once.flatMap((task) => [task, task]);
        await enqueues(t, twice, (index) => (index % 2 === 0 ? accepted : duplicateOf(twice, index)));
      });
      if (t.capabilities.unique !== false) await enqueueKeys(t, count);
      await controlAll(
        t,
        tasks.map((task) => task.id),
      );
    },
  },
];

async function enqueueKeys(t: ScenarioContext, count: number): Promise<void> {
  const keyed = (changes: Partial<NewTask> = {}): NewTask[] =>
    many(t, count, (index) => ({ key: `key ${index}`, keyUntil: 'settled', onConflict: 'ignore', ...changes }));
  const holders = keyed();
  await t.cell('keys', () => enqueues(t, holders, () => accepted));
  await t.cell('keys that are taken', () => enqueues(t, keyed(), (index) => duplicateOf(holders, index)));
  await t.cell('keys taken by half of the batch', async () => {
    const tasks = many(t, count, (index) => ({ key: `half ${index >> 1}`, keyUntil: 'settled', onConflict: 'ignore' }));
    await enqueues(t, tasks, (index) => (index % 2 === 0 ? accepted : duplicateOf(tasks, index - 1)));
  });
  if (t.capabilities.unique === false || !t.capabilities.unique.replace) return;
  await t.cell('replacements', () =>
    enqueues(t, keyed({ onConflict: 'replace', input: '"new"' }), (index) => ({
      status: 'replaced',
      existingId: holders[index]?.id ?? '',
    })),
  );
}

/** What can be done to tasks that wait, to all of them at once. */
async function controlAll(t: ScenarioContext, ids: readonly string[]): Promise<void> {
  const { tasks } = t.capabilities;
  const all = async (what: string, call: Promise<ControlOutcome[]>, outcome: ControlOutcome): Promise<void> => {
    const outcomes = await t.soon(call, what);
    t.equal([...new Set(outcomes)], [outcome], `the outcomes of ${what}`);
    t.equal(outcomes.length, ids.length, `how many outcomes ${what} has`);
  };
  if (tasks.pause.includes('waiting')) {
    await t.cell('pause and resume', async () => {
      await all('pause', t.tasks.pause(ids), 'applied');
      await all('resume', t.tasks.resume(ids), 'applied');
    });
  }
  if (tasks.reschedule) {
    await t.cell('reschedule', () => all('reschedule', t.tasks.reschedule(ids, { delayMs: 0 }), 'applied'));
  }
  if (tasks.cancel.includes('waiting')) {
    await t.cell('cancel', async () => {
      await all('cancel', t.tasks.cancel(ids), 'applied');
      await all('cancelling again', t.tasks.cancel(ids), 'refused');
    });
  }
}

function many(t: ScenarioContext, count: number, changes?: (index: number) => Partial<NewTask>): NewTask[] {
  return Array.from({ length: count }, (_unused, index) => t.task(changes?.(index)));
}

function duplicateOf(tasks: readonly NewTask[], index: number): EnqueueOutcome {
  return { status: 'duplicate', existingId: tasks[index]?.id ?? '' };
}

async function enqueues(
  t: ScenarioContext,
  tasks: readonly NewTask[],
  expected: (index: number) => EnqueueOutcome,
): Promise<void> {
  const outcomes = await t.soon(t.broker.enqueue(tasks), 'the answer to a large batch');
  t.equal(outcomes.length, tasks.length, 'how many outcomes there are');
  const wrong = outcomes.findIndex((outcome, index) => {
    const wanted = expected(index);
    return outcome.status !== wanted.status || idOf(outcome) !== idOf(wanted);
  });
  t.equal(wrong < 0 ? undefined : outcomes[wrong], wrong < 0 ? undefined : expected(wrong), 'the first wrong outcome');
}

function idOf(outcome: EnqueueOutcome): string | undefined {
  return 'existingId' in outcome ? outcome.existingId : undefined;
}
