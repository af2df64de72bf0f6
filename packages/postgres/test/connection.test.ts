import { type AddressInfo, createServer } from 'node:net';
import { inspect } from 'node:util';
import { isMillraceError, systemClock } from '@millrace/core';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { PostgresConnection } from '../src/postgres-connection.ts';
import { loadStatements } from '../src/statements.ts';
import { claimOf, newTask } from './builders.ts';
import { serverUrl, withClient } from './harness.ts';
import { newBroker, newLink, newSchema, openSession, rejectionOf, until, watchUnhandled } from './support.ts';

watchUnhandled();

function urlWith(change: (url: URL) => void): string {
  const url = new URL(serverUrl);
  change(url);
  return url.href;
}

/** The secret must be nowhere: not in the message, the cause, or what a logger would print. */
function expectDiscreet(error: unknown, secret: string): void {
  expect(inspect(error, { depth: 10 })).not.toContain(secret);
  expect(JSON.stringify(error)).not.toContain(secret);
}

test('a wrong password is a configuration error that does not repeat it', async () => {
  const url = urlWith((parts) => {
    parts.username = 'nobody_of_this_name';
    parts.password = 'hunter2-secret';
  });
  const broker = newBroker({ url });
  const error = await rejectionOf(broker.open());
  expect(error).toMatchObject({ code: 'CONFIGURATION', reason: 'authentication' });
  expectDiscreet(error, 'hunter2-secret');
});

test('a missing database is a configuration error', async () => {
  const broker = newBroker({ url: urlWith((parts) => (parts.pathname = '/no_such_database')) });
  expect(await rejectionOf(broker.open())).toMatchObject({ code: 'CONFIGURATION', reason: 'missing-database' });
});

test('nobody listening is unavailable, at once', async () => {
  const port = await freePort();
  const url = urlWith((parts) => {
    parts.hostname = '127.0.0.1';
    parts.port = String(port);
  });
  const broker = newBroker({ url });
  const started = Date.now();
  expect(await rejectionOf(broker.open())).toMatchObject({ code: 'UNAVAILABLE', retryable: 'safe' });
  expect(Date.now() - started).toBeLessThan(5_000);
});

test('a server that accepts and says nothing is unavailable by the deadline', async () => {
  const mute = createServer(() => {});
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void mute.close());
  const port = (mute.address() as AddressInfo).port;
  const url = urlWith((parts) => {
    parts.hostname = '127.0.0.1';
    parts.port = String(port);
  });
  const broker = newBroker({ url, operationTimeout: 500 });
  const started = Date.now();
  expect(await rejectionOf(broker.open())).toMatchObject({ code: 'UNAVAILABLE' });
  expect(Date.now() - started).toBeLessThan(4_000);
});

test('TLS asked of a server without it is a configuration error', async ({ skip }) => {
  const { rows } = await withClient(serverUrl, (client) => client.query('show ssl'));
  if (rows[0].ssl === 'on') skip('the server has TLS');
  const broker = newBroker({ url: urlWith((parts) => parts.searchParams.set('sslmode', 'require')) });
  const error = await rejectionOf(broker.open());
  expect(error).toMatchObject({ code: 'CONFIGURATION', message: expect.stringContaining('turn ssl on there') });
});

test('after the server ended every connection, everything goes on by itself', async () => {
  const schema = newSchema();
  const broker = newBroker({ client: { connectionString: serverUrl, application_name: schema }, schema });
  await broker.open();
  const session = await openSession(broker);
  await until(async () => (await broker.health()).state === 'ready', 'listening');
  const waiting = session.claim(claimOf({ waitMs: 20_000 }));
  const ended = await withClient(serverUrl, (client) =>
    client.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [schema]),
  );
  expect(ended.rows.length).toBeGreaterThan(1);
  await until(async () => {
    const [outcome] = await broker.enqueue([newTask({ id: 'after' })]).catch(() => []);
    return outcome !== undefined;
  }, 'enqueueing');
  const deliveries = await waiting.catch(() => session.claim(claimOf({ waitMs: 10_000 })));
  expect(deliveries.map(({ lease }) => lease.taskId)).toEqual(['after']);
  expect(await session.settle([{ type: 'complete', lease: deliveries[0]!.lease }])).toEqual(['applied']);
  await until(async () => (await broker.health()).state === 'ready', 'listening again');
});

test('a write whose answer is swallowed is indeterminate by the deadline, and its connection is not used again', async () => {
  const link = await newLink();
  const broker = newBroker({ url: link.url, operationTimeout: 2_000 });
  await broker.open();
  await broker.enqueue([newTask()]);
  link.swallowAnswers(true);
  const started = Date.now();
  const error = await rejectionOf(broker.enqueue([newTask({ id: 'lost' })]));
  expect(error).toMatchObject({ code: 'INDETERMINATE', retryable: 'idempotent-only' });
  expect(Date.now() - started).toBeLessThan(5_000);
  link.swallowAnswers(false);
  expect(await broker.enqueue([newTask({ id: 'lost' })])).toEqual([{ status: 'duplicate', existingId: 'lost' }]);
  expect(await broker.tasks.count({})).toBe(2);
});

