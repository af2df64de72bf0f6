import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createWorker, defineTask, handle, silentLogger, typed } from '@millrace/core';
import { afterEach, describe, expect, it } from 'vitest';
import { overdueMs } from '../src/sweep.ts';
import { freshPlace, openGuarded, readyIn } from './guarded-support.ts';
import { guardStores } from './guards.ts';
import { newTask } from './support.ts';

const work = defineTask({ name: 'work', queue: 'line', input: typed<unknown>() });
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Runs the victim to its end. */
async function enqueueAndDie(namespace: string, id: string): Promise<void> {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const child = fork(fileURLToPath(new URL('guarded-victim.ts', import.meta.url)), [namespace, id], {
    execArgv: [`--import=${tsx}`],
    stdio: 'inherit',
  });
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
}

describe('a process killed between the record and the message', () => {
  it('loses nothing: a worker brings the task by itself', async () => {
    const place = freshPlace(guardStores.postgres);
    closing.push(() => place.store.drop(place.namespace));
    const task = newTask();
    await enqueueAndDie(place.namespace, task.id);
    const broker = await openGuarded(place);
    closing.push(() => broker.close());
    expect((await broker.tasks.get([task.id]))[0]?.state).toBe('pending');
    const began = performance.now();
    const runs: string[] = [];
    const cameAt = new Promise<number>((resolve) => {
      const worker = createWorker({
        broker,
        logger: silentLogger,
        handlers: [
          handle(work, (_input, { id }) => {
            runs.push(id);
            resolve(performance.now());
          }),
        ],
      });
      closing.push(() => worker.stop());
      void worker.start();
    });
    // Two looks of the sweep after it is overdue, each with the pause of the maintenance before it.
    expect((await cameAt) - began).toBeLessThan(3 * overdueMs);
    expect(runs).toEqual([task.id]);
    expect(await readyIn(place.namespace)).toBe(0);
  });
});
