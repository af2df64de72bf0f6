import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { type Clock, systemClock } from '@millrace/core';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { adapter, pgliteBroker } from '../src/index.ts';
import { lockFolder } from '../src/pglite-lock.ts';
import { bootIdentity, startOf } from '../src/process-identity.ts';
import { claimOf, newTask } from './builders.ts';
import { openSession, rejectionOf, watchUnhandled } from './support.ts';

watchUnhandled();

function newFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-pglite-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

const owners = (folder: string): string[] => readdirSync(folder).filter((name) => name.startsWith('owner-'));

/** A process that opens the folder, enqueues a task and stays. Resolves when it has done so. */
async function startHolder(folder: string): Promise<ChildProcess> {
  const script = new URL('pglite-holder.ts', import.meta.url);
  const typescript = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const child = fork(script, [folder], {
    execArgv: [`--import=${typescript}`],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('exit', (code) => reject(new Error(`the holder ended with ${code}`)));
  });
  return child;
}

test('tasks survive the broker, and the process', async () => {
  const folder = newFolder();
  const first = pgliteBroker({ folder });
  expect((await first.open()).durability).toBe('node');
  await first.enqueue([newTask({ id: 'kept' })]);
  await first.close();
  expect(owners(folder)).toEqual([]);
  const second = adapter.connect(`pglite:${folder}`);
  onTestFinished(() => second.close());
  await second.open();
  const [delivery] = await (await openSession(second as typeof first)).claim(claimOf());
  expect(delivery?.lease.taskId).toBe('kept');
});

test('a second process is refused at once, by name; after kill -9 the next one takes over and nothing is lost', async () => {
  const folder = newFolder();
  const holder = await startHolder(folder);
  const started = Date.now();
  const error = await rejectionOf(pgliteBroker({ folder }).open());
  expect(error).toMatchObject({ code: 'CONFIGURATION', reason: 'folder-in-use' });
  expect((error as Error).message).toContain(`process ${holder.pid}`);
  expect(Date.now() - started).toBeLessThan(5_000);

  const gone = new Promise((resolve) => holder.once('exit', resolve));
  holder.kill('SIGKILL');
  await gone;
  const broker = pgliteBroker({ folder });
  onTestFinished(() => broker.close());
  await broker.open();
  expect((await broker.tasks.get(['from-the-holder']))[0]?.state).toBe('pending');
});

test('a second broker in this process is refused as well', async () => {
  const folder = newFolder();
  const lock = await lockFolder(folder);
  expect(await rejectionOf(lockFolder(folder))).toMatchObject({ reason: 'folder-in-use' });
  lock.release();
  (await lockFolder(folder)).release();
});

const self = { pid: process.pid, host: hostname(), boot: bootIdentity(), start: startOf(process.pid) ?? '' };

test.each([
  ['of a process that is gone', { ...self, pid: 2 ** 22 + 1 }],
  ['of an earlier process with an id in use now', { ...self, start: 'another' }],
  ['of before the machine was started', { ...self, boot: 'another' }],
])('what is left %s is taken over', async (_, owner) => {
  const folder = newFolder();
  writeFileSync(path.join(folder, 'owner-7.json'), JSON.stringify(owner));
  const lock = await lockFolder(folder);
  expect(owners(folder)).toEqual(['owner-8.json']);
  lock.release();
  expect(owners(folder)).toEqual([]);
});

test('an owner on another machine is believed', async () => {
  const folder = newFolder();
  writeFileSync(path.join(folder, 'owner-1.json'), JSON.stringify({ ...self, host: 'elsewhere', pid: 4_000_000 }));
  const error = await rejectionOf(lockFolder(folder));
  expect((error as Error).message).toContain('process 4000000 on elsewhere');
});

test('of many that take over at once, at most one gets it, and afterwards it is free', async () => {
  const folder = newFolder();
  for (let round = 0; round < 10; round++) {
    writeFileSync(path.join(folder, `owner-${round + 1}.json`), JSON.stringify({ ...self, boot: 'another' }));
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder)));
    const locks = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(locks.length).toBeLessThanOrEqual(1);
    for (const lock of locks) lock.release();
    expect(owners(folder).length).toBeLessThanOrEqual(1);
  }
  (await lockFolder(folder)).release();
});

test('in memory: nothing on disk, nothing left', async () => {
  const broker = pgliteBroker();
  onTestFinished(() => broker.close());
  expect((await broker.open()).durability).toBe('none');
  expect(await broker.enqueue([newTask()])).toEqual([{ status: 'accepted' }]);
});

/** A database of the caller's own: one for all tests, a schema for each, because making one takes seconds. */
const ownDatabase: Promise<PGlite> = PGlite.create();
afterAll(async () => (await ownDatabase).close());

