import { expect, test } from 'vitest';
import * as lua from './lua/scripts.ts';
import { link, makeScripts } from './scripts.ts';

const libraries: readonly string[] = [
  ...[lua.record, lua.held, lua.give, lua.place, lua.fresh, lua.take],
  ...[lua.endRun, lua.settle, lua.claim],
];

test('every script of the folder is used, and all that the libraries define', () => {
  const used = Object.values(makeScripts()).map(({ text }) => `\n${text}`);
  for (const [name, text] of Object.entries(lua)) {
    for (const part of libraries.includes(text) ? text.split(/^(?=local )/m) : [text]) {
      expect(
        used.some((script) => script.includes(`\n${part.trimEnd()}`)),
        `${name}: ${part}`,
      ).toBe(true);
    }
  }
});

test('a script has what it needs of its libraries, in their order, and nothing else', () => {
  const first = 'local a, b = 1, 2\n-- of no use\nlocal function twice(x)\n  return x + a\nend\nlocal c = 3';
  const second = 'local function thrice(x)\n  return twice(x) + b\nend\nlocal d = twice(c)';
  expect(link([first, second, 'return thrice(4)'])).toBe(
    'local a, b = 1, 2\n-- of no use\nlocal function twice(x)\n  return x + a\nend\nlocal function thrice(x)\n  return twice(x) + b\nend\nreturn thrice(4)',
  );
  expect(link([first, second, 'return a'])).toBe('local a, b = 1, 2\n-- of no use\nreturn a');
  expect(link(['return 1'])).toBe('return 1');
});

// What is not would leave, or stay, with the definition above it.
test.each(libraries)('a library only defines', (library) => {
  for (const line of library.split('\n')) expect(line).toMatch(/^(local |end$|\}|\s|--|$)/);
});

// What looks at a whole queue, at the whole server, or at another clock than the server's.
const forbidden = /['"](KEYS|SCAN|HKEYS|HVALS|LREM|SORT|HSCAN|ZSCAN|SSCAN)['"]|os\.time|os\.clock/;

test.each(Object.values(makeScripts()))('$name looks at no whole queue and at no other clock', ({ text }) => {
  expect(text).not.toMatch(forbidden);
  // Small ones only: what one session holds or shall stop, names of tasks.
  const whole = text.match(/'(?:SMEMBERS|HGETALL)', [^)]*/g) ?? [];
  for (const use of whole) expect(use).toMatch(/(HELD|STOP) \.\.|NAMES/);
  // Lists: either end, and from the head only so many as are asked for.
  for (const use of text.match(/'LINDEX', [^)]*/g) ?? []) expect(use).toMatch(/, (0|-1)$/);
  for (const use of text.match(/'LRANGE', [^)]*/g) ?? []) expect(use).toMatch(/, 0, \w+ - 1$/);
});

test('a changed text has another name at the server', () => {
  const changed = makeScripts((name, text) => (name === 'findTasks' ? `${text} ` : text));
  expect(changed.findTasks.sha).not.toBe(makeScripts().findTasks.sha);
  expect(changed.claimTasks.sha).toBe(makeScripts().claimTasks.sha);
});
