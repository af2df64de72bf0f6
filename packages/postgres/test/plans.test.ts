import { systemClock } from '@millrace/core';
import { expect, onTestFinished, test } from 'vitest';
import { textArray } from '../src/array-literal.ts';
import type { Statement, Value } from '../src/connection.ts';
import { PostgresConnection } from '../src/postgres-connection.ts';
import { loadStatements } from '../src/statements.ts';
import { newTask } from './builders.ts';
import { serverUrl, withClient } from './harness.ts';
import { newBroker, newSchema } from './support.ts';

/** Buffers touched by a statement that is rolled back, on a connection as the broker makes them. */
async function costOf(connection: PostgresConnection, statement: Statement, values: readonly Value[]): Promise<number> {
  let buffers = 0;
  const undo = new Error('undo');
  await connection
    .transaction({ op: 'test' }, async ({ run }) => {
      const text = `explain (analyze, buffers, format json) ${statement.text}`;
      const [row] = await run({ name: '', text }, values);
      const [{ Plan: plan }] = JSON.parse(String(row?.[0])) as [{ Plan: Record<string, number> }];
      buffers = (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0);
      throw undo;
    })
    .catch((error: unknown) => {
      if (error !== undo && buffers === 0) throw error;
    });
  return buffers;
}

/** A connection as brokers make them, closed after the test. */
function newConnection(serverFacts: Statement, pooler: boolean): PostgresConnection {
  const connection = new PostgresConnection({
    config: { connectionString: serverUrl },
    pool: undefined,
    poolSize: 1,
    pooler,
    operationTimeoutMs: 30_000,
    clock: systemClock,
    serverFacts,
  });
  onTestFinished(() => connection.close());
  return connection;
}

// With `pooler` the connections have no planner settings of ours, like those of a caller's pool.
test.each([
  ['on connections of our own', false],
  ['on connections as they come', true],
])('a claim costs the same whatever waits, is due later, or has other names, %s', async (_title, pooler) => {
  const schema = newSchema();
  const broker = newBroker({ schema });
  await broker.open();
  const statements = loadStatements(schema);
  const connection = newConnection(statements.serverFacts, pooler);
  await connection.open();
  await connection.query(statements.openSession, ['s', 'i', 'h', 600_000], { op: 'test' });
  const fill = (prefix: string, count: number, name: string, priority: number, inMs: number): Promise<unknown> =>
    withClient(serverUrl, (client) =>
      client.query(
        `insert into ${schema}.task (id, name, queue, priority, run_at, created_at, version)
         select $1 || i, $2, 'line', $3, ${schema}.now_ms() + $4, 0, 1 from generate_series(1, $5::integer) i`,
        [prefix, name, priority, inMs, count],
      ),
    );
  const one = (): Promise<number> => costOf(connection, statements.claimTasks, ['s', 'w', '{line}', 'work', 50]);
  const names = textArray(['work', 'more', 'other']);
  const mixed = (): Promise<number> =>
    costOf(connection, statements.claimMixedTasks, ['s', 'w', '{line}', names, 50, 100]);
  const empty = (): Promise<number> => costOf(connection, statements.claimTasks, ['s', 'w', '{idle}', 'work', 50]);

  await fill('a', 1_000, 'work', 4, 0);
  const before = { one: await one(), mixed: await mixed(), empty: await empty() };
  expect(before.one).toBeGreaterThan(50);
  await fill('b', 50_000, 'work', 4, 0);
  await fill('c', 50_000, 'work', 9, 3_600_000);
  await fill('d', 50_000, 'unknown', 9, -1_000);
  if (pooler) await withClient(serverUrl, (client) => client.query(`analyze ${schema}.task`));
  const after = { one: await one(), mixed: await mixed(), empty: await empty() };
  // A deeper index costs a page more per look-up; anything that walks the new rows would cost hundreds more.
  expect(after.one).toBeLessThan(before.one * 2);
  expect(after.mixed).toBeLessThan(before.mixed * 2);
  expect(after.empty).toBeLessThan(before.empty * 2 + 50);
});

