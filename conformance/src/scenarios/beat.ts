import { hire, job } from '../context/crew.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { processScenario } from '../faults/process-scenario.ts';
import { freezing } from '../needs.ts';
import type { Scenario } from '../scenario.ts';
import { count, processTtlMs, script, startWorker } from './process.ts';

/** LSE: a session that somebody else beats for, and a broker that cannot have that. */
export const beatScenarios: readonly Scenario[] = [
  {
    id: 'LSE-25',
    rule: 'R-LSE-25',
    title:
      'beats from another client keep the tasks of one that stands still; without beat, a heartbeat thread is refused',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const { beat } = t.broker;
      if (beat === undefined) return refusesThread(t);
      const elsewhere = await t.open();
      let beatenAt: number | undefined;
      const beatFor = async (id: string): Promise<'alive' | 'lost' | undefined> => {
        const begun = t.now();
        const answer = await t.soon(Promise.resolve(elsewhere.broker.beat?.(id)), 'the answer to a beat');
        if (answer === 'alive') beatenAt = begun;
        return answer;
      };
      const kept = await t.holder({ own: true, ttlMs: t.heardTtlMs, beatenAt: () => beatenAt });
      await t.enqueue();
      const delivery = await kept.claimOne();
      const forgotten = await t.mortal();
      const lost = await t.enqueue({ queue: 'forgotten' });
      await forgotten.claimOne({ queues: ['forgotten'] });
      kept.freeze();
      forgotten.freeze();
      for (let third = 0; third < 5; third++) {
        await t.advance(kept.ttlMs / 3);
        t.equal(await beatFor(kept.session.id), 'alive', 'the answer to a beat for a session that stands still');
        await t.maintain();
      }
      const holder = await t.holder();
      await holder.claimsNothing();
      const [back] = await holder.claimRecovered(1, { queues: ['forgotten'] });
      t.equal([back?.lease.taskId, back?.lease.attempt], [lost.id, 2], 'what comes back of the one nobody beat for');
      kept.client.thaw();
      await t.moment();
      t.equal(kept.session.lost.aborted, false, 'whether the session was lost');
      t.equal(await kept.complete(delivery), 'applied', 'the completion');
      await t.soon(kept.session.end(), 'the end of the session');
      const over = [await beatFor(kept.session.id), await beatFor(forgotten.session.id), await beatFor('nobody')];
      t.equal(over, ['lost', 'lost', 'lost'], 'answers to beats for sessions that are over');
    },
  },
  processScenario({
    id: 'LSE-26',
    rule: 'R-LSE-25',
    title:
      'a worker blocked for longer than its ttl keeps its tasks where it beats from a thread; without beat, it does not start',
    patience: 2,
    async run(t) {
      const url = t.hooks.threadUrl?.(t.client.target);
      if (t.broker.beat === undefined) return refusesProcess(t, url ?? t.client.target.url);
      t.require(url !== undefined, 'the broker has beat: the harness needs the hook threadUrl');
      const blocked = await startWorker(t, { heartbeatThread: { url: url ?? '' } });
      const task = await t.enqueue({ input: script(['busy', 3 * processTtlMs(t)], ['return', 'kept']) });
      await t.eventually(() => count(blocked, 'start', task.id) === 1, 'the start of the task');
      const holder = await t.holder();
      const taken: unknown[] = [];
      await t.eventually(
        async () => {
          await t.maintain();
          taken.push(...(await holder.claim()));
          return count(blocked, 'end', task.id) === 1;
        },
        'the end of the blocking handler',
        4 * processTtlMs(t) + t.budgetMs,
      );
      t.equal(taken, [], 'what others were given meanwhile');
      t.equal(count(blocked, 'abort', task.id), 0, 'aborts of its signal');
      if (!t.capabilities.tasks.get) return holder.claimsNothing();
      await t.eventually(async () => (await t.record(task.id)).state === 'succeeded', 'the end of the task');
      const { attempt, output } = await t.record(task.id);
      t.equal([attempt, output], [1, '"kept"'], 'attempt and output');
    },
  }),
];

/** What is not there must be refused by name, before the worker takes anything. */
async function refusesThread(t: ScenarioContext): Promise<void> {
  const task = await t.enqueue();
  const ran: unknown[] = [];
  const { handler } = job((input) => ran.push(input));
  const heartbeatThread = { url: t.client.target.url || 'none:' };
  const { worker } = await hire(t, [handler], { started: false, heartbeatThread });
  await t.refuses(
    () => worker.start(),
    { code: 'UNSUPPORTED', option: 'heartbeatThread' },
    'a worker with a heartbeat thread',
  );
  const { lease } = await (await t.holder()).claimOne();
  t.equal([lease.taskId, lease.attempt, ran], [task.id, 1, []], 'the task, its attempt, and what ran');
}

async function refusesProcess(t: ScenarioContext, url: string): Promise<void> {
  const task = await t.enqueue({ input: script(['return', 1]) });
  const refusal = await startWorker(t, { heartbeatThread: { url } }).then(
    () => 'nothing',
    (error: unknown) => String(error),
  );
  t.ok(/UnsupportedError.*heartbeatThread/.test(refusal), `a process with a heartbeat thread says ${refusal}`);
  const { lease } = await (await t.holder()).claimOne();
  t.equal([lease.taskId, lease.attempt], [task.id, 1], 'the task, and its attempt');
}
