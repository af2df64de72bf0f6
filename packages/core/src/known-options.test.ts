import { describe, expect, it } from 'vitest';
import { checkKnownOptions, kindOf } from './known-options.ts';

describe('checkKnownOptions', () => {
  it('passes what is known, and nothing', () => {
    expect(() => checkKnownOptions({ a: 1 }, ['a', 'b'], 'here')).not.toThrow();
    expect(() => checkKnownOptions({}, [], 'here')).not.toThrow();
  });

  it('names what is not, where, and what is', () => {
    expect(() => checkKnownOptions({ a: 1, c: 2 }, ['a', 'b'], 'here', 'deep.')).toThrow(
      expect.objectContaining({
        code: 'VALIDATION',
        reason: 'unknown-option',
        option: 'deep.c',
        message: "here has no option 'c'; it knows a, b",
      }),
    );
  });

  it.each([undefined, null, 5, 'text', [['a']], () => {}])('refuses %j', (value) => {
    expect(() => checkKnownOptions(value as never, ['0', 'a'], 'here')).toThrow(
      expect.objectContaining({ code: 'VALIDATION', option: 'options' }),
    );
  });
});

describe('kindOf', () => {
  it('never shows content, but numbers', () => {
    const values = [null, [1], 5, Number.NaN, 'secret', { secret: 1 }, undefined, () => {}];
    expect(values.map(kindOf)).toEqual(['null', 'an array', '5', 'NaN', 'string', 'object', 'undefined', 'function']);
  });
});
