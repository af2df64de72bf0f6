import { expect, it } from 'vitest';
import { newTaskId } from './task-id.ts';

it('makes UUIDv7s, unique and in the order of making', () => {
  const ids = Array.from({ length: 100_000 }, newTaskId);
  expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every((id, index) => index === 0 || id > (ids[index - 1] ?? ''))).toBe(true);
});
