import type { Capabilities, EnqueueOutcome, NewTask } from '@millrace/core';
import {
  cancelWaiting,
  capability,
  hook,
  idempotentIds,
  taskStore,
  transactions,
  unique,
  uniqueReplace,
} from '../needs.ts';
import type { Scenario } from '../scenario.ts';

const accepted: EnqueueOutcome = { status: 'accepted' };
const untilSettled = { keyUntil: 'settled', onConflict: 'ignore' } as const;
const startedKeys = capability(
  'unique.until.started',
  (c: Capabilities) => c.unique !== false && c.unique.until.includes('started'),
);
const settledKeys = capability(
  'unique.until.settled',
  (c: Capabilities) => c.unique !== false && c.unique.until.includes('settled'),
);

function duplicateOf(task: NewTask): EnqueueOutcome {
  return { status: 'duplicate', existingId: task.id };
}

/** DUP: ids and unique keys. */
export const dedupe: readonly Scenario[] = [
  {
    id: 'DUP-01',
    rule: 'R-DUP-1',
    title: 'an id enqueued again is one task: a duplicate in every state of the first, and inside one batch',
    tier: 'extended',
    needs: [idempotentIds],
    async run(t) {
      const holder = await t.holder();
      const task = t.task({ input: '"first"' });
      t.equal(await t.broker.enqueue([task, task]), [accepted, duplicateOf(task)], 'outcomes inside a batch');
      t.equal(await t.tryEnqueue(task), duplicateOf(task), 'outcome while pending');
      const delivery = await holder.claimOne();
      t.equal(await t.tryEnqueue(task), duplicateOf(task), 'outcome while running');
      t.equal(await holder.retry(delivery), 'applied', 'the retry');
      t.equal(await t.tryEnqueue(task), duplicateOf(task), 'outcome while retrying');
      t.equal(await holder.complete(await holder.claimOne()), 'applied', 'the completion');
      t.equal(await t.tryEnqueue(task), duplicateOf(task), 'outcome after success');
      await holder.claimsNothing();
      const doomed = await t.enqueue();
      await holder.fail(await holder.claimOne());
      t.equal(await t.tryEnqueue(doomed), duplicateOf(doomed), 'outcome after failure');
      await holder.claimsNothing();
    },
  },
  {
    id: 'DUP-02',
    rule: 'R-DUP-2',
    title: 'a unique key that is taken: no second task, and the outcome names the first',
    tier: 'extended',
    needs: [unique],
    async run(t) {
      const first = await t.enqueue({ key: 'k', ...untilSettled });
      for (const changes of [{}, { delayMs: 60_000 }, { name: 'other', input: '1' }]) {
        t.equal(
          await t.tryEnqueue(t.task({ key: 'k', ...untilSettled, ...changes })),
          duplicateOf(first),
          'the outcome',
        );
      }
      t.equal(await t.tryEnqueue(t.task({ key: 'other', ...untilSettled })), accepted, 'outcome of another key');
      t.equal(await t.tryEnqueue(t.task()), accepted, 'outcome without a key');
      t.equal((await (await t.holder()).claimMany(3)).length, 3, 'tasks stored');
      await (await t.holder()).claimsNothing({ names: ['work', 'other'] });
    },
  },
  {
    id: 'DUP-03',
    rule: 'R-DUP-3',
    title: 'fifty producers race for one key, over and over: exactly one is accepted, the others name it',
    tier: 'extended',
    needs: [unique],
    patience: 2,
    async run(t) {
      const clients = await Promise.all(Array.from({ length: 5 }, () => t.open()));
      for (let round = 0; round < 10; round++) {
        const tasks = Array.from({ length: 50 }, () => t.task({ key: `round-${round}`, ...untilSettled }));
        const outcomes = await Promise.all(
          tasks.map((task, index) => t.tryEnqueue(task, clients[index % clients.length]?.broker)),
        );
        const winners = tasks.filter((_task, index) => outcomes[index]?.status === 'accepted');
        t.equal(winners.length, 1, 'tasks accepted');
        const named = outcomes.flatMap((outcome) => (outcome.status === 'duplicate' ? [outcome.existingId] : []));
        t.equal([named.length, ...new Set(named)], [49, winners[0]?.id], 'duplicates, and the id they name');
      }
      t.equal((await (await t.holder()).claimMany(10)).length, 10, 'tasks stored');
      await (await t.holder()).claimsNothing();
    },
  },
  {
    id: 'DUP-04',
    rule: 'R-DUP-4',
    title: 'a key until settled stays taken over retries and is free after the end',
    tier: 'extended',
    needs: [settledKeys],
    async run(t) {
      const holder = await t.holder();
      const task = await t.enqueue({ key: 'k', ...untilSettled });
      const again = (): Promise<EnqueueOutcome> => t.tryEnqueue(t.task({ key: 'k', ...untilSettled }));
      const delivery = await holder.claimOne();
      t.equal(await again(), duplicateOf(task), 'while running');
      await holder.retry(delivery);
      t.equal(await again(), duplicateOf(task), 'while retrying');
      const second = await holder.claimOne();
      await holder.release(second);
      t.equal(await again(), duplicateOf(task), 'after a release');
      await holder.complete(await holder.claimOne());
      t.equal(await again(), accepted, 'after the end');
    },
  },
  {
    id: 'DUP-12',
    rule: 'R-DUP-12',
    title: 'a key until started is free from the first claim on, and a retry does not take it back',
    tier: 'extended',
    needs: [startedKeys],
    async run(t) {
      const holder = await t.holder();
      const changes = { key: 'k', keyUntil: 'started', onConflict: 'ignore' } as const;
      const first = await t.enqueue(changes);
      t.equal(await t.tryEnqueue(t.task(changes)), duplicateOf(first), 'before the claim');
      const delivery = await holder.claimOne();
      const second = t.task(changes);
      t.equal(await t.tryEnqueue(second), accepted, 'after the claim');
      t.equal(await t.tryEnqueue(t.task(changes)), duplicateOf(second), 'the second holds it');
      t.equal(await holder.retry(delivery), 'applied', 'the retry of the first');
      t.equal((await holder.claimMany(2)).length, 2, 'both run');
      t.equal(await t.tryEnqueue(t.task(changes)), accepted, 'after both were claimed');
    },
  },
  {
    id: 'DUP-05',
    rule: 'R-DUP-5',
    title: 'a key is free again after success, death, cancel, removal, purge and expiry',
    tier: 'extended',
    needs: [settledKeys, cancelWaiting, taskStore('remove')],
    async run(t) {
      const holder = await t.holder();
      const endings: Record<string, (task: NewTask) => Promise<unknown>> = {
        success: async () => holder.complete(await holder.claimOne()),
        death: async () => holder.fail(await holder.claimOne()),
        cancel: (task) => t.tasks.cancel([task.id]),
        removal: (task) => t.tasks.remove([task.id]),
        purge: (task) => t.broker.queues.purge(task.queue),
        expiry: async () => {
          await t.advance(Math.round(t.unitMs) + t.capabilities.timePrecisionMs);
          await t.maintain();
        },
      };
      for (const [ending, end] of Object.entries(endings)) {
        if (ending === 'purge' && !t.capabilities.queues.purge) continue;
        const expires = ending === 'expiry' ? { expiresInMs: Math.round(t.unitMs) } : {};
        const task = await t.enqueue({ key: ending, ...untilSettled, ...expires });
        await end(task);
        const next = t.task({ key: ending, ...untilSettled, delayMs: 3_600_000 });
        t.equal(await t.tryEnqueue(next), accepted, `outcome after ${ending}`);
        t.equal(
          await t.tryEnqueue(t.task({ key: ending, ...untilSettled })),
          duplicateOf(next),
          'the newcomer holds it',
        );
      }
    },
  },
  {
    id: 'DUP-13',
    rule: 'R-DUP-13',
    title: 'a key is free again when the transaction that took it rolls back',
    tier: 'extended',
    needs: [unique, transactions, hook('transaction')],
    async run(t) {
      const { transaction } = t.hooks;
      const inside = t.task({ key: 'k', ...untilSettled });
      await transaction?.(t.client.target, async (tx) => {
        t.equal(await t.broker.enqueue([inside], { transaction: tx }), [accepted], 'the outcome inside');
        throw new Error('roll back');
      }).catch(() => {});
      t.equal(await t.tryEnqueue(t.task({ key: 'k', ...untilSettled })), accepted, 'the outcome afterwards');
    },
  },
  {
    id: 'DUP-06',
    rule: 'R-DUP-6',
    title: 'replace gives a waiting task the new content and keeps its id; a running one stays as it is',
    tier: 'extended',
    needs: [uniqueReplace, taskStore('get')],
    async run(t) {
      const replacing = { key: 'k', keyUntil: 'settled', onConflict: 'replace' } as const;
      const first = await t.enqueue({ ...replacing, input: '"one"' });
      const second = t.task({ ...replacing, input: '"two"', delayMs: 3_600_000, priority: 9, maxAttempts: 8 });
      t.equal(await t.tryEnqueue(second), { status: 'replaced', existingId: first.id }, 'the outcome');
      t.equal(await t.find(second.id), undefined, 'the record of the second id');
      const holder = await t.holder();
      await holder.claimsNothing();
      const record = await t.record(first.id);
      t.equal(
        [record.input, record.priority, record.maxAttempts, record.state],
        ['"two"', 9, 8, 'scheduled'],
        'the content',
      );
      t.equal(
        await t.tryEnqueue(t.task({ ...replacing, input: '"three"' })),
        { status: 'replaced', existingId: first.id },
        'again',
      );
      const delivery = await holder.claimOne();
      t.equal([delivery.lease.taskId, delivery.input], [first.id, '"three"'], 'what is delivered');
      t.equal(await t.tryEnqueue(t.task({ ...replacing, input: '"four"' })), duplicateOf(first), 'while it runs');
      t.equal((await t.record(first.id)).input, '"three"', 'the input of the running task');
      t.equal(await holder.retry(delivery, 3_600_000), 'applied', 'the retry');
      t.equal(
        await t.tryEnqueue(t.task({ ...replacing, input: '"five"' })),
        { status: 'replaced', existingId: first.id },
        'while it backs off',
      );
      await t.inState(first.id, 'retrying', 'the state, which a replacement keeps');
      const again = await holder.claimOne();
      t.equal(
        [again.lease.taskId, again.lease.attempt, again.input],
        [first.id, 2, '"five"'],
        'what is delivered then',
      );
    },
  },
  {
    id: 'DUP-07',
    rule: 'R-DUP-7',
    title: 'keys belong to their queue and are taken literally, whatever they look like',
    tier: 'extended',
    needs: [unique],
    async run(t) {
      const keys = ['k', 'K', ' k', 'k ', '*', '%', '_', '{k}', 'a:b', "k'--", 'é', 'e\u0301', '🚀', 'x'.repeat(255)];
      const tasks = keys.flatMap((key) => ['line', 'other'].map((queue) => t.task({ key, queue, ...untilSettled })));
      for (const task of tasks) t.equal(await t.tryEnqueue(task), accepted, `first of '${task.key}' in ${task.queue}`);
      for (const task of tasks) {
        t.equal(
          await t.tryEnqueue({ ...task, id: t.task().id }),
          duplicateOf(task),
          `second of '${task.key}' in ${task.queue}`,
        );
      }
      const stranger = await t.open(t.neighbourNamespace());
      t.equal(
        await t.tryEnqueue(t.task({ key: 'k', ...untilSettled }), stranger.broker),
        accepted,
        'another namespace',
      );
    },
  },
  {
    id: 'DUP-08',
    rule: 'R-DUP-8',
    title: 'keys work the same inside a batch: the first takes it, the others name the first',
    tier: 'extended',
    needs: [unique],
    async run(t) {
      const tasks = Array.from({ length: 6 }, (_unused, index) => t.task({ key: `k${index % 2}`, ...untilSettled }));
      const [zero, one] = tasks as [NewTask, NewTask];
      const expected = [accepted, accepted, duplicateOf(zero), duplicateOf(one), duplicateOf(zero), duplicateOf(one)];
      t.equal(await t.broker.enqueue(tasks), expected, 'outcomes of a batch');
      const more = [t.task(), t.task({ key: 'k0', ...untilSettled }), t.task({ key: 'k2', ...untilSettled })];
      t.equal(await t.broker.enqueue(more), [accepted, duplicateOf(zero), accepted], 'outcomes of the next batch');
      t.equal((await (await t.holder()).claimMany(4)).length, 4, 'tasks stored');
      await (await t.holder()).claimsNothing();
    },
  },
  {
    id: 'DUP-10',
    rule: 'R-DUP-10',
    title: 'an id enqueued again with other content is a duplicate too, and the first content stays',
    tier: 'extended',
    needs: [idempotentIds],
    async run(t) {
      const task = await t.enqueue({ input: '"first"', priority: 3 });
      const other = { ...task, input: '"second"', priority: 9, queue: 'other' };
      t.equal(await t.tryEnqueue(other), duplicateOf(task), 'the outcome');
      const holder = await t.holder();
      await holder.claimsNothing({ queues: ['other'] });
      const delivery = await holder.claimOne();
      t.equal([delivery.input, delivery.priority], ['"first"', 3], 'what is delivered');
    },
  },
  {
    id: 'DUP-14',
    rule: 'R-DUP-14',
    title: 'an id promised to be fresh that is there all the same is a duplicate, and nothing of it is overwritten',
    tier: 'extended',
    needs: [idempotentIds],
    async run(t) {
      const first = { input: '"first"', headers: { by: 'first' }, priority: 3 };
      const fresh = (task: NewTask): NewTask => ({ ...task, fresh: true });
      const other = (task: NewTask): NewTask =>
        fresh({ ...task, input: '"second"', headers: { by: 'second' }, priority: 9, maxAttempts: 9 });
      const holder = await t.holder();
      const [alone, atStart, inMiddle, atEnd, mixed] = (await t.enqueueMany(5, () => first)) as [
        NewTask,
        NewTask,
        NewTask,
        NewTask,
        NewTask,
      ];
      t.equal(await t.tryEnqueue(other(alone)), duplicateOf(alone), 'the outcome of one');

      const news = Array.from({ length: 30 }, () => fresh(t.task({ queue: 'news' })));
      const bulk = [other(atStart), ...news.slice(0, 15), other(inMiddle), ...news.slice(15), other(atEnd)];
      const there = new Map([atStart, inMiddle, atEnd, mixed].map((task) => [task.id, duplicateOf(task)]));
      const expected = (batch: readonly NewTask[]): EnqueueOutcome[] =>
        batch.map(({ id }) => there.get(id) ?? accepted);
      t.equal(await t.broker.enqueue(bulk), expected(bulk), 'outcomes in bulk');

      const plain = t.task({ queue: 'news' });
      const twice = fresh(t.task({ queue: 'news' }));
      const batch = [plain, other(mixed), fresh(t.task({ queue: 'news', delayMs: 3_600_000 })), other(atStart), twice];
      t.equal(await t.broker.enqueue(batch), expected(batch), 'outcomes of a batch of which some are not promised');
      const again = fresh(t.task({ queue: 'news' }));
      t.equal(
        await t.broker.enqueue([again, again]),
        [accepted, duplicateOf(again)],
        'outcomes of one twice in a batch',
      );

      const deliveries = await holder.claimMany(5);
      t.equal(
        deliveries.map(({ input, headers, priority }) => ({ input, headers, priority })),
        Array.from({ length: 5 }, () => first),
        'what the five still are',
      );
      for (const task of [alone, atEnd]) {
        t.equal(await t.tryEnqueue(other(task)), duplicateOf(task), 'the outcome while it runs');
      }
      await holder.claimsNothing();
      const outcomes = await holder.settleAll(deliveries.map(({ lease }) => ({ type: 'complete', lease })));
      t.equal(new Set(outcomes), new Set(['applied']), 'the settles of those that ran meanwhile');
      t.equal((await holder.claimMany(33, { queues: ['news'] })).length, 33, 'tasks stored beside them');
      await holder.claimsNothing({ queues: ['news'] });
    },
  },
];
