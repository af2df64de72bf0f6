import type { ClaimRequest, Delivery } from '@millrace/core';
import { expect, test } from 'vitest';
import { WaitingClaims } from './waiting-claims.ts';

const requestOf = (changes: Partial<ClaimRequest> = {}): ClaimRequest => ({
  queues: ['line'],
  names: ['work'],
  limit: 1,
  waitMs: 1_000,
  ...changes,
});
const deliveryOf = (name = 'work', queue = 'line'): Delivery => ({ name, queue }) as Delivery;

test('a task goes to the first claim that wants it and has room, and wakes that one only', () => {
  const claims = new WaitingClaims();
  const woken: string[] = [];
  const other = claims.open(requestOf({ names: ['other'] }), () => woken.push('other'));
  const elsewhere = claims.open(requestOf({ queues: ['elsewhere'] }), () => woken.push('elsewhere'));
  const stopped = claims.open(requestOf({ signal: AbortSignal.abort() }), () => woken.push('stopped'));
  const first = claims.open(requestOf(), () => woken.push('first'));
  const second = claims.open(requestOf({ limit: 2 }), () => woken.push('second'));
  expect([1, 2, 3, 4].map(() => claims.give(deliveryOf()))).toEqual([true, true, true, false]);
  expect(woken).toEqual(['first', 'second', 'second']);
  expect([other, elsewhere, stopped, first, second].map(({ given }) => given.length)).toEqual([0, 0, 0, 1, 2]);
});

test('a claim that ends returns what it was given and has not taken, and gets nothing more', () => {
  const claims = new WaitingClaims();
  const claim = claims.open(requestOf(), () => {});
  const delivery = deliveryOf();
  expect(claims.give(delivery)).toBe(true);
  expect(claims.close(claim)).toEqual([delivery]);
  expect(claims.give(deliveryOf())).toBe(false);
});
