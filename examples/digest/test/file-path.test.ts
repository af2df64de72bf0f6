import { expect, test } from 'vitest';
import { fromStoredPath, printablePath, toStoredPath } from '../src/file-path.ts';

test.each([
  ['plain', Buffer.from('a/b')],
  ['accents and emoji', Buffer.from('é/🦦')],
  ['bytes that are no UTF-8', Buffer.from([0x61, 0xff, 0x80])],
  ['half of a surrogate pair, as three bytes', Buffer.from([0xed, 0xa0, 0x80])],
])('a path survives being stored: %s', (_title, path) => {
  expect(fromStoredPath(JSON.parse(JSON.stringify(toStoredPath(path))))).toEqual(path);
});

test('a path that is UTF-8 is stored readable', () => {
  expect(toStoredPath(Buffer.from('é'))).toEqual({ path: 'é' });
});

test('nothing in a printed path can move the cursor or break the line', () => {
  expect(printablePath(Buffer.from('a\nb\u001B[2Jc'))).toBe('a\\x0ab\\x1b[2Jc');
  expect(printablePath(Buffer.from('right\u202Eto left'))).toBe('right\\xe2\\x80\\xaeto left');
  expect(printablePath(Buffer.from([0x61, 0xff]))).toBe('a\\xff');
});
