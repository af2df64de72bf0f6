import { expect, test } from 'vitest';
import { coalescing } from './coalescing.ts';

/** Records the calls; each ends when told. */
function recorder(): {
  calls: (readonly string[])[];
  finish: ((error?: Error) => void)[];
  insert: (payloads: readonly string[]) => Promise<void>;
} {
  const calls: (readonly string[])[] = [];
  const finish: ((error?: Error) => void)[] = [];
  return {
    calls,
    finish,
    insert: (payloads) => {
      calls.push(payloads);
      return new Promise((resolve, reject) => finish.push((error) => (error ? reject(error) : resolve())));
    },
  };
}

test('enqueues of one turn travel together, those that come later wait for a free call', async () => {
  const { calls, finish, insert } = recorder();
  const enqueue = coalescing(insert, { inFlight: 1, limit: 10 });
  const first = Promise.all(['a', 'b'].map(enqueue));
  await Promise.resolve();
  const second = Promise.all(['c', 'd'].map(enqueue));
  await Promise.resolve();
  expect(calls).toEqual([['a', 'b']]);
  finish[0]?.();
  await first;
  await expect
    .poll(() => calls)
    .toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  finish[1]?.();
  await second;
});

test('a call takes no more than the limit, and its error reaches only its own', async () => {
  const { calls, finish, insert } = recorder();
  const enqueue = coalescing(insert, { inFlight: 1, limit: 2 });
  const results = Promise.allSettled(['a', 'b', 'c'].map(enqueue));
  await Promise.resolve();
  finish[0]?.(new Error('no'));
  await expect.poll(() => calls).toEqual([['a', 'b'], ['c']]);
  finish[1]?.();
  expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
});
