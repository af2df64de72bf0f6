import { fifo } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

const idsOf = (items: readonly { readonly lease: { readonly taskId: string } }[]): string[] =>
  items.map((item) => item.lease.taskId);

/** ORD: the order of equal priority. */
export const ordering: readonly Scenario[] = [
  {
    id: 'ORD-01',
    rule: 'R-ORD-1',
    title: 'one producer, one consumer: tasks start in the order they were enqueued',
    tier: 'extended',
    needs: [fifo],
    patience: 3,
    async run(t) {
      const tasks = [];
      for (let index = 0; index < 200; index++) tasks.push(await t.enqueue());
      const holder = await t.holder();
      const deliveries = await holder.claimInTurn(200);
      t.equal(
        idsOf(deliveries),
        tasks.map((task) => task.id),
        'the order of starts',
      );
    },
  },
  {
    id: 'ORD-02',
    rule: 'R-ORD-2',
    title: 'a thousand tasks enqueued within moments keep their order: it does not rest on the clock',
    tier: 'extended',
    needs: [fifo],
    patience: 3,
    async run(t) {
      const tasks = await t.enqueueMany(1_000);
      const holder = await t.holder();
      const deliveries = await holder.claimMany(1_000, { limit: 37 });
      t.equal(
        idsOf(deliveries),
        tasks.map((task) => task.id),
        'the order of starts',
      );
    },
  },
  {
    id: 'ORD-03',
    rule: 'R-ORD-3',
    title: 'order is kept inside a batch and between batches and single tasks',
    tier: 'extended',
    needs: [fifo],
    async run(t) {
      const tasks = [
        ...(await t.enqueueMany(5)),
        await t.enqueue(),
        ...(await t.enqueueMany(3)),
        await t.enqueue(),
        await t.enqueue(),
      ];
      const deliveries = await (await t.holder()).claimInTurn(tasks.length);
      t.equal(
        idsOf(deliveries),
        tasks.map((task) => task.id),
        'the order of starts',
      );
    },
  },
  {
    id: 'ORD-04',
    rule: 'R-ORD-4',
    title: 'a task that comes back is ordered by when it is due: behind those that were due before',
    tier: 'extended',
    needs: [fifo],
    async run(t) {
      const holder = await t.holder();
      const first = await t.enqueue();
      const claimed = await holder.claimOne();
      await t.advance(2 * t.capabilities.timePrecisionMs);
      const second = await t.enqueue();
      await t.advance(2 * t.capabilities.timePrecisionMs);
      t.equal(await holder.retry(claimed, 0), 'applied', 'the retry');
      await t.advance(2 * t.capabilities.timePrecisionMs);
      const third = await t.enqueue();
      t.equal(idsOf(await holder.claimInTurn(3)), [second.id, first.id, third.id], 'the order of starts');
    },
  },
  {
    id: 'ORD-08',
    rule: 'R-ORD-8',
    title: 'delayed tasks come in the order they are due, and in the order of enqueueing when due together',
    tier: 'extended',
    needs: [fifo],
    async run(t) {
      const step = Math.max(Math.round(t.unitMs), 2 * t.capabilities.delay.granularityMs);
      const at = t.tempo.clock.now() - 3_600_000;
      // By one call: delays count from one moment, however busy the machine is.
      const steps = [3, 1, 2];
      const delayed = await t.enqueueMany(3, (index) => ({ delayMs: (steps[index] as number) * step }));
      const together = await t.enqueueMany(4, () => ({ queue: 'together', runAt: at }));
      await t.advance(3 * step + t.capabilities.timePrecisionMs);
      const holder = await t.holder();
      t.equal(
        idsOf(await holder.claimInTurn(3)),
        [1, 2, 0].map((index) => delayed[index]?.id ?? ''),
        'the order of starts',
      );
      const tied = await holder.claimInTurn(4, { queues: ['together'] });
      t.equal(
        idsOf(tied),
        together.map((task) => task.id),
        'the order of tasks due at the same instant',
      );
    },
  },
  {
    id: 'ORD-09',
    rule: 'R-ORD-9',
    title: 'no queue starves: a task of a quiet queue comes although a hundred others are full',
    tier: 'core',
    patience: 2,
    async run(t) {
      const busy = Array.from({ length: 100 }, (_unused, index) => `busy-${index}`);
      await t.enqueueMany(400, (index) => ({ queue: busy[index % 100] ?? '' }));
      const quiet = await t.enqueue({ queue: 'quiet' });
      const holder = await t.holder();
      let turns = 0;
      for (let found = false; !found; turns++) {
        const deliveries = await holder.claim({ queues: [...busy, 'quiet'], limit: 5 });
        t.require(deliveries.length > 0 && turns < 200, 'the quiet task was never delivered');
        found = deliveries.some((delivery) => delivery.lease.taskId === quiet.id);
        await holder.settleAll(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
        // The busy queues stay busy: each end is followed by a newcomer.
        await t.enqueueMany(deliveries.length, (index) => ({ queue: busy[(turns * 5 + index) % 100] ?? '' }));
      }
      t.between(turns, 1, 101, 'claims of 5 until the quiet task came, with 401 tasks before any newcomer');
    },
  },
];
