import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { type Broker, createClient, createWorker, defineTask, handle, silentLogger } from '@millrace/core';
import { expect, onTestFinished, test } from 'vitest';
import { pgliteBroker } from '../src/index.ts';
import { serverUrl } from './harness.ts';
import { newBroker, newSchema, openSession, until } from './support.ts';

const block = defineTask({ name: 'block' });

function urlOf(schema: string): string {
  const url = new URL(serverUrl);
  url.searchParams.set('schema', schema);
  return url.href;
}

/** A process with the blocking worker, and what it says. */
async function startBlocker(schema: string, blockMs: number, forgivenMs: number, threadUrl = urlOf(schema)) {
  // `--import tsx` by itself does not reach threads; this is run in each.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm/api')).href.replace(/cjs$/, 'mjs');
  const typescript = `data:text/javascript,import{register}from${encodeURIComponent(JSON.stringify(tsx))};register()`;
  const script = new URL('event-loop-blocker.ts', import.meta.url);
  const child: ChildProcess = fork(script, [urlOf(schema), String(blockMs), String(forgivenMs), threadUrl], {
    execArgv: [`--import=${typescript}`],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const said: unknown[] = [];
  child.on('message', (message) => void said.push(message));
  await until(() => said.length > 0 || child.exitCode !== null, 'the start of the blocker', 40_000);
  expect(child.exitCode).toBeNull();
  return { child, said };
}

/** Enqueues a task for the blocker; once it blocks, another worker waits for what it loses. */
async function blockAndWatch(blockMs: number, forgivenMs: number) {
  const schema = newSchema();
  const broker = newBroker({ schema });
  const client = createClient({ broker, closeBroker: false });
  await client.capabilities();
  const { child, said } = await startBlocker(schema, blockMs, forgivenMs);
  expect(said).toEqual(['started']);
  const task = await client.enqueue(block, null);
  await until(() => said.includes('blocking'), 'the block');
  const other = createWorker({
    broker,
    closeBroker: false,
    handlers: [handle(block, () => 'by the other')],
    logger: silentLogger,
    maintenance: '100ms',
  });
  onTestFinished(async () => void (await other.stop({ force: true })));
  await other.start();
  const result = await task.result({ timeout: '25s' });
  await until(() => said.includes('kept') || said.includes('lost'), 'the end of the block', 25_000);
  const record = await task.get();
  child.send('stop');
  await once(child, 'exit');
  return { result, attempt: record?.attempt, said: said.at(-1), exitCode: child.exitCode };
}

test('without a thread, a blocked event loop loses its tasks', async () => {
  expect(await blockAndWatch(4_000, 0)).toEqual({ result: 'by the other', attempt: 2, said: 'lost', exitCode: 0 });
});

test('a heartbeat from a thread keeps them, for several times the ttl', async () => {
  expect(await blockAndWatch(4_000, 60_000)).toEqual({
    result: 'by the blocker',
    attempt: 1,
    said: 'kept',
    exitCode: 0,
  });
});

test('a main thread that is stuck for longer than forgiven loses them all the same', async () => {
  expect(await blockAndWatch(6_000, 1_000)).toEqual({ result: 'by the other', attempt: 2, said: 'lost', exitCode: 0 });
});

test('beating for a session keeps it from another client; for one that is over, it says so', async () => {
  const schema = newSchema();
  const [mine, other] = [newBroker({ schema }), newBroker({ schema })];
  await Promise.all([mine.open(), other.open()]);
  const session = await openSession(mine);
  expect(await other.beat?.(session.id)).toBe('alive');
  await session.end();
  expect([await other.beat?.(session.id), await other.beat?.('nobody')]).toEqual(['lost', 'lost']);
});

test.each([
  ['to another schema', () => urlOf(newSchema()), 'CONFIGURATION heartbeatThread.url'],
  ['to no server', () => 'postgres://nobody@127.0.0.1:1/none', 'UNAVAILABLE undefined'],
  ['to an unknown kind of backend', () => 'nonsense:', 'CONFIGURATION heartbeatThread'],
])('a thread whose url leads %s is refused at the start, and the process can end', async (_where, url, refusal) => {
  const { child, said } = await startBlocker(newSchema(), 0, 60_000, url());
  expect(said).toEqual([refusal]);
  child.send('stop');
  await once(child, 'exit');
  expect(child.exitCode).toBe(0);
});

test('PGlite has no heartbeat from a thread: nobody else can open it', async () => {
  const broker = pgliteBroker();
  expect(broker.beat).toBeUndefined();
  const options = { handlers: [handle(block, () => {})], logger: silentLogger, heartbeatThread: { url: 'pglite:' } };
  const worker = createWorker({ broker: broker as Broker<never>, ...options });
  onTestFinished(async () => void (await worker.stop({ force: true })));
  await expect(worker.start()).rejects.toMatchObject({ code: 'UNSUPPORTED', option: 'heartbeatThread' });
});
