import { expect, it } from 'vitest';
import { unitsOf } from './units.ts';

const steady = Array.from({ length: 200 }, () => 2);

it('is twice what twenty trips usually take, and half again what they take at worst', () => {
  expect(unitsOf(steady)).toEqual({ usually: 80, atWorst: 60 });
  const slower = steady.map((time, index) => (index % 100 < 30 ? 3 * time : time));
  expect(unitsOf(slower)).toEqual({ usually: 80, atWorst: 180 });
});

it('is not stretched by one moment in which the machine stands still', () => {
  const stalled = steady.with(70, 5_000);
  expect(unitsOf(stalled)).toEqual(unitsOf(steady));
  expect(unitsOf(stalled.with(150, 900)).atWorst).toBe(1.5 * (900 + 38));
});
