import { expect, test } from 'vitest';
import { sumsLine } from '../src/sums-line.ts';

const digest = 'a'.repeat(64);
const line = (name: string | Buffer): string => sumsLine(digest, Buffer.from(name)).toString('latin1');

test('a plain name stands as it is', () => {
  expect(line('a folder/file.txt')).toBe(`${digest}  a folder/file.txt\n`);
});

test('a backslash, a newline and a carriage return are escaped, with a backslash before the digest', () => {
  expect(line('a\\b')).toBe(`\\${digest}  a\\\\b\n`);
  expect(line('a\nb')).toBe(`\\${digest}  a\\nb\n`);
  expect(line('a\r')).toBe(`\\${digest}  a\\r\n`);
});

test('bytes that are no UTF-8 come out as they went in', () => {
  expect(sumsLine(digest, Buffer.from([0xff, 0xfe])).subarray(66)).toEqual(Buffer.from([0xff, 0xfe, 0x0a]));
});

test('a file named - is not taken for standard input', () => {
  expect(line('-')).toBe(`${digest}  ./-\n`);
});
