import { describe, expect, it } from 'vitest';
import { ManualClock, turns } from '../../test/manual-clock.ts';
import { everything, ScriptedBroker } from '../../test/scripted-broker.ts';
import type { ControlOutcome, TaskStore } from '../broker/task-store.ts';
import { defineTask } from '../define-task.ts';
import type { TaskRecord } from '../task.ts';
import { createClient } from './create-client.ts';

const plain = defineTask({ name: 'plain' });

function record(changes: Partial<TaskRecord> = {}): TaskRecord {
  return {
    id: 'a',
    name: 'plain',
    queue: 'default',
    state: 'succeeded',
    headers: {},
    priority: 4,
    attempt: 1,
    maxAttempts: 5,
    fence: 1,
    runAt: 0,
    errors: [],
    log: [],
    createdAt: 0,
    version: 1,
    ...changes,
  };
}

/** A task store that notes its calls and answers what it is told. */
function setUp(overrides: Partial<TaskStore> = {}) {
  const calls: unknown[][] = [];
  const noted =
    (name: string) =>
    async (...args: unknown[]): Promise<ControlOutcome[]> => {
      calls.push([name, ...args]);
      return ['applied'];
    };
  const store = {
    get: async () => [record()],
    list: async () => ({ tasks: [] }),
    count: async () => 7,
    ...Object.fromEntries(
      ['cancel', 'pause', 'resume', 'rerun', 'reschedule', 'update', 'remove'].map((name) => [name, noted(name)]),
    ),
    wait: async () => [record()],
    ...overrides,
  } as unknown as TaskStore;
  const broker = new ScriptedBroker();
  broker.tasks = store;
  const clock = new ManualClock();
  return { broker, calls, clock, client: createClient({ broker, clock }) };
}

describe('control', () => {
  it('asks the store for one task, and opens the broker first', async () => {
    const { broker, calls, client } = setUp();
    const { tasks } = client;
    for (const operation of ['cancel', 'pause', 'resume', 'rerun', 'remove'] as const) {
      expect(await tasks[operation]('a')).toBe('applied');
    }
    expect(calls).toEqual(['cancel', 'pause', 'resume', 'rerun', 'remove'].map((name) => [name, ['a']]));
    expect(broker.opened).toBe(1);
    expect(await tasks.get('a')).toEqual(record());
    expect(await tasks.count()).toBe(7);
    expect(await client.handle(plain, 'b').cancel()).toBe('applied');
  });

  it('moves due times to a span or an instant', async () => {
    const { calls, client } = setUp();
    await client.tasks.reschedule('a', '5m');
    await client.tasks.reschedule('a', new Date(5));
    expect(calls.map((call) => call.at(-1))).toEqual([{ delayMs: 300_000 }, { at: 5 }]);
    await expect(client.tasks.reschedule('a', new Date('never'))).rejects.toMatchObject({ option: 'due' });
    await expect(client.tasks.reschedule('a', 'soon' as '1s')).rejects.toMatchObject({ option: 'due' });
  });

  it('changes what is given, and nothing that is undefined', async () => {
    const { calls, client } = setUp();
    await client.tasks.update('a', { input: { n: -0 }, priority: 9, owner: undefined as never });
    await client.tasks.update('a', { group: 'g', owner: 'o' });
    expect(calls.map((call) => call.at(-1))).toEqual([
      { input: '{"n":-0}', priority: 9 },
      { group: 'g', owner: 'o' },
    ]);
  });

  it.each<[string, object]>([
    ['priority', { priority: 10 }],
    ['priority', { priority: '4' }],
    ['group', { group: '' }],
    ['owner', { owner: 5 }],
    ['input', { input: () => {} }],
    ['state', { state: 'failed' }],
  ])('refuses a wrong %s', async (option, changes) => {
    const { calls, client } = setUp();
    await expect(client.tasks.update('a', changes)).rejects.toMatchObject({ code: 'VALIDATION', option });
    expect(calls).toEqual([]);
  });

  it('pages through everything', async () => {
    const cursors: unknown[] = [];
    const pages: Record<string, { tasks: TaskRecord[]; cursor?: string }> = {
      first: { tasks: [record({ id: '3' }), record({ id: '2' })], cursor: 'next' },
      next: { tasks: [record({ id: '1' })], cursor: 'last' },
      last: { tasks: [] },
    };
    const { client } = setUp({
      list: async (_filter, page) => {
        cursors.push(page);
        return pages[page.cursor ?? 'first']!;
      },
    });
    const ids: string[] = [];
    for await (const task of client.tasks.all({ owner: 'o' })) ids.push(task.id);
    expect(ids).toEqual(['3', '2', '1']);
    expect(cursors).toEqual([{ limit: 500 }, { limit: 500, cursor: 'next' }, { limit: 500, cursor: 'last' }]);
    await client.tasks.list({}, { limit: 5, cursor: 'c' });
    await client.tasks.list();
    expect(cursors.slice(3)).toEqual([{ limit: 5, cursor: 'c' }, { limit: 100 }]);
  });

  it('refuses what the broker does not have, before any effect', async () => {
    const { broker, calls, client } = setUp();
    broker.capabilities = {
      ...everything,
      tasks: { ...everything.tasks, get: false, cancel: [], pause: [], rerun: false, wait: false },
    };
    for (const call of [
      () => client.tasks.get('a'),
      () => client.tasks.cancel('a'),
      () => client.tasks.pause('a'),
      () => client.tasks.resume('a'),
      () => client.tasks.rerun('a'),
      () => client.tasks.result('a', {}),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'UNSUPPORTED', adapter: 'scripted' });
    }
    expect(calls).toEqual([]);
    const bare = createClient({ broker: new ScriptedBroker() });
    await expect(bare.tasks.count()).rejects.toMatchObject({ code: 'UNSUPPORTED', capability: 'tasks.count' });
  });
});

