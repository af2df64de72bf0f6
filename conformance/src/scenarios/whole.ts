import { hire, job, producer } from '../context/crew.ts';
import { Fleet } from '../faults/fleet.ts';
import { processScenario } from '../faults/process-scenario.ts';
import { longestStartMs } from '../faults/worker-process.ts';
import { cancelRunning, capability } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** RTY, OBS, SHD: what must stay whole when something of it breaks. */
export const wholeScenarios: readonly Scenario[] = [
  {
    id: 'RTY-15',
    rule: 'R-RTY-15',
    title: 'a retry is one step: whoever looks meanwhile sees the task once, and gets it once',
    tier: 'core',
    needs: [capability('settle.retryAtomic', (c) => c.settle.retryAtomic)],
    patience: 2,
    async run(t) {
      const task = await t.enqueue({ maxAttempts: Number.POSITIVE_INFINITY });
      const rivals = await Promise.all([true, false, true].map((own) => t.holder({ own })));
      let [owner] = rivals;
      let delivery = await t.defined(owner, 'a holder').claimOne();
      for (let round = 0; round < 40; round++) {
        const [outcome, looked, ...claims] = await Promise.all([
          t.defined(owner, 'a holder').retry(delivery),
          t.capabilities.tasks.get ? t.find(task.id) : undefined,
          ...rivals.map((rival) => rival.claim({ limit: 3 })),
        ]);
        t.equal(outcome, 'applied', 'the retry');
        if (t.capabilities.tasks.get)
          t.ok(looked?.state === 'running' || looked?.state === 'retrying', `it is ${looked?.state} meanwhile`);
        const taken = claims.flatMap((deliveries, index) => deliveries.map((each) => ({ each, by: rivals[index] })));
        t.ok(taken.length <= 1, `${taken.length} claims got it`);
        const [first] = taken;
        owner = first?.by ?? rivals[round % rivals.length];
        delivery = first?.each ?? (await t.defined(owner, 'a holder').claimOne());
        t.equal([delivery.lease.taskId, delivery.lease.attempt], [task.id, round + 2], 'the task and its attempt');
      }
      t.equal(await t.defined(owner, 'a holder').complete(delivery), 'applied', 'the completion');
      await t.defined(rivals[0], 'a holder').claimsNothing();
    },
  },
  {
    id: 'OBS-02',
    rule: 'R-OBS-2',
    title: 'a logger and a listener that throw harm neither the worker nor those beside them',
    tier: 'core',
    async run(t) {
      const broken = (): never => {
        throw new Error('the logger is broken');
      };
      const ran: unknown[] = [];
      const { definition, handler } = job((input, { log }) => {
        log.info('a line');
        ran.push(input);
        if (input === 'throw') throw new Error('on purpose');
      });
      const logger = { debug: broken, info: broken, warn: broken, error: broken };
      await hire(t, [handler], { logger });
      const client = producer(t);
      await client.enqueue(definition, 'throw', { attempts: 1 });
      await client.enqueue(definition, 'fine');
      await t.eventually(() => ran.includes('throw') && ran.includes('fine'), 'the runs of both');
      t.equal(ran.length, 2, 'runs');

      if (cancelRunning(t.capabilities, t.harness) !== true) {
        t.notObservable('a listener that throws', 'tasks.cancel.running is not claimed');
        return;
      }
      await t.cell('a listener that throws', async () => {
        const ttlMs = t.heardTtlMs;
        const deaf = await t.client.broker.openSession({
          instance: 'deaf',
          host: 'localhost',
          ttlMs,
          onSignal: broken,
        });
        t.defer(() => deaf.end());
        const beside = await t.holder({ ttlMs });
        const [own, other] = await t.enqueueMany(2, (index) => ({ queue: `signalled ${index}` }));
        const request = { names: ['work'], limit: 1, waitMs: Math.round(t.budgetMs) };
        const [held] = await t.soon(deaf.claim({ ...request, queues: ['signalled 0'] }), 'a claim', 2 * t.budgetMs);
        await beside.claimOne({ queues: ['signalled 1'] });
        const ids = [own?.id ?? '', other?.id ?? ''];
        t.equal(await t.tasks.cancel(ids), ['requested', 'requested'], 'the cancels');
        await beside.hear(other?.id);
        await t.pause(ttlMs + t.unitMs);
        t.equal(deaf.lost.aborted, false, 'whether the session with the broken listener was lost');
        const { lease } = t.defined(held, 'a delivery');
        t.equal(await t.soon(deaf.settle([{ type: 'cancel', lease }]), 'a settle'), ['applied'], 'its settle');
      });
    },
  },
  processScenario({
    id: 'SHD-09',
    rule: 'R-SHD-9',
    title: 'a rejection that a handler leaves to nobody is not swallowed: the process ends, its tasks run elsewhere',
    patience: 3,
    async run(t) {
      const fleet = new Fleet(t);
      await fleet.enlist(2, { concurrency: 2 });
      const victim = await fleet.enqueue([
        [
          'on-attempt',
          1,
          [
            ['reject-unhandled', 'nobody handles this'],
            ['sleep', 30_000],
          ],
        ],
        ['return', 1],
      ]);
      await fleet.enqueueMany(10, [
        ['sleep', 10],
        ['return', 1],
      ]);
      const first = await fleet.started(victim.id);
      const { code } = await t.soon(fleet.whose(first).exited, 'the end of the process', longestStartMs);
      t.ok(code !== 0, `the process ended with code ${code}`);
      await fleet.allSucceed();
      t.equal(fleet.starts(victim.id).length, 2, 'runs of the task');
    },
  }),
];
