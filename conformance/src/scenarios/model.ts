import { freezing, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** MOD: what a task is, and what every broker does alike. Lifecycle and refusals are in model-lifecycle.ts. */
export const model: readonly Scenario[] = [
  {
    id: 'MOD-05',
    rule: 'R-MOD-5',
    title: 'ten clients open an empty backend at once: it is set up once, and all ten work',
    tier: 'core',
    async run(t) {
      const namespace = t.neighbourNamespace();
      const clients = await Promise.all(Array.from({ length: 10 }, () => t.open(namespace)));
      const tasks = clients.map(() => t.task());
      await Promise.all(clients.map((client, index) => t.enqueueAll(tasks.slice(index, index + 1), client.broker)));
      const [first] = clients;
      const holder = await t.holder({ client: t.defined(first, 'a client') });
      const ids = (await holder.claimMany(10)).map((delivery) => delivery.lease.taskId);
      t.equal(ids.sort(), tasks.map((task) => task.id).sort(), 'ids delivered');
    },
  },
  {
    id: 'MOD-06',
    rule: 'R-MOD-6',
    title: 'two clients of one namespace see the same tasks; two namespaces with equal queue names never do',
    tier: 'core',
    async run(t) {
      const [twin, stranger] = [await t.open(), await t.open(t.neighbourNamespace())];
      const here = await t.enqueue();
      const holder = await t.holder({ client: stranger });
      const there = t.task();
      await t.enqueueAll([there], stranger.broker);
      t.equal((await holder.claimOne()).lease.taskId, there.id, 'what the other namespace delivers');
      t.equal(await holder.claim(), [], 'a second claim in the other namespace');
      const shared = await t.holder({ client: twin });
      t.equal((await shared.claimOne()).lease.taskId, here.id, 'what a second client of the namespace is given');
      t.equal(await (await t.holder()).claim(), [], 'what is left for the first client');
    },
  },
  {
    id: 'MOD-08',
    rule: 'R-MOD-8',
    title: 'every field of a task arrives as it was given, in the delivery and in the record',
    tier: 'core',
    async run(t) {
      const { unique } = t.capabilities;
      const task = t.task({
        input: '{"to":"a@b.c","n":[1,2.5,null]}',
        headers: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tenant: 'Ünïcode 🚀' },
        priority: 7,
        expiresInMs: 86_400_000,
        maxAttempts: 7,
        timeoutMs: 12_345,
        group: 'a group',
        owner: 'an owner',
        version: 42,
        ...(unique !== false && { key: 'a key', keyUntil: 'settled', onConflict: 'ignore' }),
      });
      await t.enqueueAll([task]);
      const delivery = await (await t.holder({ instance: 'runner' })).claimOne();
      const { id, delayMs: _delay, expiresInMs: _expires, keyUntil: _until, onConflict: _conflict, ...kept } = task;
      const { lease, createdAt, runAt, ...delivered } = delivery;
      t.equal(delivered, kept, 'the delivery');
      t.equal([lease.taskId, lease.attempt], [id, 1], 'id and attempt of the lease');
      t.ok(Number.isInteger(createdAt) && Number.isInteger(runAt), 'times are whole milliseconds');
      if (!t.capabilities.tasks.get) return;
      const record = await t.record(id);
      t.equal(pick(record, Object.keys(kept)), kept, 'the record');
      t.equal([record.state, record.attempt, record.fence], ['running', 1, lease.fence], 'state, attempt and fence');
      t.equal([record.createdAt, record.runAt], [createdAt, runAt], 'times of record and delivery');
      t.equal(record.expiresAt, createdAt + 86_400_000, 'expiresAt');
      t.equal(record.worker, 'runner@localhost', 'the worker');
    },
  },
  {
    id: 'MOD-09',
    rule: 'R-MOD-9',
    title: 'a task with nothing but the required fields is the same record on every broker',
    tier: 'core',
    needs: [taskStore('get')],
    async run(t) {
      const task = await t.enqueue();
      const record = await t.record(task.id);
      t.equal(
        record,
        {
          ...pick(task, ['id', 'name', 'queue', 'headers', 'priority', 'maxAttempts', 'version']),
          state: 'pending',
          attempt: 0,
          fence: 0,
          errors: [],
          log: [],
          createdAt: record.createdAt,
          runAt: record.createdAt,
        },
        'the record',
      );
      const holder = await t.holder({ instance: 'runner' });
      const delivery = await holder.claimOne();
      const running = await t.record(task.id);
      const { fence } = delivery.lease;
      const { startedAt } = running;
      const run = { attempt: 1, fence, startedAt, worker: 'runner@localhost' };
      t.equal(running, { ...record, ...run, state: 'running' }, 'the record of its run');
      t.equal(await holder.complete(delivery), 'applied', 'the settle');
      await t.soon(holder.session.end(), 'the end of the session');
      const ended = await t.record(task.id);
      const { finishedAt } = ended;
      t.equal(ended, { ...running, state: 'succeeded', finishedAt }, 'the record of its end');
      t.between(startedAt, record.createdAt, finishedAt ?? 0, 'when it started');
    },
  },
  {
    id: 'MOD-10',
    rule: 'R-MOD-10',
    title: 'get right after an accepted enqueue or settle sees it, from the same and from another client',
    tier: 'extended',
    needs: [taskStore('get')],
    async run(t) {
      const other = await t.open();
      const holder = await t.holder();
      for (let round = 0; round < 20; round++) {
        const task = await t.enqueue();
        const [elsewhere] = (await other.broker.tasks?.get([task.id])) ?? [];
        t.equal([(await t.find(task.id))?.state, elsewhere?.state], ['pending', 'pending'], 'states after the enqueue');
        t.equal(await holder.complete(await holder.claimOne()), 'applied', 'the completion');
        const [ended] = (await other.broker.tasks?.get([task.id])) ?? [];
        t.equal([(await t.find(task.id))?.state, ended?.state], ['succeeded', 'succeeded'], 'states after the settle');
      }
    },
  },
  {
    id: 'MOD-11',
    rule: 'R-MOD-11',
    title: 'list, count and get agree; paging returns each task once while others are added and removed',
    tier: 'extended',
    needs: [taskStore('list')],
    patience: 2,
    async run(t) {
      const tasks = await t.enqueueMany(250, (index) => ({
        name: index % 5 === 0 ? 'fifth' : 'work',
        group: 'steady',
      }));
      const filter = { group: 'steady' };
      const { get, count, remove } = t.capabilities.tasks;
      if (count) {
        t.equal(await t.tasks.count(filter), 250, 'the count');
        t.equal(await t.tasks.count({ ...filter, names: ['fifth'] }), 50, 'the count of a name');
        t.equal(await t.tasks.count({ ...filter, states: ['running'] }), 0, 'the count of a state nobody is in');
      }
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await t.soon(
          t.tasks.list(filter, { limit: 40, ...(cursor !== undefined && { cursor }) }),
          'a page of tasks',
        );
        t.ok(page.tasks.length <= 40, 'a page is no longer than its limit');
        seen.push(...page.tasks.map((task) => task.id));
        cursor = page.cursor;
        if (remove) {
          const passing = await t.enqueue({ group: 'steady' });
          await t.tasks.remove([passing.id]);
        }
        await t.enqueue({ group: 'other' });
      } while (cursor !== undefined);
      t.equal(seen.sort(), tasks.map((task) => task.id).sort(), 'ids listed');
      if (!get) return;
      const [one] = await t.tasks.get([tasks[7]?.id ?? '']);
      const listed = await t.tasks.list({ ids: [tasks[7]?.id ?? ''] }, { limit: 10 });
      t.equal(listed.tasks, [one], 'a listed record and the one from get');
      t.equal(
        await t.tasks.get(['nobody', tasks[0]?.id ?? '']).then((found) => found.map((f) => f?.id)),
        [undefined, tasks[0]?.id],
        'ids of a get for one that is not there and one that is',
      );
    },
  },
  {
    id: 'MOD-12',
    rule: 'R-MOD-12',
    title: 'one invalid task in a batch is rejected in its place; the others are stored unless the batch is atomic',
    tier: 'core',
    async run(t) {
      const tasks = [t.task(), t.task({ priority: 99 }), t.task()];
      const outcomes = await t.broker.enqueue(tasks);
      t.equal(outcomes.length, 3, 'number of outcomes');
      const [first, second, third] = outcomes;
      t.equal(second?.status, 'rejected', 'outcome of the invalid task');
      t.equal(second?.status === 'rejected' && second.error.code, 'VALIDATION', 'code of the rejection');
      const holder = await t.holder();
      if (t.capabilities.batch.enqueueAtomic) {
        t.equal([first?.status, third?.status], ['rejected', 'rejected'], 'outcomes of the others');
        await holder.claimsNothing();
      } else {
        t.equal([first?.status, third?.status], ['accepted', 'accepted'], 'outcomes of the others');
        const ids = (await holder.claimMany(2)).map((delivery) => delivery.lease.taskId);
        t.equal(ids.sort(), [tasks[0]?.id, tasks[2]?.id].sort(), 'ids stored');
        await holder.claimsNothing();
      }
    },
  },
  {
    id: 'MOD-13',
    rule: 'R-MOD-13',
    title: 'batches of 0, 1 and as many as allowed work; one more is refused with a code',
    tier: 'core',
    patience: 5,
    async run(t) {
      t.equal(await t.broker.enqueue([]), [], 'outcomes of an empty batch');
      const { maxEnqueue, maxClaim } = t.capabilities.batch;
      const most = Math.min(maxEnqueue, 5_000);
      const tasks = await t.enqueueMany(most, () => ({ headers: { a: '1', b: '2' }, group: 'g', owner: 'o' }));
      const holder = await t.holder();
      const deliveries = await holder.claimMany(most, { limit: maxClaim });
      t.equal(
        new Set(deliveries.map((delivery) => delivery.lease.taskId)).size,
        tasks.length,
        'different tasks delivered',
      );
      const outcomes = await holder.settleAll(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
      t.ok(
        outcomes.every((outcome) => outcome === 'applied'),
        'all settles of a large batch are applied',
      );
      t.equal(await holder.settleAll([]), [], 'outcomes of an empty settle');
      if (maxEnqueue > 20_000) return;
      const tooMany = Array.from({ length: maxEnqueue + 1 }, () => t.task());
      await t.refuses(() => t.broker.enqueue(tooMany), 'VALIDATION', 'a batch above maxEnqueue');
    },
  },
  {
    id: 'MOD-07',
    rule: 'R-MOD-7',
    title: 'the id a caller gives is kept, whatever it looks like',
    tier: 'core',
    async run(t) {
      const ids = ['1', 'order:42/a b', '0'.repeat(255), 'ÿ🚀', "'; drop table tasks; --"];
      await t.enqueueAll(ids.map((id) => t.task({ id })));
      const deliveries = await (await t.holder()).claimMany(ids.length);
      t.equal(deliveries.map((delivery) => delivery.lease.taskId).sort(), [...ids].sort(), 'ids delivered');
    },
  },
  {
    id: 'MOD-18',
    rule: 'R-MOD-18',
    title: 'maintain from many clients at once never doubles, loses or un-finishes a task',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const mortal = await t.mortal();
      const tasks = await t.enqueueMany(60);
      const held = await mortal.claimMany(60);
      const sweepers = await Promise.all(Array.from({ length: 6 }, () => t.open()));
      await mortal.fallSilent();
      const holder = await t.holder();
      // The owner ends some of them while the sweepers take the rest away: each settle is applied or stale, once.
      const [settled] = await Promise.all([
        mortal.settleAll(held.slice(0, 20).map(({ lease }) => ({ type: 'complete', lease }))),
        ...sweepers.map((sweeper) => t.maintain(sweeper.broker)),
      ]);
      const finished = held.slice(0, 20).filter((_delivery, index) => settled[index] === 'applied');
      const kept = new Set(finished.map((delivery) => delivery.lease.taskId));
      const recovered = await holder.claimRecovered(60 - kept.size);
      const ids = recovered.map((delivery) => delivery.lease.taskId);
      t.equal(new Set(ids).size, ids.length, 'every task comes back once');
      t.equal(
        ids.filter((id) => kept.has(id)),
        [],
        'finished tasks that came back',
      );
      t.equal([...kept, ...ids].sort(), tasks.map((task) => task.id).sort(), 'all tasks accounted for');
      await Promise.all(sweepers.map((sweeper) => t.maintain(sweeper.broker)));
      await holder.claimsNothing();
      for (const id of kept) await t.inState(id, 'succeeded', 'state of a task that was finished in time');
    },
  },
];

function pick(value: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));
}
