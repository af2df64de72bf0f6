import { expect, test } from 'vitest';
import { spreadDelays } from './delays.ts';

test('delays are spread evenly between the bounds, each place once', () => {
  const delays = spreadDelays(60, 1000, 60_000);
  expect([...delays].sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, index) => (index + 1) * 1000));
});

test('they come in no order, and always the same', () => {
  const delays = spreadDelays(1000, 0, 999);
  expect(delays).not.toEqual([...delays].sort((a, b) => a - b));
  expect(spreadDelays(1000, 0, 999)).toEqual(delays);
});

test('a single task gets the lower bound', () => {
  expect(spreadDelays(1, 5, 9)).toEqual([5]);
});