describe('result', () => {
  it('is what the handler returned', async () => {
    const { client } = setUp({ wait: async () => [record({ output: '{"n":1}' })] });
    expect(await client.handle(plain, 'a').result()).toEqual({ n: 1 });
  });

  it.each<[Partial<TaskRecord>, object]>([
    [
      {
        state: 'failed',
        failure: 'error',
        errors: [{ kind: 'error', name: 'TypeError', message: 'x', attempt: 1, at: 0 }],
      },
      { state: 'failed', kind: 'error', taskId: 'a', message: expect.stringContaining('failed: TypeError: x') },
    ],
    [{ state: 'failed', failure: 'expired' }, { kind: 'expired' }],
    [{ state: 'cancelled' }, { state: 'cancelled', kind: undefined }],
  ])('is an error for %j', async (changes, error) => {
    const { client } = setUp({ wait: async () => [record(changes)] });
    await expect(client.handle(plain, 'a').result()).rejects.toMatchObject({ code: 'TASK_FAILED', ...error });
  });

  it('is not found for a task that is gone', async () => {
    const { client } = setUp({ wait: async () => [undefined] });
    await expect(client.handle(plain, 'a').result()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('asks in slices until the task has ended', async () => {
    const waits: number[] = [];
    const { client } = setUp({
      wait: async (_ids, { waitMs }) => {
        waits.push(waitMs);
        return [record({ state: waits.length < 4 ? 'running' : 'succeeded', output: '1' })];
      },
    });
    expect(await client.handle(plain, 'a').result()).toBe(1);
    expect(waits).toEqual([20_000, 20_000, 20_000, 20_000]);
  });

  it('gives up after its timeout, by the client’s clock, having looked once more', async () => {
    const waits: number[] = [];
    const { client, clock } = setUp({
      wait: async (_ids, { waitMs }) => {
        waits.push(waitMs);
        await new Promise<void>((resolve) => void clock.setTimer(resolve, waitMs));
        return [record({ state: 'running' })];
      },
    });
    const given = expect(client.handle(plain, 'a').result({ timeout: '25s' })).rejects.toMatchObject({
      code: 'ABORTED',
      why: 'timeout',
      message: 'task a was still running after 25000 ms',
    });
    await clock.advance(25_000);
    await given;
    expect(waits).toEqual([20_000, 5_000, 0]);
  });

  it('looks at least once, also without time', async () => {
    const { client } = setUp({ wait: async () => [record({ output: '1' })] });
    expect(await client.handle(plain, 'a').result({ timeout: 0 })).toBe(1);
  });

  it.each<[string, unknown]>([
    ['options', 5_000],
    ['ttl', { ttl: 5 }],
    ['timeout', { timeout: 'soon' }],
  ])('refuses wrong %s instead of waiting for ever', async (option, wrong) => {
    const { client } = setUp({ wait: async () => [record({ output: '1' })] });
    await expect(client.handle(plain, 'a').result(wrong as never)).rejects.toMatchObject({
      code: 'VALIDATION',
      option,
    });
  });

  it('ends when its signal aborts', async () => {
    const controller = new AbortController();
    const { client } = setUp({
      wait: async (_ids, { signal }) => {
        await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
        return [record({ state: 'running' })];
      },
    });
    const given = expect(client.handle(plain, 'a').result({ signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORTED',
      why: 'caller',
    });
    await turns();
    controller.abort();
    await given;
  });
});
