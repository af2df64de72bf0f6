import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, expect, it } from 'vitest';
import { clockSkewPreload, clockSkewVariable } from './clock-skew.ts';
import { readJournal } from './worker-journal.ts';
import { startWorkerProcess, type WorkerProcess, type WorkerProcessRequest } from './worker-process.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-test-'));
const workers: WorkerProcess[] = [];

/** A module in plain JavaScript, so that starting it takes no time. */
function start(source: string, request: Partial<WorkerProcessRequest> = {}): WorkerProcess {
  const file = path.join(folder, `worker-${workers.length}.mjs`);
  const head = `
import { appendFileSync } from 'node:fs';
const argument = JSON.parse(process.argv[2]);
const note = (event) => appendFileSync(argument.journal, JSON.stringify({ v: 1, seq: 1, pid: process.pid, t: String(process.hrtime.bigint()), ...event }) + '\\n');
`;
  writeFileSync(file, head + source);
  const worker = startWorkerProcess({ module: pathToFileURL(file), url: 'x://y', namespace: 'n', ...request });
  workers.push(worker);
  return worker;
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

afterEach(async () => {
  for (const worker of workers) await worker.close();
});

it('hands over where and how to work, and reads the journal of a process that was killed', async () => {
  const worker = start(
    `note({ event: 'log', level: 'warn', message: JSON.stringify(argument.options) + argument.url + argument.namespace });
     process.send({ type: 'ready' }); setInterval(() => {}, 1000);`,
    { options: { concurrency: 3 } },
  );
  await worker.ready;
  worker.kill();
  expect(await worker.exited).toEqual({ code: null, signal: 'SIGKILL' });
  const [entry] = worker.journal();
  expect(entry).toMatchObject({ pid: worker.pid, event: 'log', message: '{"concurrency":3}x://yn' });
  expect(entry?.at).toBeTypeOf('bigint');
});

it('says what a process that did not start had printed', async () => {
  await expect(start('throw new Error("no such module");').ready).rejects.toThrow('no such module');
  await expect(start('process.send({ type: "failed", message: "no broker" });').ready).rejects.toThrow('no broker');
});

it('freezes, thaws, asks for counts and stops', async () => {
  const worker = start(`
    process.send({ type: 'ready' });
    process.on('message', (command) => {
      if (command.type === 'counts') process.send({ type: 'counts', counts: { started: 7 } });
      if (command.type === 'stop') process.disconnect();
    });`);
  await worker.ready;
  await worker.freeze();
  let told = false;
  const counts = worker.counts().finally(() => {
    told = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toBe(false);
  await worker.thaw();
  expect(await counts).toEqual({ started: 7 });
  expect(await worker.stop()).toEqual({ code: 0, signal: null });
  await expect(worker.counts()).rejects.toThrow('ended');
});

it('shifts the clock of a process, and makes it jump', async () => {
  const hourMs = 3_600_000;
  const worker = start(
    `const jump = globalThis[Symbol.for('millrace.clock-skew')];
     const before = Date.now(), shown = new Date().getTime(), fixed = new Date(5).getTime(), text = typeof Date();
     jump(0);
     note({ event: 'log', level: 'warn', message: JSON.stringify([before - Date.now(), shown - Date.now(), fixed, text, new Date() instanceof Date]) });
     process.send({ type: 'ready' });`,
    { preload: [clockSkewPreload], environment: { [clockSkewVariable]: String(hourMs) } },
  );
  await worker.exited;
  const [entry] = worker.journal();
  const [now, shown, fixed, text, instance] = JSON.parse(entry?.event === 'log' ? entry.message : '[]') as number[];
  expect([Math.round((now ?? 0) / hourMs), Math.round((shown ?? 0) / hourMs), fixed, text, instance]).toEqual([
    1,
    1,
    5,
    'string',
    true,
  ]);
});

it('runs TypeScript, whatever transpiles this test', async () => {
  const file = path.join(folder, 'typed.mts');
  writeFileSync(file, "const text: string = 'typed'; console.log(text);");
  const worker = startWorkerProcess({ module: pathToFileURL(file), url: '', namespace: 'n' });
  workers.push(worker);
  await worker.exited;
  expect(worker.output()).toBe('typed\n');
});

it('reads a journal while its last line is being written', () => {
  const file = path.join(folder, 'half.ndjson');
  writeFileSync(file, '{"v":1,"seq":1,"pid":2,"t":"12345678901234567890","event":"ready","instance":"i"}\n{"v":1,"se');
  expect(readJournal(file)).toEqual([
    { seq: 1, pid: 2, at: 12_345_678_901_234_567_890n, event: 'ready', instance: 'i' },
  ]);
  expect(readJournal(fileURLToPath(new URL('nowhere', pathToFileURL(file))))).toEqual([]);
});
