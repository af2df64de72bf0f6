import { expect, test } from 'vitest';
import { BackpressureError, ClosedError, IndeterminateError, UnavailableError } from '../errors.ts';
import { allParts, doneInPart } from './parts.ts';

const unavailable = new UnavailableError('a part: the server is away', { op: 'part', adapter: 'redis' });
const indeterminate = new IndeterminateError('a part: the answer was lost', { op: 'part' });

test('a call ends with its last part, also when one has failed before', async () => {
  let isDone = false;
  const late = new Promise<void>((resolve) => setTimeout(resolve, 5)).then(() => {
    isDone = true;
  });
  await expect(allParts([Promise.reject(unavailable), late])).rejects.toBe(unavailable);
  expect(isDone).toBe(true);
  await allParts([late]);
});

test('of several failures the one counts that leaves open what happened', async () => {
  await expect(allParts([Promise.reject(unavailable), Promise.reject(indeterminate)])).rejects.toBe(indeterminate);
});

test('a refusal after a part was carried out does not mean that nothing happened', () => {
  expect(doneInPart(unavailable, 'tasks.cancel')).toMatchObject({
    code: 'INDETERMINATE',
    op: 'tasks.cancel',
    adapter: 'redis',
    reason: 'in-part',
    cause: unavailable,
    message: 'tasks.cancel: a part of it was carried out; then: a part: the server is away',
  });
  expect(doneInPart(new BackpressureError('full'), 'enqueue')).toMatchObject({ code: 'INDETERMINATE' });
});

test('what leaves it open already, and what is no refusal, stays as it is', () => {
  for (const error of [indeterminate, new ClosedError('closed'), new TypeError('no')]) {
    expect(doneInPart(error, 'enqueue')).toBe(error);
  }
});
