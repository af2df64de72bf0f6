import { expect, test } from 'vitest';
import * as lua from './lua/scripts.ts';
import { makeScripts } from './scripts.ts';

test('every script of the folder is used', () => {
  const used = Object.values(makeScripts())
    .map(({ text }) => text)
    .join('\n');
  for (const [name, text] of Object.entries(lua)) expect(used.includes(text), name).toBe(true);
});

// What looks at a whole queue, at the whole server, or at another clock than the server's.
const forbidden = /['"](KEYS|SCAN|HGETALL|HKEYS|HVALS|LREM|SORT|HSCAN|ZSCAN|SSCAN)['"]|os\.time|os\.clock/;

test.each(Object.values(makeScripts()))('$name looks at no whole queue and at no other clock', ({ text }) => {
  expect(text).not.toMatch(forbidden);
  // Small sets only: what one session holds or shall stop, names of tasks.
  const whole = text.match(/'SMEMBERS', [^)]*/g) ?? [];
  for (const use of whole) expect(use).toMatch(/(HELD|STOP) \.\.|NAMES/);
  // Lists: either end, and from the head only so many as are asked for.
  for (const use of text.match(/'LINDEX', [^)]*/g) ?? []) expect(use).toMatch(/, (0|-1)$/);
  for (const use of text.match(/'LRANGE', [^)]*/g) ?? []) expect(use).toMatch(/, 0, (99|\w+ - 1)$/);
});

test('a changed text has another name at the server', () => {
  const changed = makeScripts((name, text) => (name === 'findTasks' ? `${text} ` : text));
  expect(changed.findTasks.sha).not.toBe(makeScripts().findTasks.sha);
  expect(changed.claimTasks.sha).toBe(makeScripts().claimTasks.sha);
});
