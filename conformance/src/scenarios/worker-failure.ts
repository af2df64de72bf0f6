import { fixed, type TaskFilter } from '@millrace/core';
import { hire, job, producer } from '../context/crew.ts';
import { freezing, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

/** RTY: what is kept of failures, and what handlers may do wrong. */
export const workerFailure: readonly Scenario[] = [
  {
    id: 'RTY-07',
    rule: 'R-RTY-7',
    title: 'each failed attempt is kept with its number, name, message, bounded stack, cause, time and worker',
    tier: 'core',
    needs: [taskStore('get')],
    async run(t) {
      class Teapot extends Error {
        override readonly name = 'Teapot';
      }
      const { definition, handler } = job((_input, { attempt }) => {
        throw new Teapot(`no coffee, attempt ${attempt}`, { cause: new Error('root of it') });
      });
      await hire(t, [handler], { instance: 'kitchen' });
      const { id } = await producer(t).enqueue(definition, null);
      await t.eventually(async () => (await t.record(id)).state === 'failed', 'the end of the task');
      const record = await t.record(id);
      t.equal(record.failure, 'error', 'the kind of failure');
      t.equal(
        record.errors.map(({ attempt, kind, name, message, worker }) => ({ attempt, kind, name, message, worker })),
        [1, 2, 3].map((attempt) => ({
          attempt,
          kind: 'error',
          name: 'Teapot',
          message: `no coffee, attempt ${attempt}`,
          worker: 'kitchen',
        })),
        'the errors',
      );
      for (const { stack, at } of record.errors) {
        t.ok(
          stack?.includes('root of it') === true && stack.length <= 4_000,
          'the stack is bounded and names the cause',
        );
        t.between(at, record.createdAt, record.finishedAt ?? 0, 'the time of an error');
      }
    },
  },
  {
    id: 'RTY-08',
    rule: 'R-RTY-8',
    title: 'whatever is thrown is recorded, and the worker lives on',
    tier: 'core',
    async run(t) {
      const circular: Record<string, unknown> = { why: 'circular' };
      circular.self = circular;
      const hostile = Object.defineProperty(new Error('hidden'), 'message', {
        get: () => {
          throw new Error('getter');
        },
      });
      const thrown: Record<string, unknown> = {
        string: 'a string',
        nothing: undefined,
        null: null,
        number: 42,
        circular,
        hostile,
        huge: new Error('x'.repeat(1_000_000)),
        'nul and surrogate': new Error('a\0b\ud800'),
        symbol: Symbol('s'),
        proxy: new Proxy(
          {},
          {
            get: () => {
              throw new Error('trap');
            },
          },
        ), // prettier-ignore
      };
      const seen: string[] = [];
      const { definition, handler } = job(
        (input, { attempt }) => {
          seen.push(`${input} ${attempt}`);
          if (input === 'fine') return 'fine';
          if (attempt % 2 === 0) return Promise.reject(thrown[String(input)]);
          throw thrown[String(input)];
        },
        { retry: fixed({ attempts: 2, delay: 0 }) },
      );
      await hire(t, [handler]);
      const client = producer(t);
      const handles = [];
      for (const input of [...Object.keys(thrown), 'fine']) handles.push(await client.enqueue(definition, input));
      await t.eventually(() => seen.length >= 2 * (handles.length - 1) + 1, 'all runs');
      t.equal(seen.length, 2 * (handles.length - 1) + 1, 'runs');
      if (!t.capabilities.tasks.get) return;
      for (const { id } of handles.slice(0, -1)) {
        await t.eventually(async () => (await t.record(id)).state === 'failed', 'the end of a task');
        t.equal((await t.record(id)).errors.length, 2, 'errors kept');
      }
    },
  },
  {
    id: 'RTY-09',
    rule: 'R-RTY-9',
    title: 'a handler that ends after its lease was lost changes nothing, and that is logged',
    tier: 'core',
    needs: [freezing],
    async run(t) {
      const attempts: number[] = [];
      let release = (): void => {};
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      const { definition, handler } = job(async (_input, { attempt }) => {
        attempts.push(attempt);
        if (attempt === 1) {
          await gate;
          throw new Error('after the fact');
        }
        return 'second';
      });
      const first = await hire(t, [handler], { client: await t.open(), sessionTtl: t.shortTtlMs });
      const { id } = await producer(t).enqueue(definition, null);
      await t.eventually(() => attempts.length === 1, 'the first run');
      first.client.freeze();
      await t.advance(t.shortTtlMs + t.capabilities.timePrecisionMs);
      const second = await hire(t, [handler], { client: await t.open() });
      await t.eventually(() => attempts.length === 2, 'the second run', t.capabilities.session.sweepMs + t.budgetMs);
      if (t.capabilities.tasks.get)
        await t.eventually(async () => (await t.record(id)).state === 'succeeded', 'the end of the task');
      release();
      first.client.thaw();
      const told = (): boolean => first.logged.some((line) => line.level === 'warn' && line.fields.taskId === id);
      await t.eventually(told, 'a warning about the late end');
      await t.soon(second.worker.stop(), 'the stop of the second worker');
      t.equal(attempts, [1, 2], 'attempts');
      if (t.capabilities.tasks.get) t.equal((await t.record(id)).output, '"second"', 'the output');
    },
  },
  {
    id: 'RTY-10',
    rule: 'R-RTY-10',
    title: 'input and headers are the same on every attempt, whatever the handler did to its copy',
    tier: 'core',
    async run(t) {
      const seen: string[] = [];
      const { definition, handler } = job((input, { headers, attempt }) => {
        seen.push(JSON.stringify([input, headers]));
        const value = input as { list: number[]; added?: string };
        value.list.push(99);
        value.added = 'x';
        try {
          (headers as Record<string, string>).tenant = 'changed';
        } catch {
          // Frozen headers keep the promise as well.
        }
        if (attempt < 3) throw new Error('again');
      });
      await hire(t, [handler]);
      await producer(t).enqueue(definition, { list: [1] }, { headers: { tenant: 'a' } });
      await t.eventually(() => seen.length >= 3, 'three runs');
      t.equal(new Set(seen), new Set(['[{"list":[1]},{"tenant":"a"}]']), 'what the handler was given');
    },
  },
  {
    id: 'RTY-11',
    rule: 'R-RTY-11',
    title: 'dead tasks can be found with their content and reason, and rerun one by one and all at once',
    tier: 'extended',
    needs: [taskStore('get', 'list', 'rerun')],
    async run(t) {
      const holder = await t.holder();
      const tasks = await t.enqueueMany(4, (index) => ({ queue: 'dead', input: `${index}` }));
      for (const delivery of await holder.claimMany(4, { queues: ['dead'] })) {
        await holder.fail(delivery, { kind: 'error', name: 'Error', message: `input ${delivery.input}` });
      }
      const filter: TaskFilter = { queues: ['dead'], states: ['failed'] };
      const { tasks: dead } = await t.tasks.list(filter, { limit: 10 });
      const found = dead.map((record) => [record.input, record.failure, record.errors[0]?.message]).sort();
      t.equal(
        found,
        ['0', '1', '2', '3'].map((input) => [input, 'error', `input ${input}`]),
        'the dead tasks',
      );
      t.equal(await t.tasks.rerun([tasks[0]?.id ?? '']), ['applied'], 'rerunning one');
      t.equal((await t.tasks.list(filter, { limit: 10 })).tasks.length, 3, 'dead tasks after that');
      t.equal(
        await t.tasks.rerun(tasks.map((task) => task.id)),
        ['refused', 'applied', 'applied', 'applied'],
        'rerunning all',
      );
      t.equal((await holder.claimMany(4, { queues: ['dead'] })).length, 4, 'tasks delivered again');
    },
  },
  {
    id: 'PAY-12',
    rule: 'R-PAY-12',
    title:
      'a stored input that cannot be decoded ends its task as dead, kind invalid; the worker goes on with the others',
    tier: 'core',
    async run(t) {
      const inputs: unknown[] = [];
      const { definition, handler } = job((input) => inputs.push(input));
      await hire(t, [handler], { concurrency: 1 });
      const broken = await t.enqueue({ input: '{"cut": ' });
      await producer(t).enqueue(definition, 'fine');
      await t.eventually(() => inputs.length > 0, 'the run of the good task');
      t.equal(inputs, ['fine'], 'what the handler saw');
      if (!t.capabilities.tasks.get) return;
      await t.eventually(async () => (await t.record(broken.id)).state === 'failed', 'the end of the broken task');
      const record = await t.record(broken.id);
      t.equal(
        [record.failure, record.attempt, record.input],
        ['invalid', 1, '{"cut": '],
        'failure, attempt and the kept input',
      );
    },
  },
];
