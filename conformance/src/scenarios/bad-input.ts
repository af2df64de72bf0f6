import type { NewTask } from '@millrace/core';
import type { Scenario } from '../scenario.ts';

/** BAD: wrong input at the broker is refused by name, before any effect. What clients check is in worker-bad-input.ts. */
export const badInput: readonly Scenario[] = [
  {
    id: 'BAD-02',
    rule: 'R-BAD-2',
    title: 'NaN, infinities, negative and fractional numbers are refused for every number of a task, by name',
    tier: 'core',
    async run(t) {
      const cases: [keyof NewTask, string, readonly number[]][] = [
        ['priority', 'priority', [Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, 10]],
        ['delayMs', 'delay', [Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5]],
        ['runAt', 'runAt', [Number.NaN, Number.POSITIVE_INFINITY, 1.5, 9e15]],
        ['expiresInMs', 'expires', [Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5]],
        ['expiresAt', 'expiresAt', [Number.NaN, Number.NEGATIVE_INFINITY, 1.5]],
        ['maxAttempts', 'maxAttempts', [Number.NaN, 0, -1, 1.5, 2 ** 31]],
        ['timeoutMs', 'timeout', [Number.NaN, 0, -1, 1.5]],
        ['version', 'version', [Number.NaN, -1, 1.5, 2 ** 31]],
      ];
      for (const [field, option, values] of cases) {
        for (const value of values) {
          await t.cell(`${field} ${value}`, async () => {
            const outcome = await t.tryEnqueue({ ...t.task(), [field]: value });
            t.equal(outcome.status, 'rejected', 'the outcome');
            if (outcome.status !== 'rejected') return;
            t.equal(
              [outcome.error.code, outcome.error.option, outcome.error.retryable],
              ['VALIDATION', option, 'no'],
              'the error',
            );
          });
        }
      }
      await (await t.holder()).claimsNothing();
    },
  },
  {
    id: 'BAD-03',
    rule: 'R-BAD-3',
    title: 'empty, oversized and ill-formed names, and claims of 0, -1, 1.5 or 2^31, are refused',
    tier: 'core',
    async run(t) {
      const names = ['', 'x'.repeat(256), 'é'.repeat(128), 'nul\0', 'lone \ud800'];
      for (const field of ['id', 'name', 'queue', 'key', 'group', 'owner'] as const) {
        if (field === 'key' && t.capabilities.unique === false) continue;
        for (const value of names) {
          await t.cell(`${field} ${JSON.stringify(value.slice(0, 10))}`, async () => {
            const keyed = field === 'key' ? ({ keyUntil: 'settled', onConflict: 'ignore' } as const) : {};
            const outcome = await t.tryEnqueue({ ...t.task(keyed), [field]: value });
            t.equal(
              outcome.status === 'rejected' && [outcome.error.code, outcome.error.option],
              ['VALIDATION', field],
              'the error',
            );
          });
        }
      }
      const holder = await t.holder();
      for (const limit of [0, -1, 1.5, 2 ** 31, Number.NaN]) {
        await t.refuses(
          () => holder.session.claim({ queues: ['line'], names: ['work'], limit, waitMs: 0 }),
          { code: 'VALIDATION', option: 'limit' },
          `a limit of ${limit}`,
        );
      }
      const base = { queues: ['line'], names: ['work'], limit: 1, waitMs: 0 };
      for (const wrong of [
        { queues: [] },
        { names: [] },
        { queues: [''] },
        { names: [''] },
        { waitMs: -1 },
        { waitMs: Number.NaN },
      ]) {
        const [option] = Object.keys(wrong);
        await t.refuses(
          () => holder.session.claim({ ...base, ...wrong }),
          { code: 'VALIDATION', ...(option && { option }) },
          `a claim with ${JSON.stringify(wrong)}`,
        );
      }
      await holder.claimsNothing();
    },
  },
  {
    id: 'BAD-05',
    rule: 'R-BAD-5',
    title: 'injection through ids, names, keys and filters has no effect outside its own task',
    tier: 'core',
    async run(t) {
      const victims = await t.enqueueMany(3, () => ({ queue: 'victims' }));
      const attacks = [
        "'; delete from tasks; --",
        "' or '1'='1",
        '") or 1=1 --',
        '*',
        '%',
        '_',
        '\\',
        '{*}',
        'a\nflushall\n',
        '$(id)',
        '{{1+1}}',
        '1; shutdown',
      ];
      const holder = await t.holder();
      for (const attack of attacks) {
        const key =
          t.capabilities.unique === false ? {} : ({ key: attack, keyUntil: 'settled', onConflict: 'ignore' } as const);
        await t.enqueue({
          id: attack,
          name: attack,
          queue: attack,
          group: attack,
          owner: attack,
          input: JSON.stringify(attack),
          ...key,
        });
        if (t.capabilities.tasks.count) {
          for (const filter of [
            { queues: [attack] },
            { names: [attack] },
            { owner: attack },
            { group: attack },
            { ids: [attack] },
          ]) {
            t.equal(await t.tasks.count(filter), 1, `tasks counted by ${JSON.stringify(filter)}`);
          }
        }
        const delivery = await holder.claimOne({ queues: [attack], names: [attack] });
        t.equal(delivery.lease.taskId, attack, 'the task delivered');
        t.equal(await holder.complete(delivery), 'applied', 'the completion');
        if (t.capabilities.tasks.remove) t.equal(await t.tasks.remove([attack]), ['applied'], 'the removal');
      }
      const left = await holder.claimMany(3, { queues: ['victims'] });
      t.equal(
        left.map((each) => each.lease.taskId).sort(),
        victims.map((task) => task.id).sort(),
        'the tasks that were there before',
      );
    },
  },
  {
    id: 'BAD-06',
    rule: 'R-BAD-6',
    title: 'a signal aborted before the call: no effect; aborted during it: the call settles',
    tier: 'core',
    async run(t) {
      const signal = AbortSignal.abort();
      await t.refuses(() => t.broker.enqueue([t.task()], { signal }), 'ABORTED', 'an enqueue aborted before');
      const holder = await t.holder();
      await holder.claimsNothing();
      const waiting = await t.enqueue();
      t.equal(await holder.claim({ signal, waitMs: 1_000 }), [], 'deliveries of a claim aborted before');
      const untouched = await holder.claimOne();
      t.equal([untouched.lease.taskId, untouched.lease.attempt], [waiting.id, 1], 'the task it left alone');
      t.equal(await holder.complete(untouched), 'applied', 'its completion');
      const stop = new AbortController();
      const task = t.task();
      const underway = t.broker.enqueue([task], { signal: stop.signal }).then(
        ([outcome]) => outcome?.status,
        (error: unknown) => (error as { code?: string }).code,
      );
      stop.abort();
      const answer = await t.soon(underway, 'the end of an enqueue aborted under way');
      t.ok(['accepted', 'ABORTED', 'INDETERMINATE'].includes(String(answer)), `it ends as ${answer}`);
      // Whatever it was, repeating it is safe, and one task is there; without idempotent ids there may be two of it.
      const { idempotentIds } = t.capabilities;
      if (idempotentIds || answer !== 'accepted') {
        const again = await t.tryEnqueue(task);
        t.ok(['accepted', 'duplicate'].includes(again.status), `repeating it is ${again.status}`);
      }
      const delivered = await holder.claimOne();
      t.equal(delivered.lease.taskId, task.id, 'the task delivered');
      t.equal(await holder.complete(delivered), 'applied', 'its completion');
      if (!idempotentIds && answer === 'INDETERMINATE') {
        const [copy] = await holder.claim({ waitMs: Math.round(t.unitMs) });
        if (copy !== undefined) t.equal(copy.lease.taskId, task.id, 'what else is delivered');
      }
      await holder.claimsNothing();
    },
  },
  {
    id: 'BAD-07',
    rule: 'R-BAD-7',
    title: 'calls under way while the client closes all end, and what was accepted is there',
    tier: 'core',
    async run(t) {
      const holder = await t.holder({ own: true });
      const { broker } = holder.client;
      const tasks = Array.from({ length: 20 }, () => t.task());
      const enqueues = tasks.map((task) =>
        broker.enqueue([task]).then(
          ([outcome]) => outcome?.status,
          () => 'refused',
        ),
      );
      const others = [
        holder.session.claim({ queues: ['line'], names: ['work'], limit: 5, waitMs: 600_000 }),
        broker.maintain({ maxTasks: 10 }),
        broker.health(),
        broker.queues.stats(),
        broker.openSession({ instance: 'late', host: 'localhost', ttlMs: holder.ttlMs, onSignal: () => {} }),
      ].map((call: Promise<unknown>) =>
        call.then(
          () => 'ended',
          () => 'refused',
        ),
      );
      await t.soon(broker.close(), 'closing the client');
      const statuses = await t.soon(Promise.all(enqueues), 'the end of enqueues under way');
      t.equal((await t.soon(Promise.all(others), 'the end of other calls under way')).length, 5, 'calls that ended');
      const accepted = tasks.filter((_task, index) => statuses[index] === 'accepted').map((task) => task.id);
      const successor = await t.holder();
      const found: string[] = [];
      while (found.length < tasks.length) {
        const deliveries = await successor.claim({ limit: 20 });
        if (deliveries.length === 0) break;
        found.push(...deliveries.map((each) => each.lease.taskId));
      }
      t.equal(
        accepted.filter((id) => !found.includes(id)),
        [],
        'accepted tasks that are missing',
      );
    },
  },
];
