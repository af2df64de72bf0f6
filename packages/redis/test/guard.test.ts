import { describe, expect, onTestFinished, test } from 'vitest';
import { type RedisGuard, type RedisGuardOptions, redisGuard } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { serverUrl, travel } from './harness.ts';
import { newPrefix, openSession, watchUnhandled } from './support.ts';

watchUnhandled();

const clusterUrl = process.env.MILLRACE_TEST_REDIS_CLUSTER_URL ?? '';

async function openGuard(options: Partial<RedisGuardOptions> & { readonly url?: string } = {}): Promise<RedisGuard> {
  const guard = redisGuard({ url: serverUrl, prefix: newPrefix(options.url), ...options } as RedisGuardOptions);
  onTestFinished(() => guard.broker.close());
  await guard.broker.open();
  return guard;
}

describe('what it holds', () => {
  test('is what its options say; the others are for the store', async () => {
    const guard = await openGuard({ tasks: ['import'], retention: false });
    expect([guard.kind, guard.mode, guard.holds('import'), guard.holds('mail')]).toEqual([
      ...['redis', 'needed', true, false],
    ]);
    expect(await guard.broker.open()).toMatchObject({ claimById: true, retention: { succeededMs: null } });
    expect(redisGuard({ url: serverUrl, mode: 'always' }).holds('anything')).toBe(true);
  });

  test.each([
    [{ url: serverUrl, mode: 'sometimes' }, 'mode', /'needed' or 'always'/],
    [{ url: serverUrl, tasks: 'import' }, 'tasks', /array/],
    [{ url: serverUrl, colour: 'red' }, 'colour', /redisGuard/],
    [{ mode: 'always' }, 'url', /redisGuard needs exactly one/],
    [undefined, 'options', /object/],
  ])('%j is refused', (options, option, message) => {
    const refusal = expect.objectContaining({ code: 'VALIDATION', option, message: expect.stringMatching(message) });
    expect(() => redisGuard(options as never)).toThrow(refusal);
  });
});

describe('overdue', () => {
  test.each([
    ['one server', serverUrl],
    ['a cluster', clusterUrl],
  ])(
    'are the tasks that have been due for long, per queue the longest first, at most so many of each, on %s',
    async (_name, url) => {
      const prefix = newPrefix(url);
      const guard = await openGuard({ url, prefix });
      await guard.broker.enqueue([
        newTask({ id: 'third', priority: 9, delayMs: 30 }),
        newTask({ id: 'first', name: 'other', priority: 0, delayMs: 10 }),
        newTask({ id: 'second', priority: 4, delayMs: 20 }),
        newTask({ id: 'elsewhere', queue: 'a queue', name: 'näme', priority: 7, delayMs: 40 }),
        newTask({ id: 'young', delayMs: 5_000 }),
      ]);
      await travel(url, prefix, 2_000);
      const overdue = await guard.overdue({ dueForMs: 1_000, limit: 2 });
      expect(overdue.filter(({ queue }) => queue === 'line')).toEqual([
        { id: 'first', name: 'other', queue: 'line', priority: 0 },
        { id: 'second', name: 'work', queue: 'line', priority: 4 },
      ]);
      expect(overdue.filter(({ queue }) => queue !== 'line')).toEqual([
        { id: 'elsewhere', name: 'näme', queue: 'a queue', priority: 7 },
      ]);
      expect(await guard.overdue({ dueForMs: 1_000, limit: 10_000 })).toHaveLength(4);
      expect(await guard.overdue({ dueForMs: 60_000, limit: 10 })).toEqual([]);
      expect(await guard.overdue({ dueForMs: Number.MAX_SAFE_INTEGER, limit: 10 })).toEqual([]);
    },
  );

  test('of many lines come in the order of their due times, whatever their names and priorities', async () => {
    const prefix = newPrefix();
    const guard = await openGuard({ prefix });
    const tasks = Array.from({ length: 2_000 }, (_unused, n) =>
      newTask({
        id: `n${n}`,
        name: `name ${(n * 7) % 13}`,
        priority: (n * 3) % 10,
        delayMs: 1 + ((n * 1_009) % 2_000),
      }),
    );
    await guard.broker.enqueue(tasks);
    await travel(serverUrl, prefix, 60_000);
    const dueAt = new Map(
      (await guard.broker.tasks.get(tasks.map(({ id }) => id))).map((task) => [task?.id, task?.runAt ?? 0]),
    );
    // Of those due in the same millisecond, the one that was stored first.
    const expected = [...tasks]
      .sort((a, b) => (dueAt.get(a.id) ?? 0) - (dueAt.get(b.id) ?? 0))
      .map(({ id, name, priority }) => [id, name, priority]);
    for (const limit of [1, 9, 300, 1_999, 2_000]) {
      const overdue = await guard.overdue({ dueForMs: 5_000, limit });
      expect(overdue.map(({ id, name, priority }) => [id, name, priority])).toEqual(expected.slice(0, limit));
    }
  });

  test('are not those that run, rest, have ended, are over their time, or whose queue is paused', async () => {
    const prefix = newPrefix();
    const guard = await openGuard({ prefix });
    const { broker } = guard;
    const session = await openSession(broker);
    await broker.enqueue([
      newTask({ id: 'running', priority: 9 }),
      newTask({ id: 'retrying', priority: 8 }),
      newTask({ id: 'resting' }),
      newTask({ id: 'cancelled' }),
      newTask({ id: 'expired', expiresInMs: 8_000 }),
      newTask({ id: 'expiring', expiresInMs: 600_000 }),
      newTask({ id: 'closed', queue: 'closed' }),
    ]);
    const [, retrying] = await session.claim(claimOf(2));
    const failure = { kind: 'error', name: 'Error', message: 'boom' } as const;
    await session.settle([{ type: 'retry', lease: retrying!.lease, delayMs: 10, failure }]);
    await broker.tasks.pause(['resting']);
    await broker.tasks.cancel(['cancelled']);
    await broker.queues.pause('closed');
    await travel(serverUrl, prefix, 10_000);
    const idsOf = async (): Promise<string[]> =>
      (await guard.overdue({ dueForMs: 5_000, limit: 10 })).map(({ id }) => id).sort();
    expect(await idsOf()).toEqual(['expiring', 'retrying']);
    await broker.queues.resume('closed');
    expect(await idsOf()).toEqual(['closed', 'expiring', 'retrying']);
  });

  test('are told of an open broker only, for requests that make sense', async () => {
    const guard = await openGuard();
    await expect(guard.overdue({ dueForMs: -1, limit: 1 })).rejects.toMatchObject({ option: 'dueForMs' });
    await expect(guard.overdue({ dueForMs: 0, limit: 10_001 })).rejects.toMatchObject({ option: 'limit' });
    await guard.broker.close();
    await expect(guard.overdue({ dueForMs: 0, limit: 1 })).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
