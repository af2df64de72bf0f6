import { PassThrough } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { expect, test } from 'vitest';
import type { Progress } from '../src/progress.ts';
import { createProgressDisplay } from '../src/progress-display.ts';

function stream(options: { readonly isTTY: boolean; readonly columns?: number }): { tty: WriteStream; text(): string } {
  const through = new PassThrough({ encoding: 'utf8' });
  return {
    tty: Object.assign(through, options) as unknown as WriteStream,
    text: () => (through.read() as string) ?? '',
  };
}

const progress: Progress = { total: 1_000, walked: true, done: 0, dead: 0, bytesHere: 0 };

test('elsewhere than on a terminal: the number of files, and one line for every five per cent, without control characters', () => {
  const { tty, text } = stream({ isTTY: false });
  const display = createProgressDisplay(tty, {});
  for (let done = 0; done <= 1_000; done++) display.update({ ...progress, done, dead: done > 500 ? 2 : 0 });
  display.end();
  const lines = text().trimEnd().split('\n');
  expect(lines).toHaveLength(21);
  expect(lines.slice(0, 2)).toEqual(['0 of 1,000 files, 0 %', '50 of 1,000 files, 5 %']);
  expect(lines.at(-1)).toBe('1,000 of 1,000 files, 100 %, 2 dead');
  expect(lines.join('')).not.toMatch(/\p{Cc}/u);
});

test('on a terminal: one line that is written again and again, never longer than the terminal is wide', () => {
  const { tty, text } = stream({ isTTY: true, columns: 40 });
  const display = createProgressDisplay(tty, {});
  display.update({ ...progress, done: 500 });
  display.say('a note');
  display.update({ ...progress, done: 1_000 });
  display.end();
  const written = text();
  expect(written).toContain('a note\n');
  expect(written.match(/\n/g)).toHaveLength(2);
  for (const line of written.split(/\n|\r\p{Cc}\[K/u)) expect(line.length).toBeLessThan(40);
});

test('a dumb terminal gets plain lines', () => {
  const { tty, text } = stream({ isTTY: true });
  const display = createProgressDisplay(tty, { TERM: 'dumb' });
  display.update({ ...progress, done: 1_000 });
  expect(text()).toBe('1,000 of 1,000 files, 100 %\n');
});
