import { cancelWaiting, strictPriority, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** PRI: priorities. */
export const priority: readonly Scenario[] = [
  {
    id: 'PRI-01',
    rule: 'R-PRI-1',
    title: 'a single consumer gets the higher priority first, and equal ones in order',
    tier: 'extended',
    needs: [strictPriority],
    patience: 2,
    async run(t) {
      const levels = Array.from({ length: 10 }, (_unused, level) => level);
      // Interleaved, so that neither the order of arrival nor its reverse is right.
      const tasks = await t.enqueueMany(200, (index) => ({ priority: (index * 7) % 10 }));
      const holder = await t.holder();
      const first = await holder.claimInTurn(50);
      // Some of these claims get tasks of several levels.
      const batched = await holder.claimMany(100, { limit: 17 });
      const order = [...first, ...batched, ...(await holder.claimInTurn(50))].map((each) => each.lease.taskId);
      const expected = levels.toReversed().flatMap((level) => tasks.filter((task) => task.priority === level));
      const perLevel = (ids: readonly string[]): string[][] =>
        levels.map((level) => ids.filter((id) => tasks.find((task) => task.id === id)?.priority === level));
      t.equal(
        order.map((id) => tasks.find((task) => task.id === id)?.priority),
        expected.map((task) => task.priority),
        'the levels, in turn',
      );
      if (t.capabilities.order === 'fifo')
        t.equal(perLevel(order), perLevel(tasks.map((task) => task.id)), 'the order per level');
    },
  },
  {
    id: 'PRI-02',
    rule: 'R-PRI-2',
    title: 'priorities 0 to 9 are kept; anything else is rejected, naming the option, and nothing is stored',
    tier: 'core',
    async run(t) {
      for (const priority of [0, 9])
        t.equal((await t.tryEnqueue(t.task({ priority }))).status, 'accepted', `priority ${priority}`);
      for (const priority of [-1, 10, 4.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        const outcome = await t.tryEnqueue(t.task({ priority }));
        t.equal(outcome.status, 'rejected', `outcome of priority ${priority}`);
        if (outcome.status !== 'rejected') continue;
        t.equal([outcome.error.code, outcome.error.option], ['VALIDATION', 'priority'], 'code and option');
      }
      const deliveries = await (await t.holder()).claimMany(2);
      t.equal(deliveries.map((each) => each.priority).sort(), [0, 9], 'priorities delivered');
      await (await t.holder()).claimsNothing();
    },
  },
  {
    id: 'PRI-03',
    rule: 'R-PRI-3',
    title: 'a retried, delayed, released, resumed or rerun task keeps its priority',
    tier: 'extended',
    needs: [strictPriority],
    async run(t) {
      const holder = await t.holder();
      const comeback = await t.enqueueMany(3, (index) => ({ priority: 9 - index }));
      const [first, second, third] = await holder.claimMany(3);
      if (first === undefined || second === undefined || third === undefined) return;
      const delayed = await t.enqueue({ priority: 6, delayMs: Math.round(t.unitMs) });
      const ordinary = await t.enqueueMany(2, () => ({ priority: 5 }));
      t.equal(await holder.retry(first, 0), 'applied', 'the retry');
      t.equal(await holder.release(second), 'applied', 'the release');
      if (t.capabilities.tasks.rerun) {
        await holder.fail(third);
        await t.tasks.rerun([third.lease.taskId]);
      } else {
        await holder.snooze(third, 0);
      }
      await t.advance(t.unitMs + t.capabilities.delay.granularityMs);
      const order = (await holder.claimInTurn(6)).map((each) => [each.lease.taskId, each.priority]);
      const expected = [...comeback, delayed, ...ordinary].map((task) => [task.id, task.priority]);
      t.equal(order, expected, 'the order of starts');
    },
  },
  {
    id: 'PRI-04',
    rule: 'R-PRI-4',
    title: 'changing the priority of a waiting task takes effect',
    tier: 'extended',
    needs: [strictPriority, taskStore('update')],
    async run(t) {
      const [low, middle, high, late, usual] = [
        await t.enqueue({ priority: 1 }),
        await t.enqueue({ priority: 5 }),
        await t.enqueue({ priority: 8 }),
        // Some brokers keep those that name none in a place of their own.
        await t.enqueue(),
        await t.enqueue(),
      ];
      t.equal(await t.tasks.update([low.id], { priority: 9 }), ['applied'], 'raising');
      t.equal(await t.tasks.update([high.id], { priority: 0 }), ['applied'], 'lowering');
      t.equal(await t.tasks.update([late.id], { priority: 2 }), ['applied'], 'lowering one that named none');
      const order = (await (await t.holder()).claimInTurn(5)).map((each) => each.lease.taskId);
      t.equal(order, [low.id, middle.id, usual.id, late.id, high.id], 'the order of starts');
      await t.refuses(
        () => t.tasks.update([low.id], { priority: 11 }),
        { code: 'VALIDATION', option: 'priority' },
        'priority 11',
      );
    },
  },
  {
    id: 'PRI-05',
    rule: 'R-PRI-5',
    title: 'a lower priority waits for as long as higher ones keep coming, does not age, and is there right after',
    tier: 'extended',
    needs: [strictPriority],
    async run(t) {
      const holder = await t.holder();
      const patient = await t.enqueue({ priority: 1 });
      await t.enqueueMany(2, () => ({ priority: 7 }));
      for (let round = 0; round < 60; round++) {
        await t.enqueue({ priority: 7 });
        const delivery = await holder.claimOne();
        t.equal(delivery.priority, 7, `the priority delivered in round ${round}`);
        await holder.complete(delivery);
      }
      const rest = await holder.claimInTurn(3);
      t.equal(
        rest.map(({ priority }) => priority),
        [7, 7, 1],
        'priorities once no more came',
      );
      t.equal(rest[2]?.lease.taskId, patient.id, 'the one that waited');
    },
  },
  {
    id: 'PRI-06',
    rule: 'R-PRI-6',
    title: 'ten levels are ten levels: none is merged with its neighbour',
    tier: 'extended',
    needs: [strictPriority],
    async run(t) {
      t.equal(t.capabilities.priority.levels, 10, 'levels claimed by a broker with strict priority');
      const rising = await t.enqueueMany(10, (index) => ({ priority: index }));
      const order = (await (await t.holder()).claimInTurn(10)).map((each) => each.lease.taskId);
      t.equal(order, rising.map((task) => task.id).reverse(), 'the order of starts');
    },
  },
  {
    id: 'PRI-07',
    rule: 'R-PRI-7',
    title: 'a higher priority that is not due, paused or cancelled holds nothing back',
    tier: 'extended',
    needs: [strictPriority, cancelWaiting],
    async run(t) {
      await t.enqueue({ priority: 9, delayMs: 3_600_000 });
      const cancelled = await t.enqueue({ priority: 9 });
      await t.tasks.cancel([cancelled.id]);
      await t.enqueue({ priority: 9, name: 'nobody runs this' });
      const ordinary = await t.enqueue({ priority: 0 });
      const holder = await t.holder();
      t.equal((await holder.claimOne()).lease.taskId, ordinary.id, 'what is delivered');
    },
  },
];
