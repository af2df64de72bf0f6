import type { NewTask } from '@millrace/core';
import type { Scenario } from '../scenario.ts';
import { checkPush } from './wake-up.ts';

/** CON: many at once, and wake-ups, at the broker. What workers make of it is in worker-concurrency.ts. */
export const concurrency: readonly Scenario[] = [
  {
    id: 'CON-02',
    rule: 'R-CON-2',
    title: 'ten consumers share a thousand tasks: each is delivered exactly once',
    tier: 'core',
    patience: 3,
    async run(t) {
      const tasks = await t.enqueueMany(1_000);
      const holders = await Promise.all(
        Array.from({ length: 10 }, (_unused, index) => t.holder({ own: index % 2 === 0 })),
      );
      const ids: string[] = [];
      await Promise.all(
        holders.map(async (holder) => {
          for (;;) {
            const deliveries = await holder.claim({ limit: 25 });
            if (deliveries.length === 0) return;
            ids.push(...deliveries.map((delivery) => delivery.lease.taskId));
            const outcomes = await holder.settleAll(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
            t.ok(
              outcomes.every((outcome) => outcome === 'applied'),
              'every settle is applied',
            );
          }
        }),
      );
      t.equal(ids.length, tasks.length, 'deliveries');
      t.equal(new Set(ids).size, tasks.length, 'different tasks');
    },
  },
  {
    id: 'CON-03',
    rule: 'R-CON-3',
    title: 'a hundred producers at once: every accepted task appears once, each caller gets its own outcome',
    tier: 'core',
    patience: 2,
    async run(t) {
      const clients = await Promise.all(Array.from({ length: 4 }, () => t.open()));
      const tasks = Array.from({ length: 100 }, (_unused, index) =>
        t.task({ input: `${index}`, priority: index === 50 ? 99 : 4 }),
      );
      const outcomes = await Promise.all(tasks.map((task, index) => t.tryEnqueue(task, clients[index % 4]?.broker)));
      const rejected = outcomes.flatMap((outcome, index) => (outcome.status === 'rejected' ? [index] : []));
      t.equal(rejected, [50], 'who was rejected: the one with the invalid task');
      const deliveries = await (await t.holder()).claimMany(99);
      const byId = new Map(tasks.map((task) => [task.id, task.input]));
      t.equal(new Set(deliveries.map((each) => each.lease.taskId)).size, 99, 'different tasks delivered');
      t.ok(
        deliveries.every((each) => byId.get(each.lease.taskId) === each.input),
        'each task has its own input',
      );
      await (await t.holder()).claimsNothing();
    },
  },
  {
    id: 'CON-04',
    rule: 'R-CON-4',
    title: 'a claim never returns more than its limit; claims at the same time never overlap',
    tier: 'core',
    async run(t) {
      const { maxClaim } = t.capabilities.batch;
      const tasks = await t.enqueueMany(120);
      const holder = await t.holder();
      const first = [];
      for (const limit of [1, 2, 7]) {
        const deliveries = await holder.claim({ limit });
        t.between(deliveries.length, 1, limit, 'deliveries of a claim');
        first.push(...deliveries);
      }
      // What a claim names twice is there once.
      const wanted = { queues: ['line', 'line'], names: ['work', 'work'], limit: 9 };
      const claims = await Promise.all(Array.from({ length: 8 }, () => holder.claim(wanted)));
      t.ok(
        claims.every((claim) => claim.length <= 9),
        'no claim returns more than its limit',
      );
      const got = [...first, ...claims.flat()];
      const rest = await holder.claimMany(120 - got.length);
      const ids = [...got, ...rest].map((delivery) => delivery.lease.taskId);
      t.equal(ids.toSorted(), tasks.map(({ id }) => id).toSorted(), 'all tasks, each of them once');
      await t.refuses(
        () => holder.session.claim({ queues: ['line'], names: ['work'], limit: maxClaim + 1, waitMs: 0 }),
        'VALIDATION',
        'a limit above maxClaim',
      );
    },
  },
  {
    id: 'CON-09',
    rule: 'R-CON-9',
    title: 'an enqueue wakes a claim that waits, on the same and on another client',
    tier: 'core',
    async run(t) {
      const waited: number[] = [];
      for (const own of [false, true]) {
        const holder = await t.holder({ own });
        for (let round = 0; round < 5; round++) {
          const waiting = holder.claim({ waitMs: Math.round(2 * t.budgetMs) });
          await t.moment();
          const started = t.now();
          // One by itself may take another way than several.
          const tasks = await t.enqueueMany(1 + (round % 2));
          const deliveries = await t.soon(waiting, 'the waking of a claim');
          waited.push(t.now() - started);
          t.equal(deliveries.length, 1, 'deliveries');
          if (tasks.length > 1) deliveries.push(await holder.claimOne());
          t.equal(deliveries.map((each) => each.lease.taskId).sort(), tasks.map(({ id }) => id).sort(), 'what it gets');
          for (const delivery of deliveries) await holder.complete(delivery);
        }
      }
      checkPush(t, waited);
    },
  },
  {
    id: 'CON-12',
    rule: 'R-CON-12',
    title: 'no wake-up is lost when the enqueue comes between a look and a sleep, however often that is tried',
    tier: 'core',
    patience: 5,
    async run(t) {
      const holder = await t.holder({ own: true });
      const waitMs = 600_000;
      const rounds = t.tempo.kind === 'virtual' ? 1_000 : 150;
      const waited: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const started = t.now();
        const waiting = t.underway(holder.session.claim({ queues: ['line'], names: ['work'], limit: 1, waitMs }));
        // The enqueue starts a varying number of turns after the claim, so that it hits every point of its way.
        for (let turn = 0; turn < round % 12; turn++) await Promise.resolve();
        if (round % 5 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
        const [, deliveries] = await Promise.all([t.enqueue(), t.soon(waiting, 'the waking of a claim')]);
        waited.push(t.now() - started);
        t.equal(deliveries.length, 1, 'deliveries');
        await holder.complete(t.defined(deliveries[0], 'a delivery'));
      }
      checkPush(t, waited);
    },
  },
  {
    id: 'CON-13',
    rule: 'R-CON-13',
    title: 'many waiting claims and one task: one gets it, the others go on waiting and get the next',
    tier: 'core',
    async run(t) {
      const holders = await Promise.all(
        Array.from({ length: 6 }, (_unused, index) => t.holder({ own: index % 3 === 0 })),
      );
      const waited: number[] = [];
      // What makes one round late makes all its claims late: the median needs several rounds.
      for (let round = 0; round < 5; round++) {
        const answers: number[] = [];
        const waiting = holders.map((holder) =>
          t.underway(
            holder.claim({ waitMs: Math.round(3 * t.budgetMs) }).then((deliveries) => {
              answers.push(t.now());
              return deliveries;
            }),
          ),
        );
        await t.moment();
        const tasks: NewTask[] = [];
        for (let index = 0; index < holders.length; index++) tasks.push(await t.enqueue());
        const enqueuedAt = t.now();
        const deliveries = await t.soon(Promise.all(waiting), 'the waking of all claims', 4 * t.budgetMs);
        waited.push(...answers.map((at) => at - enqueuedAt));
        const ids = deliveries.flat().map((delivery) => delivery.lease.taskId);
        t.equal(ids.sort(), tasks.map((task) => task.id).sort(), 'ids delivered');
        t.ok(
          deliveries.every((each) => each.length === 1),
          'each claim got one',
        );
      }
      checkPush(t, waited);
    },
  },
  {
    id: 'CON-18',
    rule: 'R-CON-18',
    title: 'a claim that waits gets the next task although one came before that it must not be given',
    tier: 'core',
    async run(t) {
      const holder = await t.holder({ own: true });
      const unfit = { 'a task that came too late': { expiresInMs: 0 }, 'a task of another name': { name: 'another' } };
      for (const [what, changes] of Object.entries(unfit)) {
        await t.cell(what, async () => {
          const waiting = holder.claim({ waitMs: Math.round(4 * t.budgetMs) });
          await t.moment();
          await t.enqueue(changes);
          await t.moment();
          const task = await t.enqueue();
          let [delivery] = await t.soon(waiting, 'the waking of a claim');
          if (delivery?.name === 'another' && !t.capabilities.claimByName) {
            await holder.complete(delivery);
            delivery = await holder.claimOne();
          }
          t.equal(delivery?.lease.taskId, task.id, 'what it gets');
          await holder.complete(t.defined(delivery, 'a delivery'));
        });
      }
    },
  },
];
