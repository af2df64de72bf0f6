import { expect, test } from 'vitest';
import { Runs } from './runs.ts';
import type { TaskRun } from './task-run.ts';

const runOf = (id: string, fence: number): TaskRun => ({ id, fence, place: -1 }) as TaskRun;

test('runs are there until they end, in whatever order they do', () => {
  const runs = new Runs();
  const [first, second, third] = [runOf('a', 1), runOf('b', 2), runOf('c', 3)] as const;
  for (const run of [first, second, third]) runs.add(run);
  runs.delete(first);
  runs.delete(first);
  expect(new Set(runs)).toEqual(new Set([second, third]));
  runs.delete(third);
  runs.add(first);
  expect([runs.size, new Set(runs)]).toEqual([2, new Set([first, second])]);
  runs.delete(second);
  runs.delete(first);
  runs.delete(third);
  expect([runs.size, ...runs]).toEqual([0]);
});

test('two runs of one task are told apart by their fence', () => {
  const runs = new Runs();
  const [old, fresh] = [runOf('a', 1), runOf('a', 2)];
  for (const run of [old, fresh]) runs.add(run);
  expect([runs.find('a', 2), runs.find('a', 1), runs.find('a', 3), runs.find('b', 1)]).toEqual([
    fresh,
    old,
    undefined,
    undefined,
  ]);
});

test('all runs are met, although each ends when it is met', () => {
  const runs = new Runs();
  for (const id of ['a', 'b', 'c']) runs.add(runOf(id, 1));
  const met: string[] = [];
  for (const run of runs) {
    met.push(run.id);
    runs.delete(run);
  }
  expect(met).toEqual(['a', 'b', 'c']);
});
