// What the suite cannot see of a broker in its own process: that tasks outlive it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Broker,
  type Clock,
  connect,
  isMillraceError,
  type NewTask,
  registerAdapter,
  systemClock,
} from '@millrace/core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { adapter, fileBroker } from '../src/index.ts';

const basics = { name: 'greet', queue: 'mail', headers: {}, priority: 4, delayMs: 0, maxAttempts: 3, version: 1 };
const request = { queues: ['mail'], names: ['greet'], limit: 10, waitMs: 0 };
const worker = { instance: 'one', host: 'here', ttlMs: 60_000, onSignal: () => {} };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-file-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const task = (id: string, changes: Partial<NewTask> = {}): NewTask => ({ ...basics, id, ...changes });

async function use<T>(body: (broker: Broker) => Promise<T>, clock: Clock = systemClock): Promise<T> {
  const broker = fileBroker({ directory, clock });
  await broker.open();
  try {
    return await body(broker);
  } finally {
    await broker.close();
  }
}

it('keeps tasks, their order, their results and their fences', async () => {
  const before = await use(async (broker) => {
    await broker.enqueue([task('b', { maxAttempts: Number.POSITIVE_INFINITY }), task('a', { input: '"\u2028"' })]);
    await broker.enqueue([task('c', { delayMs: 60_000 }), task('done', { priority: 9 })]);
    const session = await broker.openSession(worker);
    const [first] = await session.claim({ ...request, limit: 1 });
    expect(first?.lease.taskId).toBe('done');
    await session.settle([{ type: 'complete', lease: first!.lease, output: '42' }]);
    return await broker.tasks!.get(['a', 'b', 'c', 'done']);
  });
  const after = await use(async (broker) => {
    const records = await broker.tasks!.get(['a', 'b', 'c', 'done']);
    const session = await broker.openSession(worker);
    const claimed = await session.claim(request);
    expect(claimed.map((delivery) => delivery.lease.taskId)).toEqual(['b', 'a']);
    return records;
  });
  expect(after).toEqual(before);
  await use(async (broker) => {
    const session = await broker.openSession(worker);
    expect((await session.claim(request)).map(({ lease }) => [lease.attempt, lease.fence])).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });
});

it('takes back what a killed process held, and is refused while that process lives', async () => {
  const script = new URL('hold-a-task.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', 'tsx', script, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  await expect(use(async () => {})).rejects.toSatisfy((error) => isMillraceError(error, 'CONFIGURATION'));
  child.kill('SIGKILL');
  await once(child, 'exit');
  // A claim may see another millisecond each time it looks.
  let looks = 0;
  const ticking = { ...systemClock, now: () => systemClock.now() + ++looks };
  await use(async (broker) => {
    const session = await broker.openSession(worker);
    const [delivery] = await session.claim(request);
    expect(delivery?.lease).toMatchObject({ taskId: 'held', attempt: 2, fence: 2 });
    expect((await broker.tasks!.get(['held']))[0]?.errors).toMatchObject([{ kind: 'lost', attempt: 1 }]);
  }, ticking);
});

it('opens a journal whose last line was cut off, and refuses one that is damaged before', async () => {
  const journal = join(directory, 'journal.jsonl');
  await use((broker) => broker.enqueue([task('a')]));
  appendFileSync(journal, '[{"id":"b","na');
  await use(async (broker) => {
    expect(await broker.tasks!.get(['a', 'b'])).toMatchObject([{ id: 'a' }, undefined]);
    await broker.enqueue([task('c')]);
  });
  expect(readFileSync(journal, 'utf8').trim().split('\n')).toHaveLength(2);
  appendFileSync(journal, 'garbage\n[]\n');
  for (let round = 0; round < 2; round++) await expect(use(async () => {})).rejects.toThrow('JSON');
});

it('does not go on after a write that failed, until all clients have closed', async () => {
  await use(async (other) => {
    await use(async (broker) => {
      vi.spyOn(fs, 'fsyncSync').mockImplementationOnce(() => {
        throw new Error('no space left');
      });
      const failure = broker.enqueue([task('a')]);
      await expect(failure).rejects.toSatisfy((error) => isMillraceError(error, 'INDETERMINATE'));
      await expect(broker.enqueue([task('b')])).rejects.toSatisfy((error) => isMillraceError(error, 'UNAVAILABLE'));
    });
    expect((await other.health()).state).toBe('down');
  });
  await use(async (broker) => {
    expect((await broker.health()).state).toBe('ready');
    expect(await broker.tasks!.get(['b'])).toEqual([undefined]);
  });
});

it('is found by connect', async () => {
  registerAdapter(adapter);
  const broker = await connect(`file://${directory}`);
  expect(broker.kind).toBe('file');
  await broker.open();
  await broker.close();
  expect(() => adapter.connect('file:///tmp/tasks?fast=yes')).toThrow('file:///directory');
});
