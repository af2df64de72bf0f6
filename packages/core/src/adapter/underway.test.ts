import { expect, test } from 'vitest';
import { Underway } from './underway.ts';

test('what was added is there until it is taken out', () => {
  const underway = new Underway<string>();
  for (const item of ['a', 'b', 'c', 'd']) underway.add(item);
  underway.delete('b');
  underway.delete('never there');
  expect([...underway].sort()).toEqual(['a', 'c', 'd']);
  underway.delete('c');
  underway.delete('a');
  underway.delete('d');
  expect([underway.size, ...underway]).toEqual([0]);
});

test('all that are there are met, whatever is taken out or added meanwhile', () => {
  const underway = new Underway<number>();
  for (const item of [1, 2, 3]) underway.add(item);
  const met: number[] = [];
  for (const item of underway) {
    met.push(item);
    underway.delete(item);
    underway.add(item + 10);
  }
  expect(met).toEqual([1, 2, 3]);
  expect([...underway].sort()).toEqual([11, 12, 13]);
});
