import { isMillraceError } from '@millrace/core';
import { expect, onTestFinished, test } from 'vitest';
import { postgresBroker } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { serverUrl, withClient } from './harness.ts';
import { newBroker, newSchema, openSession, rejectionOf, watchUnhandled } from './support.ts';

watchUnhandled();

test('ten brokers on an empty database at once: the tables are made once, all ten work', async () => {
  const schema = newSchema();
  const brokers = Array.from({ length: 10 }, () => newBroker({ schema, poolSize: 2 }));
  await Promise.all(brokers.map((broker) => broker.open()));
  const outcomes = await Promise.all(brokers.map((broker) => broker.enqueue([newTask()])));
  expect(outcomes.flat()).toEqual(Array.from({ length: 10 }, () => ({ status: 'accepted' })));
  const { rows } = await withClient(serverUrl, (client) =>
    client.query(`select version from ${schema}.schema_version`),
  );
  expect(rows.map(({ version }) => version)).toEqual([1]);
});

test('a schema newer than this release is refused', async () => {
  const schema = newSchema();
  await newBroker({ schema }).open();
  await withClient(serverUrl, (client) => client.query(`insert into ${schema}.schema_version values (999, 'future')`));
  expect(await rejectionOf(newBroker({ schema }).open())).toMatchObject({
    code: 'CONFIGURATION',
    reason: 'schema-too-new',
    message: expect.stringContaining('999'),
  });
});

test('without migrate, tables are used but never made', async () => {
  const schema = newSchema();
  const error = await rejectionOf(newBroker({ schema, migrate: false }).open());
  expect(error).toMatchObject({ code: 'CONFIGURATION', reason: 'schema-missing' });
  await newBroker({ schema }).open();
  await newBroker({ schema, migrate: false }).open();
});

test('a role without the right to create anything can work on tables that are there', async () => {
  const schema = newSchema();
  await newBroker({ schema }).open();
  const role = `${schema}_role`;
  await withClient(serverUrl, async (client) => {
    await client.query(`create role ${role} login password 'secret'`);
    await client.query(`grant usage on schema ${schema} to ${role}`);
    await client.query(`grant select, insert, update, delete on all tables in schema ${schema} to ${role}`);
    await client.query(`grant usage on all sequences in schema ${schema} to ${role}`);
  });
  onTestFinished(() =>
    withClient(serverUrl, async (client) => {
      await client.query(`drop owned by ${role}; drop role ${role}`);
    }),
  );
  const url = new URL(serverUrl);
  url.username = role;
  url.password = 'secret';
  const broker = newBroker({ url: url.href, schema });
  await broker.open();
  await broker.enqueue([newTask({ id: 'limited' })]);
  const [delivery] = await (await openSession(broker)).claim(claimOf());
  expect(delivery?.lease.taskId).toBe('limited');
  expect(
    isMillraceError(await rejectionOf(newBroker({ url: url.href, schema: 'elsewhere_x' }).open()), 'CONFIGURATION'),
  ).toBe(true);
});

test.each(['Ünï "code"', "it's; drop schema public", 'UPPER lower', '$$'])(
  'a schema may be called %s',
  async (name) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    const drop = (): Promise<void> =>
      withClient(serverUrl, async (client) => {
        await client.query(`drop schema if exists ${quoted} cascade`);
      });
    await drop();
    onTestFinished(drop);
    const broker = newBroker({ schema: name });
    await broker.open();
    await broker.enqueue([newTask({ id: 'odd', key: 'k' })]);
    const session = await openSession(broker);
    const [delivery] = await session.claim(claimOf({ names: ['work', 'other'] }));
    expect(await session.settle([{ type: 'complete', lease: delivery!.lease }])).toEqual(['applied']);
    expect(await broker.tasks.count({ states: ['succeeded'] })).toBe(1);
  },
);

test('tables dropped under a running broker are a loud error', async () => {
  const schema = newSchema();
  const broker = newBroker({ schema });
  await broker.open();
  await withClient(serverUrl, (client) => client.query(`drop schema ${schema} cascade`));
  expect(await rejectionOf(broker.enqueue([newTask()]))).toMatchObject({
    code: 'CONFIGURATION',
    reason: 'schema-missing',
  });
});

test('options nobody knows, and contradicting ones, are refused at once', () => {
  expect(() => postgresBroker({ url: serverUrl, poolsize: 3 } as never)).toThrow(/no option 'poolsize'/);
  expect(() => postgresBroker({} as never)).toThrow(/exactly one of/);
  expect(() => postgresBroker({ url: serverUrl, schema: 'pg_mine' })).toThrow(/schema/);
  expect(() => postgresBroker({ url: serverUrl, retention: { succeeded: '1y' as never } })).toThrow(
    /retention.succeeded/,
  );
  expect(() => postgresBroker({ url: 'http://x:secret@y' })).toThrow(/^(?!.*secret)/);
});
