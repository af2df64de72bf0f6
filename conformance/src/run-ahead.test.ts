import { expect, test } from 'vitest';
import { runAhead } from './run-ahead.ts';
import type { Scenario } from './scenario.ts';

/** Scenarios named by a letter, those in capitals run alone; each ends when it is told to. */
function setUp(letters: string, width: number) {
  const scenarios = [...letters].map((id) => ({ id, ...(id < 'a' && { alone: true }) }) as Scenario);
  const ends = new Map<string, () => void>();
  const log: string[] = [];
  const ask = runAhead(scenarios, width, async ({ id }) => {
    log.push(id);
    await new Promise<void>((resolve) => ends.set(id, resolve));
    return id;
  });
  return {
    log,
    ask: (id: string) => ask(scenarios.find((scenario) => scenario.id === id) as Scenario),
    async end(...ids: string[]) {
      for (const id of ids) ends.get(id)?.();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('one at a time starts nothing ahead', async () => {
  const { log, ask, end } = setUp('ab', 1);
  const first = ask('a');
  await end('a');
  expect(await first).toBe('a');
  expect(log).toEqual(['a']);
});

test('keeps as many in progress while the one that is waited for goes on', async () => {
  const { log, ask, end } = setUp('abcdefghij', 2);
  const first = ask('a');
  for (const id of 'bcdef') await end(id);
  expect(log.join('')).toBe('abcdefg');
  await end('g');
  // Three widths beyond the first: it may be the only one that was asked for.
  expect(log.join('')).toBe('abcdefg');
  await end('a');
  expect(await first).toBe('a');
  expect(log.join('')).toBe('abcdefg');
  expect(await ask('b')).toBe('b');
  expect(log.join('')).toBe('abcdefgh');
});

test('one that runs alone waits for those in progress, and holds back those after it', async () => {
  const { log, ask, end } = setUp('abCDe', 3);
  const results = [...'abCDe'].map(ask);
  await end('a');
  expect(log.join('')).toBe('ab');
  await end('b');
  expect(log.join('')).toBe('abC');
  await end('C');
  expect(log.join('')).toBe('abCD');
  await end('D');
  await end('e');
  expect((await Promise.all(results)).join('')).toBe('abCDe');
});

test('what the runner leaves out before the first is not run', async () => {
  const { log, ask, end } = setUp('abcd', 2);
  const result = ask('c');
  await end('c', 'd');
  expect(await result).toBe('c');
  expect(log.join('')).toBe('cd');
});
