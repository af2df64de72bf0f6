import type { SettleOp } from '@millrace/core';
import { describe, expect, it } from 'vitest';
import { request, task, Walk } from '../../test/rules-walk.ts';
import { buildFailure } from '../context/builders.ts';
import type { ModelOperation } from './operation.ts';

describe('the rules', () => {
  it('accept an id once, hold unique keys, and replace what waits', () => {
    const walk = new Walk();
    expect(walk.enqueue(task('a', { key: 'k' }), task('a'), task('b', { key: 'k' }))).toEqual([
      'accepted',
      'duplicate a',
      'duplicate a',
    ]);
    expect(walk.enqueue(task('c', { key: 'k', onConflict: 'replace', input: 'new' }))).toEqual(['replaced a']);
    expect(walk.state.tasks.get('a')?.content).toMatchObject({ id: 'a', input: 'new' });
    walk.open('s');
    expect(walk.claim('s')).toEqual(['a#1/1']);
    expect(walk.enqueue(task('d', { key: 'k', onConflict: 'replace' }))).toEqual(['duplicate a']);
    walk.settle('s', 'a', 1, { type: 'complete' });
    expect(walk.enqueue(task('d', { key: 'k', keyUntil: 'started' }))).toEqual(['accepted']);
    walk.claim('s');
    expect(walk.enqueue(task('e', { key: 'k' }))).toEqual(['accepted']);
  });

  it('reject what is invalid alone, or with its batch where batches are atomic', () => {
    expect(new Walk().enqueue(task('a', { priority: 99 }), task('b'))).toEqual(['rejected', 'accepted']);
    const atomic = new Walk({ batch: { maxEnqueue: 10, maxClaim: 10, enqueueAtomic: true } });
    expect(atomic.enqueue(task('a', { priority: 99 }), task('b'))).toEqual(['rejected', 'rejected']);
  });

  it('give out by priority, then due time, then creation', () => {
    const walk = new Walk();
    walk.open('s');
    walk.enqueue(task('a', { delayMs: 5 }), task('b'), task('c', { priority: 9 }), task('d'));
    walk.now += 10;
    expect(walk.claim('s', 4)).toEqual(['c#1/1', 'b#1/1', 'd#1/1', 'a#1/1']);
  });

  it('leave the choice to a broker that keeps no order, and take what it chose', () => {
    const walk = new Walk({ order: 'best-effort', priority: { levels: 10, strict: false } });
    walk.open('s');
    walk.enqueue(task('a'), task('b', { priority: 9 }), task('c'));
    const claim: ModelOperation = { type: 'claim', session: 's', request };
    const ways = walk.ways(claim);
    expect(ways).toHaveLength(3);
    for (const { outcome } of ways) expect(walk.ways(claim, outcome)).toHaveLength(1);
    expect(walk.ways(claim, { type: 'claim', deliveries: [] })).toHaveLength(0);
  });

  it('refuse a delivery that is early, doubled, over the limit, of another name or with a fence that does not grow', () => {
    const walk = new Walk();
    walk.open('s');
    walk.enqueue(task('a'), task('later', { delayMs: 10 }), task('other', { name: 'other' }));
    const claim: ModelOperation = { type: 'claim', session: 's', request };
    const [legal] = walk.ways(claim);
    if (legal?.outcome.type !== 'claim') throw new Error('a claim delivers');
    const [delivery] = legal.outcome.deliveries;
    if (delivery === undefined) throw new Error('it delivers a task');
    const as = (changes: Partial<typeof delivery.lease>) => ({ ...delivery, lease: { ...delivery.lease, ...changes } });
    for (const deliveries of [
      [as({ taskId: 'later' })],
      [as({ taskId: 'other' })],
      [delivery, delivery],
      [as({ fence: 0 })],
      [as({ attempt: 2 })],
      [],
    ]) {
      expect(walk.ways(claim, { type: 'claim', deliveries })).toHaveLength(0);
    }
    expect(walk.ways(claim, { type: 'claim', deliveries: [as({ fence: 7 })] })).toHaveLength(1);
  });

  it('charge retries, give releases, snoozes and pauses back', () => {
    const walk = new Walk();
    walk.open('s');
    walk.enqueue(task('a'));
    const ends = ['release', 'snooze', 'pause', 'retry'] as const;
    for (const [index, type] of ends.entries()) {
      expect(walk.claim('s')).toEqual([`a#${index + 1}/1`]);
      expect(walk.settle('s', 'a', index + 1, { type, delayMs: 0, failure: buildFailure() })).toBe('applied');
      if (type === 'pause') expect(walk.control('resume', 'a')).toBe('applied');
    }
    expect(walk.claim('s')).toEqual(['a#5/2']);
    expect(walk.settle('s', 'a', 4, { type: 'complete' })).toBe('stale');
  });

  it('let a stop take the place of everything but a completion', () => {
    for (const [type, state] of [
      ['complete', 'succeeded 1'],
      ['release', 'cancelled 0'],
      ['fail', 'cancelled 1'],
    ] as const) {
      const walk = new Walk();
      walk.open('s');
      walk.enqueue(task('a'));
      walk.claim('s');
      expect(walk.control('pause', 'a')).toBe('requested');
      expect(walk.control('cancel', 'a')).toBe('requested');
      walk.settle('s', 'a', 1, { type, failure: buildFailure() });
      expect(walk.look('a')).toBe(state);
    }
  });

  it('leave open when a dead session loses its tasks, until somebody looks or sweeps', () => {
    const walk = new Walk();
    walk.open('s');
    walk.enqueue(task('a'));
    walk.claim('s');
    walk.do({ type: 'freeze', session: 's' });
    walk.now += 500;
    expect(walk.ways({ type: 'get', ids: ['a'] })).toHaveLength(1);
    walk.now += 400;
    const shown = walk
      .ways({ type: 'get', ids: ['a'] })
      .map(({ outcome }) => outcome.type === 'get' && outcome.records[0]?.state);
    expect(shown).toEqual(['running', 'retrying']);
    const late: SettleOp = { type: 'complete', lease: { taskId: 'a', fence: 1, attempt: 1, sessionId: 's' } };
    const answers = walk
      .ways({ type: 'settle', session: 's', operations: [late] })
      .map(({ outcome }) => outcome.type === 'settle' && outcome.outcomes[0]);
    expect(answers).toEqual(['applied', 'stale']);
    walk.do({ type: 'maintain' });
    expect(walk.look('a')).toBe('retrying 1');
    expect(walk.settle('s', 'a', 1, { type: 'complete' })).toBe('stale');
  });

  it('spare a last attempt that had not begun (LSE-16)', () => {
    for (const begun of [false, true]) {
      const walk = new Walk();
      walk.open('s');
      walk.enqueue(task('a', { maxAttempts: 1 }));
      walk.claim('s');
      const lease = { taskId: 'a', fence: 1, attempt: 1, sessionId: 's' };
      if (begun) walk.do({ type: 'report', session: 's', reports: [{ lease, begun: true }] });
      walk.do({ type: 'freeze', session: 's' });
      walk.now += 900;
      walk.do({ type: 'maintain' });
      expect(walk.look('a')).toBe(begun ? 'failed 1 lost' : 'pending 0');
    }
  });

  it('tell a process that goes on whether its session is lost', () => {
    const walk = new Walk();
    walk.open('s');
    walk.do({ type: 'freeze', session: 's' });
    const thaw = (): unknown[] =>
      walk.ways({ type: 'thaw', session: 's' }).map(({ outcome }) => outcome.type === 'thaw' && outcome.lost);
    walk.now += 100;
    expect(thaw()).toEqual([false]);
    walk.now += 700;
    expect(thaw()).toEqual([true, false]);
    walk.now += 100;
    expect(thaw()).toEqual([true]);
  });

  it('expire, and drop what retention no longer keeps', () => {
    const walk = new Walk();
    walk.open('s');
    walk.enqueue(task('a', { expiresInMs: 50, key: 'k' }), task('b'));
    walk.now += 50;
    expect(walk.claim('s')).toEqual(['b#1/1']);
    walk.do({ type: 'maintain' });
    expect(walk.look('a')).toBe('failed 0 expired');
    walk.settle('s', 'b', 1, { type: 'complete' });
    walk.now += 1_000_000;
    walk.do({ type: 'maintain' });
    expect([walk.look('a'), walk.look('b')]).toEqual(['failed 0 expired', 'gone']);
  });

  it('rerun what has ended, unless its unique key was taken meanwhile', () => {
    const walk = new Walk();
    walk.open('s');
    walk.enqueue(task('a', { key: 'k' }));
    expect(walk.control('rerun', 'a')).toBe('refused');
    walk.claim('s');
    walk.settle('s', 'a', 1, { type: 'fail', failure: buildFailure() });
    walk.enqueue(task('b', { key: 'k' }));
    expect(walk.control('rerun', 'a')).toBe('refused');
    expect(walk.control('remove', 'b')).toBe('applied');
    expect(walk.control('rerun', 'a')).toBe('applied');
    expect(walk.claim('s')).toEqual(['a#2/1']);
  });

  it('never change the state they are given', () => {
    const walk = new Walk();
    walk.open('s');
    walk.enqueue(task('a'));
    const before = walk.state;
    const copy = structuredClone(before);
    walk.claim('s');
    walk.control('cancel', 'a');
    expect(before).toEqual(copy);
  });
});
