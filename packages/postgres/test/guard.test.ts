import { describe, expect, onTestFinished, test } from 'vitest';
import { type PostgresGuard, type PostgresGuardOptions, postgresGuard } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { serverUrl, withClient } from './harness.ts';
import { newSchema, openSession, watchUnhandled } from './support.ts';

watchUnhandled();

async function openGuard(options: Partial<PostgresGuardOptions> = {}): Promise<PostgresGuard> {
  const guard = postgresGuard({ url: serverUrl, schema: newSchema(), ...options } as PostgresGuardOptions);
  onTestFinished(() => guard.broker.close());
  await guard.broker.open();
  return guard;
}

/** As if everything had been there for longer. */
function age(schema: string, ms: number): Promise<unknown> {
  return withClient(serverUrl, (client) => client.query(`update "${schema}".task set run_at = run_at - $1`, [ms]));
}

describe('what it holds', () => {
  test('is what its options say; the others are for the store', async () => {
    const schema = newSchema();
    const guard = await openGuard({ schema, tasks: ['import'], retention: false });
    expect([guard.kind, guard.mode, guard.holds('import'), guard.holds('mail')]).toEqual([
      ...['postgres', 'needed', true, false],
    ]);
    const capabilities = await guard.broker.open();
    expect(capabilities).toMatchObject({ claimById: true, transactions: true, retention: { succeededMs: null } });
    expect(postgresGuard({ url: serverUrl, schema, mode: 'always' }).holds('anything')).toBe(true);
  });

  test.each([
    [{ url: serverUrl, mode: 'sometimes' }, 'mode', /'needed' or 'always'/],
    [{ url: serverUrl, tasks: 'import' }, 'tasks', /array/],
    [{ url: serverUrl, colour: 'red' }, 'colour', /postgresGuard/],
    [{ mode: 'always' }, 'url', /postgresGuard needs exactly one/],
    [undefined, 'options', /object/],
  ])('%j is refused', (options, option, message) => {
    const refusal = expect.objectContaining({ code: 'VALIDATION', option, message: expect.stringMatching(message) });
    expect(() => postgresGuard(options as never)).toThrow(refusal);
  });
});

describe('overdue', () => {
  test('are the tasks that have been due for long, per queue the longest first, at most so many of each', async () => {
    const schema = newSchema();
    const guard = await openGuard({ schema });
    await guard.broker.enqueue([
      newTask({ id: 'third', priority: 9, delayMs: 30 }),
      newTask({ id: 'first', name: 'other', priority: 0, delayMs: 10 }),
      newTask({ id: 'second', priority: 4, delayMs: 20 }),
      newTask({ id: 'elsewhere', queue: 'a queue', name: 'näme', priority: 7, delayMs: 40 }),
      newTask({ id: 'young', delayMs: 5_000 }),
    ]);
    await age(schema, 2_000);
    const overdue = await guard.overdue({ dueForMs: 1_000, limit: 2 });
    expect(overdue).toEqual([
      { id: 'elsewhere', name: 'näme', queue: 'a queue', priority: 7 },
      { id: 'first', name: 'other', queue: 'line', priority: 0 },
      { id: 'second', name: 'work', queue: 'line', priority: 4 },
    ]);
    expect(await guard.overdue({ dueForMs: 1_000, limit: 10_000 })).toHaveLength(4);
    expect(await guard.overdue({ dueForMs: 60_000, limit: 10 })).toEqual([]);
  });

  test('are not those that run, rest, have ended, are over their time, or whose queue is paused', async () => {
    const schema = newSchema();
    const guard = await openGuard({ schema });
    const { broker } = guard;
    const session = await openSession(broker);
    await broker.enqueue([
      newTask({ id: 'running', priority: 9 }),
      newTask({ id: 'retrying', priority: 8 }),
      newTask({ id: 'resting' }),
      newTask({ id: 'cancelled' }),
      newTask({ id: 'expired', expiresAt: Date.now() - 60_000 }),
      newTask({ id: 'closed', queue: 'closed' }),
    ]);
    const [, retrying] = await session.claim(claimOf({ limit: 2 }));
    const failure = { kind: 'error', name: 'Error', message: 'boom' } as const;
    await session.settle([{ type: 'retry', lease: retrying!.lease, delayMs: 0, failure }]);
    await broker.tasks.pause(['resting']);
    await broker.tasks.cancel(['cancelled']);
    await broker.queues.pause('closed');
    await age(schema, 10_000);
    expect((await guard.overdue({ dueForMs: 5_000, limit: 10 })).map(({ id }) => id)).toEqual(['retrying']);
    await broker.queues.resume('closed');
    expect((await guard.overdue({ dueForMs: 5_000, limit: 10 })).map(({ id }) => id)).toEqual(['closed', 'retrying']);
  });

  test('are told of an open broker only, for requests that make sense', async () => {
    const guard = await openGuard();
    await expect(guard.overdue({ dueForMs: -1, limit: 1 })).rejects.toMatchObject({ option: 'dueForMs' });
    await expect(guard.overdue({ dueForMs: 0, limit: 10_001 })).rejects.toMatchObject({ option: 'limit' });
    await guard.broker.close();
    await expect(guard.overdue({ dueForMs: 0, limit: 1 })).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

test('a task enqueued in a transaction is gone for who knows its id, until it commits', async () => {
  const { broker } = await openGuard();
  const session = await openSession(broker);
  await withClient(serverUrl, async (client) => {
    await client.query('begin');
    await broker.enqueue([newTask({ id: 'inside' })], { transaction: client });
    expect(await session.claimTasks?.(['inside'])).toEqual([{ status: 'gone' }]);
    await client.query('commit');
  });
  expect(await session.claimTasks?.(['inside'])).toMatchObject([{ status: 'claimed' }]);
});
