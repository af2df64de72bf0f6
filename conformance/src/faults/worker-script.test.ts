import { isMillraceError, LeaseLostError, type TaskContext } from '@millrace/core';
import { expect, it } from 'vitest';
import type { WorkerEvent } from './worker-journal.ts';
import { runScript, type Script } from './worker-script.ts';

function run(
  script: Script,
  attempt = 1,
): { readonly result: Promise<unknown>; readonly events: WorkerEvent[]; abort(): void; readonly calls: unknown[] } {
  const events: WorkerEvent[] = [];
  const calls: unknown[] = [];
  const controller = new AbortController();
  const context = {
    id: 't',
    attempt,
    fence: 9,
    signal: controller.signal,
    progress: (value: unknown) => calls.push(['progress', value]),
    checkpoint: { set: async (value: unknown) => void calls.push(['checkpoint', value]) },
  } as unknown as TaskContext;
  const result = runScript(script, context, (event) => events.push(event));
  return { result, events, calls, abort: () => controller.abort(new LeaseLostError('gone')) };
}

const about = { task: 't', attempt: 1, fence: 9 };

it('runs steps in order and notes start and end', async () => {
  const { result, events, calls } = run([
    ['progress', 1],
    ['checkpoint', { page: 2 }],
    ['sleep', 1],
    ['return', 7],
    ['throw', 'never'],
  ]);
  expect(await result).toBe(7);
  expect(calls).toEqual([
    ['progress', 1],
    ['checkpoint', { page: 2 }],
  ]);
  expect(events).toEqual([
    { event: 'start', ...about },
    { event: 'end', ...about, how: 'returned' },
  ]);
});

it('throws what it is told to', async () => {
  const { result, events } = run([['throw', 'x']]);
  await expect(result).rejects.toThrow('x');
  expect(events.at(-1)).toEqual({ event: 'end', ...about, how: 'threw', error: 'x' });
  await expect(run([['give-up', 'for good']]).result).rejects.toMatchObject({ name: 'NonRetryable' });
  await expect(run([['retry-after', 5]]).result).rejects.toMatchObject({ delayMs: 5 });
  await expect(run([['snooze', 6]]).result).rejects.toMatchObject({ delayMs: 6 });
  await expect(run([['unheard-of'] as never]).result).rejects.toThrow("no step 'unheard-of'");
});

it('does things on one attempt only', async () => {
  const script: Script = [
    ['on-attempt', 1, [['throw', 'first']]],
    ['on-attempt', 3, [['return', 'third']]],
    ['return', 'other'],
  ];
  await expect(run(script).result).rejects.toThrow('first');
  expect(await run(script, 2).result).toBe('other');
  expect(await run(script, 3).result).toBe('third');
});

it('notes an abort, and ends by it unless it is deaf', async () => {
  const waiting = run([['await-abort']]);
  waiting.abort();
  await expect(waiting.result).rejects.toSatisfy((error: unknown) => isMillraceError(error, 'LEASE_LOST'));
  expect(waiting.events[1]).toEqual({ event: 'abort', ...about, code: 'LEASE_LOST' });

  const sleeping = run([['sleep', 60_000]]);
  sleeping.abort();
  await expect(sleeping.result).rejects.toThrow('gone');

  const deaf = run([
    ['sleep-deaf', 5],
    ['return', 'done'],
  ]);
  deaf.abort();
  expect(await deaf.result).toBe('done');
});

it('blocks the event loop', async () => {
  const started = performance.now();
  const { result } = run([['busy', 30]]);
  // The step runs at once: the call itself took that long.
  expect(performance.now() - started).toBeGreaterThanOrEqual(29);
  await result;
});