test('what a claim took is found again when its answer was lost', async () => {
  const link = await newLink();
  const schema = newSchema();
  const broker = newBroker({ url: link.url, schema, operationTimeout: 3_000 });
  await broker.open();
  await broker.enqueue([newTask({ id: 'one' }), newTask({ id: 'two' })]);
  const session = await openSession(broker);
  link.swallowAnswers(true);
  const claim = session.claim(claimOf());
  await until(async () => (await countRunning(schema)) === 2, 'the claim at the server');
  link.swallowAnswers(false);
  link.cut();
  const deliveries = await claim.catch(() => session.claim(claimOf()));
  expect(deliveries.map(({ lease }) => [lease.taskId, lease.attempt])).toEqual([
    ['one', 1],
    ['two', 1],
  ]);
});

test('a settle whose answer was lost is found to be applied', async () => {
  const link = await newLink();
  const schema = newSchema();
  const broker = newBroker({ url: link.url, schema, operationTimeout: 3_000 });
  await broker.open();
  await broker.enqueue([newTask({ id: 'one' }), newTask({ id: 'two' })]);
  const session = await openSession(broker);
  const [one, two] = await session.claim(claimOf());
  // Connections for both statements: making one takes answers.
  await Promise.all([1, 2, 3, 4].map(() => broker.queues.stats()));
  link.swallowAnswers(true);
  const settling = session.settle([
    { type: 'complete', lease: one!.lease },
    { type: 'retry', lease: two!.lease, delayMs: 60_000, failure: { kind: 'error', name: 'Error', message: 'no' } },
  ]);
  await until(async () => (await countRunning(schema)) === 0, 'the settle at the server');
  link.swallowAnswers(false);
  link.cut();
  expect(await settling).toEqual(['applied', 'applied']);
  expect((await broker.tasks.get(['one', 'two'])).map((task) => task?.state)).toEqual(['succeeded', 'retrying']);
});

test('a second settle whose answer was lost is stale: what the first one did is not its own', async () => {
  const link = await newLink();
  const schema = newSchema();
  const broker = newBroker({ url: link.url, schema, operationTimeout: 3_000 });
  await broker.open();
  await broker.enqueue([newTask({ id: 'one' })]);
  const session = await openSession(broker);
  const [one] = await session.claim(claimOf());
  const complete = { type: 'complete', lease: one!.lease } as const;
  expect(await session.settle([complete])).toEqual(['applied']);
  link.swallowAnswers(true);
  const settling = session.settle([complete]);
  setTimeout(() => {
    link.swallowAnswers(false);
    link.cut();
  }, 100);
  expect(await settling).toEqual(['stale']);
});

test('a claim into silence ends by its deadline, and what it took is found by the next', async () => {
  const link = await newLink();
  const broker = newBroker({ url: link.url, operationTimeout: 2_000 });
  await broker.open();
  await broker.enqueue([newTask({ id: 'one' })]);
  const session = await openSession(broker);
  link.swallowAnswers(true);
  const started = Date.now();
  expect(await rejectionOf(session.claim(claimOf()))).toMatchObject({ code: 'INDETERMINATE' });
  expect(Date.now() - started).toBeLessThan(3_700);
  link.swallowAnswers(false);
  expect((await session.claim(claimOf())).map(({ lease }) => lease.taskId)).toEqual(['one']);
});

test('a settle ends by its deadline, unknown, when the server stays away', async () => {
  const link = await newLink();
  const broker = newBroker({ url: link.url, operationTimeout: 2_000 });
  await broker.open();
  await broker.enqueue([newTask()]);
  const session = await openSession(broker);
  const [delivery] = await session.claim(claimOf());
  link.swallowAnswers(true);
  const started = Date.now();
  expect(await session.settle([{ type: 'complete', lease: delivery!.lease }])).toEqual(['unknown']);
  expect(Date.now() - started).toBeLessThan(6_000);
});

test('tasks a session holds without knowing are given back', async () => {
  const schema = newSchema();
  const broker = newBroker({ schema, operationTimeout: 2_000 });
  await broker.open();
  const session = await openSession(broker, 3_000);
  await broker.enqueue([newTask({ id: 'stray' })]);
  // As if a claim had been carried out after everybody had given it up.
  await withClient(serverUrl, (client) =>
    client.query(
      `update ${schema}.task set state = 'running', attempt = 1, fence = 1, session_id = $1, started_at = ${schema}.now_ms() - 60000`,
      [session.id],
    ),
  );
  await until(async () => (await broker.tasks.get(['stray']))[0]?.state === 'pending', 'the task coming back');
  const [delivery] = await session.claim(claimOf());
  expect(delivery?.lease).toMatchObject({ taskId: 'stray', attempt: 1, fence: 2 });
});