test.each([
  ['on connections of our own', false],
  ['on connections as they come', true],
])(
  'a claim by id, and what is overdue, cost the same whatever waits, runs or has ended, %s',
  async (_title, pooler) => {
    const schema = newSchema();
    const broker = newBroker({ schema });
    await broker.open();
    const statements = loadStatements(schema);
    const connection = newConnection(statements.serverFacts, pooler);
    await connection.open();
    await connection.query(statements.openSession, ['s', 'i', 'h', 600_000], { op: 'test' });
    const fill = (prefix: string, count: number, name: string, queue: string, state: string, inMs: number) =>
      withClient(serverUrl, (client) =>
        client.query(
          `insert into ${schema}.task (id, name, queue, state, priority, run_at, created_at, version)
         select $1 || i, $2, $3, $4, i % 10, ${schema}.now_ms() + $5, 0, 1 from generate_series(1, $6::integer) i`,
          [prefix, name, queue, state, inMs, count],
        ),
      );
    // Due, later, running, ended, not there.
    const ids = textArray(
      ['a', 'l', 'r', 'e', 'x'].flatMap((kind) => Array.from({ length: 50 }, (_, n) => kind + (n + 1))),
    );
    const byId = (): Promise<number> => costOf(connection, statements.claimTheseTasks, ['s', 'w', ids]);
    const overdue = (): Promise<number> => costOf(connection, statements.findOverdue, [5_000, 100]);
    const finish = `insert into ${schema}.finished (id, name, queue, state, finished_at, run_at, created_at, fence, attempt,
    version, priority) select 'e' || i, 'work', 'line', 'succeeded', 0, 0, 0, 1, 1, 1, 4 from generate_series($1::integer, $2::integer) i`;

    await fill('a', 1_000, 'work', 'line', 'pending', -60_000);
    await fill('l', 1_000, 'work', 'line', 'pending', 3_600_000);
    await fill('r', 1_000, 'work', 'line', 'running', 0);
    await withClient(serverUrl, (client) => client.query(finish, [1, 1_000]));
    const before = { byId: await byId(), overdue: await overdue() };
    expect(before.byId).toBeGreaterThan(250);
    expect(before.overdue).toBeGreaterThan(100);
    await fill('b', 50_000, 'work', 'line', 'retrying', -30_000);
    await fill('c', 50_000, 'work', 'line', 'pending', 3_600_000);
    await fill('d', 50_000, 'other', 'line', 'running', -60_000);
    await withClient(serverUrl, (client) => client.query(finish, [1_001, 50_000]));
    if (pooler) await withClient(serverUrl, (client) => client.query(`analyze ${schema}.task, ${schema}.finished`));
    const after = { byId: await byId(), overdue: await overdue() };
    // A deeper index costs a page more per look-up.
    expect(after.byId).toBeLessThan(before.byId * 2);
    expect(after.overdue).toBeLessThan(before.overdue * 2);
  },
);

test('a claim that finds nothing writes nothing: idle workers cost no commits', async () => {
  const schema = newSchema();
  const broker = newBroker({ schema });
  await broker.open();
  await broker.enqueue([newTask({ delayMs: 3_600_000 }), newTask({ name: 'other' })]);
  const statements = loadStatements(schema);
  const connection = newConnection(statements.serverFacts, false);
  await connection.open();
  await connection.query(statements.openSession, ['s', 'i', 'h', 600_000], { op: 'test' });
  await connection.transaction({ op: 'test' }, async ({ run }) => {
    expect(await run(statements.claimTasks, ['s', 'w', '{line}', 'work', 50])).toEqual([]);
    expect(await run(statements.claimMixedTasks, ['s', 'w', '{line}', '{work,more}', 50, 100])).toEqual([]);
    const [byId] = await run(statements.claimTheseTasks, ['s', 'w', '{nobody}']);
    expect(byId?.slice(0, 3)).toEqual([true, 'nobody', 'gone']);
    expect(await run({ name: '', text: 'select txid_current_if_assigned() is null' }, [])).toEqual([[true]]);
  });
});
