import { describe, expect, it } from 'vitest';
import { type ConcurrentCall, linearize, mostConcurrentCalls, type SequentialModel } from './wgl.ts';

type Call = { readonly write: number } | { readonly read: number };

/** A register: a read returns what was written last. */
const register: SequentialModel<number, Call> = {
  initial: [0],
  key: String,
  apply: (state, call) => ('write' in call ? [call.write] : call.read === state ? [state] : []),
};

function call(invoke: number, returned: number, input: Call): ConcurrentCall<Call> {
  return { invoke, return: returned, input };
}

describe('linearize', () => {
  it('finds an order of calls that overlap', () => {
    const calls = [call(0, 10, { write: 1 }), call(1, 3, { read: 0 }), call(4, 6, { read: 1 })];
    expect(linearize(calls, register)).toMatchObject({ verdict: 'pass', states: [1] });
  });

  it('finds none when a value comes and goes', () => {
    const calls = [call(0, 10, { write: 1 }), call(1, 3, { read: 1 }), call(4, 6, { read: 0 })];
    const found = linearize(calls, register);
    expect(found.verdict).toBe('fail');
    expect(found.longest).toHaveLength(2);
  });

  it('keeps the order of calls that do not overlap', () => {
    expect(linearize([call(0, 1, { write: 1 }), call(2, 3, { read: 0 })], register).verdict).toBe('fail');
    expect(linearize([call(0, 2, { write: 1 }), call(1, 3, { read: 0 })], register).verdict).toBe('pass');
  });

  it('tries calls without an answer at every place, and nowhere', () => {
    const lost = call(0, Number.POSITIVE_INFINITY, { write: 1 });
    expect(linearize([lost, call(1, 2, { read: 0 }), call(3, 4, { read: 0 })], register).verdict).toBe('pass');
    expect(linearize([lost, call(1, 2, { read: 0 }), call(3, 4, { read: 1 })], register).verdict).toBe('pass');
    expect(linearize([lost, call(1, 2, { read: 1 }), call(3, 4, { read: 0 })], register).verdict).toBe('fail');
    expect(linearize([lost], register).states).toEqual([0, 1]);
  });

  it('returns every state it may end in', () => {
    const calls = [call(0, 10, { write: 1 }), call(0, 10, { write: 2 })];
    expect([...linearize(calls, register).states].sort()).toEqual([1, 2]);
  });

  it('does not search large groups', () => {
    const calls = Array.from({ length: mostConcurrentCalls + 1 }, () => call(0, 1, { write: 1 }));
    expect(linearize(calls, register).verdict).toBe('unknown');
  });

  it('searches twelve calls that all overlap in a moment', () => {
    const calls = Array.from({ length: mostConcurrentCalls }, (_unused, index) => call(0, 100, { write: index }));
    expect(linearize(calls, register).states).toHaveLength(mostConcurrentCalls);
  });
});
