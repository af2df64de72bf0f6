import type { TaskFailedError } from '@millrace/core';
import { hire, job, producer } from '../context/crew.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { cancelWaiting, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** OBS and MOD as producers and operators see them: results, headers, logs, ids, defaults. */
export const workerObserve: readonly Scenario[] = [
  {
    id: 'OBS-06',
    rule: 'R-OBS-6',
    title: 'headers travel from the producer through the handler to its children; payloads never get into logs',
    tier: 'core',
    async run(t) {
      const seen: unknown[] = [];
      const child = job((_input, { headers }) => seen.push(['child', headers.traceparent, headers.own]), {
        name: 'child',
      });
      const parent = job(async (_input, context) => {
        seen.push(['parent', context.headers.traceparent, context.headers.own]);
        await context.enqueue(child.definition, 'secret of the child', { headers: { own: 'added' } });
        if (context.attempt === 1) throw new Error('once');
      });
      const { logged } = await hire(t, [parent.handler, child.handler]);
      await producer(t).enqueue(parent.definition, 'secret of the parent', { headers: { traceparent: '00-abc' } });
      await t.eventually(() => seen.length >= 4, 'runs of parent and children');
      t.equal(
        seen.filter((each) => (each as unknown[])[0] === 'child'),
        [
          ['child', '00-abc', 'added'],
          ['child', '00-abc', 'added'],
        ],
        'headers of the children',
      );
      t.equal(
        seen.filter((each) => (each as unknown[])[0] === 'parent'),
        [
          ['parent', '00-abc', undefined],
          ['parent', '00-abc', undefined],
        ],
        'headers of the parent',
      );
      t.ok(
        !logged.some((line) => `${line.message} ${JSON.stringify(line.fields)}`.includes('secret of')),
        'no log line holds a payload',
      );
    },
  },
  {
    id: 'OBS-07',
    rule: 'R-OBS-7',
    title: 'lines a handler logs carry task, queue and attempt, and the last of them stay with the task',
    tier: 'core',
    async run(t) {
      const { definition, handler } = job((_input, { log }) => {
        log.info('plain');
        log.warn({ page: 7 }, 'with fields');
      });
      const { logged } = await hire(t, [handler]);
      const { id } = await producer(t).enqueue(definition, null);
      const lines = (): number => logged.filter((line) => line.fields.taskId === id).length;
      await t.eventually(() => lines() >= 2, 'two lines');
      const { get } = t.capabilities.tasks;
      if (get) await t.eventually(async () => (await t.record(id)).state === 'succeeded', 'the end of the task');
      const own = { taskId: id, task: 'work', queue: 'line', attempt: 1 };
      const mine = logged.filter((line) => line.fields.taskId === id);
      t.equal(
        mine.map(({ level, message, fields }) => ({ level, message, fields })),
        [
          { level: 'info', message: 'plain', fields: own },
          { level: 'warn', message: 'with fields', fields: { ...own, page: 7 } },
        ],
        'what the logger got',
      );
      if (!get || !t.capabilities.reports.log) return;
      const kept = (await t.record(id)).log.map((line) => [line.level, line.message]);
      t.equal(
        kept,
        [
          ['info', 'plain'],
          ['warn', 'with fields {"page":7}'],
        ],
        'what stays with the task',
      );
    },
  },
  {
    id: 'OBS-08',
    rule: 'R-OBS-8',
    title: 'result() returns what the handler returned, and says why there is none',
    tier: 'extended',
    needs: [taskStore('wait'), cancelWaiting],
    async run(t) {
      const { definition, handler } = job((input) => {
        if (input === 'bad') throw new TypeError('no such thing');
        return { got: input };
      });
      const client = producer(t);
      const [good, bad] = [
        await client.enqueue(definition, 'good'),
        await client.enqueue(definition, 'bad', { attempts: 1 }),
      ];
      const cancelled = await client.enqueue(definition, 'never', { delay: '1h' });
      await cancelled.cancel();
      const early = await t.soon(
        good.result({ timeout: 1 }).catch((error: unknown) => error),
        'the end of a short wait',
        1_000 + t.budgetMs,
      );
      t.equal((early as { code?: string; why?: string }).code, 'ABORTED', 'code of a wait that ran out');
      await hire(t, [handler]);
      t.equal(await t.soon(good.result(), 'the result'), { got: 'good' }, 'the result');
      const failures = [bad, cancelled].map((handle) =>
        t.soon(
          handle.result().catch((error: unknown) => error),
          'the refusal',
        ),
      );
      const [failed, stopped] = (await Promise.all(failures)) as [TaskFailedError, TaskFailedError];
      t.equal([failed.code, failed.state, failed.kind], ['TASK_FAILED', 'failed', 'error'], 'the failure');
      t.ok(failed.message.includes('no such thing'), 'the message names the last error');
      t.equal([stopped.code, stopped.state], ['TASK_FAILED', 'cancelled'], 'the cancellation');
      await t.refuses(
        () => t.soon(client.handle(definition, 'nobody').result(), 'the refusal'),
        'NOT_FOUND',
        'the result of an unknown task',
      );
    },
  },
  {
    id: 'MOD-24',
    rule: 'R-MOD-24',
    title: 'ids that clients make are unique over thousands of enqueues from several clients, and grow with time',
    tier: 'core',
    patience: 3,
    async run(t) {
      const { definition } = job(() => {});
      const clients = [producer(t), producer(t, await t.open()), producer(t, await t.open())];
      const items = Array.from({ length: 1_000 }, () => ({ input: null }));
      const handles = (
        await t.soon(Promise.all(clients.map((client) => client.enqueueMany(definition, items))), 'the enqueues')
      ).flat();
      t.equal(new Set(handles.map((handle) => handle.id)).size, 3_000, 'different ids');
      t.ok(
        handles.every((handle) => handle.outcome.status === 'accepted'),
        'all are accepted',
      );
      const [first, second] = [await clients[0]?.enqueue(definition, 1), await clients[0]?.enqueue(definition, 2)];
      t.ok((first?.id ?? '') < (second?.id ?? ''), 'a later id is greater');
    },
  },
  {
    id: 'MOD-25',
    rule: 'R-MOD-25',
    title: 'a task enqueued with no options is the documented default record',
    tier: 'core',
    async run(t) {
      const { definition } = job(() => {});
      const handle = await producer(t).enqueue(definition, { to: 'a@b.c' });
      if (t.capabilities.tasks.get) await checkRecord(t, handle.id);
      const { lease, createdAt, runAt, ...delivered } = await (await t.holder()).claimOne();
      t.equal([lease.taskId, lease.attempt, runAt], [handle.id, 1, createdAt], 'id, attempt and due time delivered');
      t.equal(
        delivered,
        {
          name: 'work',
          queue: 'line',
          input: '{"to":"a@b.c"}',
          headers: {},
          priority: 4,
          maxAttempts: 3,
          version: 1,
        },
        'the delivery',
      );
    },
  },
  {
    id: 'MOD-16',
    rule: 'R-MOD-16',
    title: 'errors of the broker reach the caller with code, retryable flag and the adapter’s name',
    tier: 'core',
    async run(t) {
      const { definition } = job(() => {});
      const client = t.connect();
      await t.soon(client.close(), 'closing a client');
      const error = await t.refuses(
        () => producer(t, client).enqueue(definition, null),
        'CLOSED',
        'an enqueue on a closed broker',
      );
      t.equal([error.retryable, error.adapter], ['no', t.broker.kind], 'retryable and adapter');
      const { maxTtlMs } = t.capabilities.session;
      const invalid = await t.refuses(
        () => t.broker.openSession({ instance: '', host: 'localhost', ttlMs: maxTtlMs, onSignal: () => {} }),
        { code: 'VALIDATION', option: 'instance' },
        'a session without a name',
      );
      t.equal(invalid.retryable, 'no', 'retryable');
    },
  },
];

async function checkRecord(t: ScenarioContext, id: string): Promise<void> {
  const record = await t.record(id);
  t.equal(
    record,
    {
      id,
      name: 'work',
      queue: 'line',
      state: 'pending',
      input: '{"to":"a@b.c"}',
      headers: {},
      priority: 4,
      attempt: 0,
      maxAttempts: 3,
      fence: 0,
      errors: [],
      log: [],
      version: 1,
      createdAt: record.createdAt,
      runAt: record.createdAt,
    },
    'the record',
  );
}