test('a transaction of a PGlite of the caller: rolled back, nothing was there', async () => {
  const database = await ownDatabase;
  const broker = pgliteBroker({ database, schema: 'transactions' });
  onTestFinished(() => broker.close());
  await broker.open();
  const session = await openSession(broker);
  const undo = new Error('undo');
  const undone = database.transaction(async (transaction) => {
    await broker.enqueue([newTask({ id: 'never' })], { transaction });
    throw undo;
  });
  await expect(undone).rejects.toBe(undo);
  const claiming = session.claim(claimOf({ waitMs: 10_000 }));
  await database.transaction((transaction) => broker.enqueue([newTask({ id: 'kept' })], { transaction }));
  expect((await claiming).map(({ lease }) => lease.taskId)).toEqual(['kept']);
  await broker.close();
  expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

/** Keeps a database busy until `release`: nothing else is run there meanwhile. */
async function occupy(database: PGlite): Promise<() => Promise<void>> {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  let begun = (): void => {};
  const beginning = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const occupied = database.transaction(async () => {
    begun();
    await gate;
  });
  await beginning;
  return async () => {
    open();
    await occupied;
  };
}

test('a call whose deadline is over before its turn says that it was not sent, and is not', async () => {
  const database = await ownDatabase;
  const broker = pgliteBroker({ database, schema: 'deadlines', operationTimeout: 2_000 });
  onTestFinished(() => broker.close());
  await broker.open();
  const release = await occupy(database);
  const ends = ['in turn', 'in line'].map((id) => rejectionOf(broker.enqueue([newTask({ id })])));
  expect(await Promise.all(ends)).toMatchObject([{ code: 'INDETERMINATE' }, { code: 'UNAVAILABLE' }]);
  await release();
  const [first, second] = await broker.tasks.get(['in turn', 'in line']);
  expect([first?.id, second]).toEqual(['in turn', undefined]);
});

test('a heartbeat goes before what waited longer', async () => {
  const database = await ownDatabase;
  // The only timer of 2,001 ms is the deadline of a heartbeat that was asked for.
  const ttlMs = 6_001;
  const timers: number[] = [];
  const clock: Clock = {
    ...systemClock,
    setTimer: (callback, ms, options) => {
      timers.push(ms);
      return systemClock.setTimer(callback, ms, options);
    },
  };
  const broker = pgliteBroker({ database, schema: 'beats', clock, operationTimeout: 30_000 });
  onTestFinished(() => broker.close());
  await broker.open();
  await openSession(broker, ttlMs);
  const beatAsked = async (): Promise<void> => {
    while (!timers.includes(2_001)) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  // The first comes as soon as the broker listens; a call behind it finds the line empty.
  await beatAsked();
  await broker.tasks.get(['nobody']);
  timers.length = 0;
  const texts: string[] = [];
  const exec = database.exec.bind(database);
  onTestFinished(() => {
    database.exec = exec;
  });
  database.exec = (text: string, ...rest: never[]) => {
    if (text.startsWith('execute')) texts.push(text);
    return exec(text, ...rest);
  };
  const release = await occupy(database);
  const reads = ['a', 'b', 'c'].map((id) => broker.tasks.get([id]));
  await beatAsked();
  await release();
  await Promise.all(reads);
  const kinds = texts.slice(0, 4).map((text) => (/\{"[abc]"\}/.test(text) ? 'read' : 'beat'));
  expect(kinds).toEqual(['read', 'beat', 'read', 'read']);
});

const prepared = "select count(*)::integer as count from pg_prepared_statements where name like 'millrace %'";

test('what it has prepared is made again when its owner discards it, and gone when the broker is closed', async () => {
  const database = await ownDatabase;
  const broker = pgliteBroker({ database, schema: 'statements' });
  onTestFinished(() => broker.close());
  await broker.open();
  const session = await openSession(broker);
  const count = async (): Promise<number> => (await database.query<{ count: number }>(prepared)).rows[0]?.count ?? -1;
  for (const discard of ['discard all', 'discard plans', 'deallocate all']) {
    await broker.enqueue([newTask({ id: discard, fresh: true })]);
    await database.exec(discard);
    expect((await session.claim(claimOf())).map(({ lease }) => lease.taskId)).toEqual([discard]);
    await database.exec(discard);
  }
  await broker.enqueue([newTask({ id: 'another', fresh: true })]);
  expect(await count()).toBeGreaterThan(0);
  await broker.close();
  expect(await count()).toBe(0);
});

test('texts come back as they were, whatever they hold and whatever its owner has set', async () => {
  const database = await ownDatabase;
  const hostile = [
    `'`,
    `''`,
    `\\'`,
    `\\`,
    `E'\\x'`,
    `$1`,
    `'); drop schema hostile cascade; --`,
    '\u2028 é 🧵',
    'x'.repeat(70_000),
  ];
  for (const strings of ['on', 'off']) {
    await database.exec(`set standard_conforming_strings = ${strings}`);
    onTestFinished(async () => void (await database.exec('reset standard_conforming_strings')));
    const broker = pgliteBroker({ database, schema: `hostile ' \\ ${strings}` });
    onTestFinished(() => broker.close());
    await broker.open();
    for (const [number, text] of hostile.entries()) {
      const task = newTask({
        id: `${number} ${text.slice(0, 50)}`,
        name: text.slice(0, 50),
        input: JSON.stringify(text),
      });
      expect(await broker.enqueue([task])).toEqual([{ status: 'accepted' }]);
      expect((await broker.tasks.get([task.id]))[0]).toMatchObject({ name: task.name, input: task.input });
    }
  }
});

test('URLs say where it is', () => {
  expect(adapter.connect('pglite:').kind).toBe('pglite');
  expect(adapter.connect('pglite://memory').kind).toBe('pglite');
  expect(adapter.connect('pglite:./some folder?schema=mine').kind).toBe('pglite');
  expect(() => adapter.connect('pglite:./x?sslmode=require')).toThrow(/sslmode/);
  expect(() => adapter.connect('pglite:./x?poolSize=3')).toThrow(/poolSize/);
});