test('a claim whose line broke and that is carried out later, after it was looked for, gives its task back at once', async () => {
  const schema = newSchema();
  const link = await newLink();
  // Waiting for what is older than any call may last would take longer than this test.
  const broker = newBroker({ url: link.url, schema, operationTimeout: 60_000 });
  const near = newBroker({ schema });
  await near.open();
  await broker.open();
  await near.enqueue([newTask({ id: 'late' })]);
  const session = await openSession(broker, 3_000);
  await withClient(serverUrl, async (client) => {
    await client.query('begin');
    // Claims have to wait; looking for what they took has not.
    await client.query(`lock table ${schema}.task in exclusive mode`);
    const claiming = session.claim(claimOf()).catch(() => []);
    await until(() => isClaimWaiting(schema), 'the claim that waits for the lock');
    link.cut();
    expect(await claiming).toEqual([]);
    await client.query('commit');
  });
  const isBack = async (): Promise<boolean> => {
    const [record] = await near.tasks.get(['late']);
    return record?.state === 'pending' && record.fence > 0;
  };
  await until(isBack, 'the task being claimed and coming back', 8_000);
  expect((await near.tasks.get(['late']))[0]).toMatchObject({ attempt: 0 });
  expect(session.lost.aborted).toBe(false);
});

test('statements forgotten by the server are prepared again', async () => {
  const connection = new PostgresConnection({
    config: { connectionString: serverUrl },
    pool: undefined,
    poolSize: 1,
    pooler: 'auto',
    operationTimeoutMs: 5_000,
    clock: systemClock,
    serverFacts: loadStatements('millrace').serverFacts,
  });
  onTestFinished(() => connection.close());
  await connection.open();
  const statement = { name: 'millrace:test', text: 'select $1::integer' };
  const call = { op: 'test', writes: true };
  expect(await connection.query(statement, [1], call)).toEqual([[1]]);
  // The only connection of the pool.
  await connection.transaction(call, ({ script }) => script('deallocate all'));
  expect(await connection.query(statement, [2], call)).toEqual([[2]]);
});

test('a pool of the caller is used and left open', async () => {
  const pool = new pg.Pool({ connectionString: serverUrl, max: 3 });
  onTestFinished(() => pool.end());
  const broker = newBroker({ pool });
  const capabilities = await broker.open();
  expect(capabilities.wakeup.push).toBe(true);
  const session = await openSession(broker);
  const waiting = session.claim(claimOf({ waitMs: 10_000 }));
  await broker.enqueue([newTask({ id: 'pooled' })]);
  expect((await waiting)[0]?.lease.taskId).toBe('pooled');
  await broker.close();
  const { rows } = await pool.query('select 1 as one');
  expect(rows).toEqual([{ one: 1 }]);
  expect(pool.listenerCount('error')).toBe(0);
});

/** A server that ends a connection in the same breath as it greets it, as one may that is being restarted. */
async function curtServer(): Promise<number> {
  const message = (type: string, ...parts: readonly Buffer[]): Buffer => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(4 + parts.reduce((sum, part) => sum + part.length, 0));
    return Buffer.concat([Buffer.from(type), length, ...parts]);
  };
  const fields = ['SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection due to administrator command', ''];
  const answer = Buffer.concat([
    message('R', Buffer.alloc(4)),
    message('Z', Buffer.from('I')),
    message('E', Buffer.from(fields.map((field) => `${field}\0`).join(''))),
  ]);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test('a connection that the server ends in the same breath as it greets it does not end the process', async () => {
  const pool = new pg.Pool({ host: '127.0.0.1', port: await curtServer(), user: 'somebody', database: 'none' });
  onTestFinished(() => pool.end());
  const strays: unknown[] = [];
  const note = (error: unknown): void => void strays.push(error);
  process.on('uncaughtException', note);
  onTestFinished(() => void process.off('uncaughtException', note));
  const broker = newBroker({ pool, operationTimeout: 2_000 });
  expect(await rejectionOf(broker.open())).toMatchObject({ code: 'UNAVAILABLE' });
  expect(strays).toEqual([]);
});

test('closing does not wait for a server that is gone', async () => {
  const link = await newLink();
  const broker = newBroker({ url: link.url, operationTimeout: 8_000 });
  await broker.open();
  await openSession(broker);
  link.swallowAnswers(true);
  const enqueueing = rejectionOf(broker.enqueue([newTask()]));
  const started = Date.now();
  await broker.close();
  expect(isMillraceError(await enqueueing)).toBe(true);
  expect(Date.now() - started).toBeLessThan(12_000);
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

function countRunning(schema: string): Promise<number> {
  return withClient(serverUrl, async (client) => {
    const { rows } = await client.query(
      `select count(*)::integer as count from ${schema}.task where state = 'running'`,
    );
    return Number(rows[0].count);
  });
}

function isClaimWaiting(schema: string): Promise<boolean> {
  return withClient(serverUrl, async (client) => {
    const { rows } = await client.query(
      `select 1 from pg_locks where relation = '${schema}.task'::regclass and not granted`,
    );
    return rows.length > 0;
  });
}
