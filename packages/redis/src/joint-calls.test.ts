import { expect, test } from 'vitest';
import type { RedisConnection } from './connection.ts';
import { JointCalls } from './joint-calls.ts';

const call = { op: 'test' };

/** What is sent, in order; each is answered by `reply`. */
function setUp(reply: (name: string) => unknown = (name) => (name === 'settleAndClaim' ? ['*', ['claimed']] : name)) {
  const sent: string[][] = [];
  const run = async (name: string, queueKey: string, args: readonly string[]): Promise<unknown> => {
    sent.push([name, queueKey, ...args]);
    return reply(name);
  };
  const calls = new JointCalls({ run } as unknown as RedisConnection);
  return {
    sent,
    calls,
    settle: (queueKey: string, size = 1) => calls.settle(queueKey, ['me', 'token', 'packed'], size, call),
    claim: (queueKey: string, limit = 1) => calls.claim(queueKey, ['me', 'names'], limit, call),
  };
}

test('a settle and the claim that follows in its turn are one script, each with its own answer', async () => {
  const { sent, settle, claim } = setUp();
  const settled = settle('q');
  // As a claim that comes after some promises of the same turn.
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  expect(sent).toEqual([]);
  expect(await Promise.all([settled, claim('q')])).toEqual(['*', ['claimed']]);
  expect(sent).toEqual([['settleAndClaim', 'q', '2', 'me', 'names', 'token', 'packed']]);
});

test('a settle without a claim leaves before the turn is over', async () => {
  const { sent, settle, claim } = setUp();
  const settled = settle('q');
  await new Promise<void>((resolve) => setImmediate(resolve));
  expect(sent.map(([name]) => name)).toEqual(['settleTasks']);
  expect(await settled).toBe('settleTasks');
  await claim('q');
  expect(sent.map(([name]) => name)).toEqual(['settleTasks', 'claimTasks']);
});

test('what concerns different queues, or is too much for one script, goes apart and in order', async () => {
  const { sent, settle, claim } = setUp();
  await Promise.all([settle('a'), claim('b'), settle('c', 100), claim('c', 200), settle('d', 200), claim('d', 10)]);
  expect(sent.map(([name, queueKey]) => `${name} ${queueKey}`)).toEqual([
    'claimTasks b',
    'settleTasks c',
    'claimTasks c',
    'settleTasks d',
    'claimTasks d',
    'settleTasks a',
  ]);
});

test('of several settles of one turn, one waits for a claim; whoever ends a session sends it first', async () => {
  const { sent, calls, settle } = setUp();
  const both = [settle('q'), settle('q')];
  calls.flush();
  expect(sent.map(([name]) => name)).toEqual(['settleTasks', 'settleTasks']);
  await Promise.all(both);
});

test('an answer that is lost is lost for both', async () => {
  const { settle, claim } = setUp(() => {
    throw new Error('lost');
  });
  const results = await Promise.allSettled([settle('q'), claim('q')]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
