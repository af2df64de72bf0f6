import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { ValidationError } from './errors.ts';
import { decodePayload, deepestPayload, encodeBounded, encodePayload } from './payload.ts';

function roundTrip(value: unknown): unknown {
  return decodePayload(encodePayload(value, 'input'));
}

function refusal(value: unknown): string {
  try {
    encodePayload(value, 'input');
  } catch (error) {
    if (error instanceof ValidationError) {
      expect(error).toMatchObject({ code: 'VALIDATION', option: 'input', reason: 'unstorable-value' });
      return error.message;
    }
    throw error;
  }
  return 'accepted';
}

function nested(levels: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = wrap(value);
  return value;
}

describe('what a payload keeps (PAY-01, PAY-03, PAY-04)', () => {
  it.each<[string, unknown]>([
    ['null', null],
    ['false', false],
    ['an empty string', ''],
    ['an empty object', {}],
    ['an empty array', []],
    ['-0', -0],
    ['-0, nested', { a: [-0, 0, { b: -0 }], c: 'x', d: null, e: [[]], f: {} }],
    ['the ends of doubles', [1e308, 5e-324, Number.MAX_SAFE_INTEGER, 2 ** 53, -(2 ** 53), 2 ** 53 + 2, 1e-308]],
    ['astral characters', '😀𝕏 ﷽ e\u0301 é'],
    ['lone surrogates', ['\ud800', 'a\udc00b', { '\ud83d': '\ude00\ud83d' }]],
    ['U+0000', ['\0', 'a\0b', { 'k\0': '\0' }]],
    ['line separators and controls', '\u2028\u2029\u0001\u001f\u007f\\"'],
    ['odd keys', { '': 1, '0': 2, '10': 3, constructor: 4, toString: 5, ' ': 6, 'a.b': 7 }],
    ['text that looks like bytes', 'b64:AAAA'],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 })],
    ['10,000 keys', Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`key ${index}`, index]))],
  ])('%s', (_name, value) => {
    expect(roundTrip(value)).toEqual(value);
  });

  it('tells -0 and 0 apart', () => {
    expect(encodePayload(-0, 'input')).toBe('-0');
    expect(Object.is((roundTrip({ a: -0 }) as { a: number }).a, -0)).toBe(true);
    expect(Object.is((roundTrip({ a: 0 }) as { a: number }).a, 0)).toBe(true);
  });

  it('keeps a __proto__ key as a key, with and without -0 beside it', () => {
    for (const text of ['{"__proto__":{"admin":true}}', '{"__proto__":{"admin":true},"z":-0}']) {
      const back = roundTrip(JSON.parse(text)) as object;
      expect(Object.keys(back)).toContain('__proto__');
      expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
      expect('admin' in back).toBe(false);
    }
  });

  it(`keeps ${deepestPayload} levels`, () => {
    for (const wrap of [(inner: unknown) => [inner], (inner: unknown) => ({ a: inner })]) {
      const deep = nested(deepestPayload, wrap);
      expect(JSON.stringify(roundTrip(deep))).toBe(JSON.stringify(deep));
    }
  });

  it('round-trips whatever JSON can say (PAY-10)', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        expect(roundTrip(value)).toEqual(value);
      }),
      { numRuns: 200 },
    );
  });

  it('writes the same text as JSON, as long as there is no -0', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(!JSON.stringify([value], (_key, one) => (Object.is(one, -0) ? '-0!' : one)).includes('-0!'));
        expect(encodePayload(value, 'input')).toBe(JSON.stringify(value));
      }),
      { numRuns: 200 },
    );
  });
});

describe('absence (PAY-02)', () => {
  it('encodes undefined as absent, and null as null', () => {
    expect(encodePayload(undefined, 'input')).toBeUndefined();
    expect(decodePayload(undefined)).toBeUndefined();
    expect(encodePayload(null, 'input')).toBe('null');
  });

  it('leaves out properties that are undefined, as JSON does', () => {
    expect(encodePayload({ a: undefined, b: 1 }, 'input')).toBe('{"b":1}');
    expect(encodePayload({ a: undefined, b: -0 }, 'input')).toBe('{"b":-0}');
  });

  it('refuses undefined and holes in arrays, which JSON would turn into null', () => {
    expect(refusal([1, undefined])).toBe('input: [1] is undefined (use null), which cannot be stored');
    // biome-ignore lint/suspicious/noSparseArray: what is tested
    expect(refusal({ list: [1, , 3] })).toMatch(/^input: list\[1\] is undefined/);
    expect(refusal(new Array(3))).toMatch(/^input: \[0\] is undefined/);
  });
});

describe('what would not survive is refused, with the path to it (PAY-05, BAD-04)', () => {
  class Point {
    x = 1;
  }
  const circular: { self?: unknown } = {};
  circular.self = circular;

  it.each<[string, unknown, RegExp]>([
    ['NaN', { a: [0, { b: Number.NaN }] }, /^input: a\[1\]\.b is NaN/],
    ['Infinity', [Number.POSITIVE_INFINITY], /^input: \[0\] is Infinity/],
    ['-Infinity', Number.NEGATIVE_INFINITY, /^input is -Infinity/],
    ['a bigint', { a: 1n }, /^input: a is a bigint/],
    ['a function', { a: () => 1 }, /^input: a is a function/],
    ['a method of a class instance', { a: { m() {} } }, /^input: a\.m is a function/],
    ['a symbol', [Symbol('x')], /^input: \[0\] is a symbol/],
    ['a Map', { a: new Map([[1, 2]]) }, /^input: a is a Map object/],
    ['a Set', new Set(), /^input is a Set object/],
    ['a promise nobody awaited', { a: Promise.resolve(1) }, /^input: a is a Promise object/],
    ['a boxed number', { a: Object(Number.NaN) }, /^input: a is a Number object/],
    ['a boxed bigint', [Object(1n)], /^input: \[0\] is a BigInt object/],
    ['an invalid Date', { at: new Date('never') }, /^input: at is an invalid Date/],
    ['nested bytes', { a: new Uint8Array(1) }, /^input: a holds bytes other than a top-level Uint8Array/],
    ['a nested Buffer', [Buffer.from('x')], /^input: \[0\] holds bytes/],
    ['other views', new Float64Array(1), /^input holds bytes/],
    ['a DataView', new DataView(new ArrayBuffer(1)), /^input holds bytes/],
    ['an ArrayBuffer', new ArrayBuffer(1), /^input holds bytes/],
    ['a SharedArrayBuffer', { a: new SharedArrayBuffer(1) }, /^input: a holds bytes/],
    ['a cycle', circular, /^input: self\.self\..* is nested deeper than 500 levels or circular/],
    ['501 arrays', nested(deepestPayload + 1, (inner) => [inner]), /nested deeper than 500 levels/],
    ['501 objects', nested(deepestPayload + 1, (inner) => ({ a: inner })), /nested deeper than 500 levels/],
    ['a cycle through toJSON', { toJSON: () => circular }, /circular/],
  ])('%s', (_name, value, message) => {
    expect(refusal(value)).toMatch(message);
  });

  it('stores the own properties of a class instance', () => {
    expect(roundTrip(new Point())).toEqual({ x: 1 });
  });

  it('names the option', () => {
    expect(() => encodePayload({ a: 1n }, 'output')).toThrow(/^output: a is a bigint/);
  });

  it('keeps a message short, however deep the path and long the keys', () => {
    const key = 'k'.repeat(10_000);
    expect(refusal(nested(100, (inner) => (inner === 1 ? { [key]: 1n } : { [key]: inner }))).length).toBeLessThan(300);
  });

  it('lets a getter that throws be heard', () => {
    const value = {
      get a(): never {
        throw new TypeError('from the getter');
      },
    };
    expect(() => encodePayload(value, 'input')).toThrow(new TypeError('from the getter'));
  });
});

describe('toJSON', () => {
  it('stores a Date as its ISO text', () => {
    expect(roundTrip({ at: new Date(0), list: [new Date(1)] })).toEqual({
      at: '1970-01-01T00:00:00.000Z',
      list: ['1970-01-01T00:00:00.001Z'],
    });
    expect(roundTrip({ at: new Date(0), zero: -0 })).toEqual({ at: '1970-01-01T00:00:00.000Z', zero: -0 });
  });

  it('is honoured, also on arrays, and what it returns is checked', () => {
    class Money {
      toJSON(): unknown {
        return { amount: '5.00', at: new Date(0) };
      }
    }
    class List extends Array<number> {
      toJSON(): unknown {
        return { count: this.length };
      }
    }
    const value = { price: new Money(), list: List.of(1, 2) };
    const stored = { price: { amount: '5.00', at: '1970-01-01T00:00:00.000Z' }, list: { count: 2 } };
    expect(roundTrip(value)).toEqual(stored);
    expect(roundTrip({ ...value, zero: -0 })).toEqual({ ...stored, zero: -0 });
    expect(refusal({ a: { toJSON: () => ({ b: Number.NaN }) } })).toMatch(/^input: a\.b is NaN/);
    expect(refusal({ a: { toJSON: () => undefined } })).toMatch(/^input: a is undefined/);
    expect(refusal({ a: { toJSON: () => new Map() } })).toMatch(/^input: a is a Map object/);
    expect(Object.is(roundTrip({ toJSON: () => -0 }), -0)).toBe(true);
  });

  it('is asked once, so that one that returns its own object ends, and that object is checked too', () => {
    const self = (content: object): object => ({
      ...content,
      toJSON(this: object): object {
        const { toJSON, ...rest } = this as { toJSON: unknown };
        return Object.assign(Object.create({ toJSON }), rest);
      },
    });
    expect(roundTrip({ a: self({ b: 1 }), zero: -0 })).toEqual({ a: { b: 1 }, zero: -0 });
    class Entity {
      total = Number.NaN;
      toJSON(): this {
        return this;
      }
    }
    expect(refusal({ a: new Entity() })).toMatch(/^input: a\.total is NaN/);
  });
});

describe('bytes (PAY-06)', () => {
  it('keeps all byte values, emptiness, and the window of a view', () => {
    const all = Uint8Array.from({ length: 256 }, (_, index) => index);
    expect(roundTrip(all)).toEqual(all);
    expect(roundTrip(new Uint8Array(0))).toEqual(new Uint8Array(0));
    expect(roundTrip(all.subarray(3, 7))).toEqual(Uint8Array.of(3, 4, 5, 6));
    expect(roundTrip(Buffer.from('héllo'))).toEqual(new Uint8Array(Buffer.from('héllo')));
  });

  it('gives back plain bytes of its own, not a window into a shared pool', () => {
    const back = roundTrip(Buffer.from('x')) as Uint8Array;
    expect(Buffer.isBuffer(back)).toBe(false);
    expect(back.buffer.byteLength).toBe(1);
  });

  it('round-trips random bytes (PAY-10)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(roundTrip(bytes)).toEqual(bytes);
      }),
    );
  });
});

describe('what was stored wrongly is corrupt (PAY-12)', () => {
  it.each([
    '',
    '{',
    'undefined',
    'NaN',
    "{'a':1}",
    '{"a":1} x',
    'b64:a',
    'b64:====',
    'b64:AA=A',
    'b64:AAA',
    'b64:ä?!=',
    'b64:AA AA',
  ])('%j', (text) => {
    expect(() => decodePayload(text)).toThrow(
      expect.objectContaining({ code: 'CORRUPT_TASK', reason: 'decode-failed' }),
    );
  });

  it('does not show the payload (BAD-09)', () => {
    expect(() => decodePayload('b64:secret!')).not.toThrow(/secret/);
    expect(() => decodePayload('secret')).not.toThrow(/secret/);
  });
});

it('neither changes nor keeps the value it was given (PAY-11)', () => {
  const value = Object.freeze({ list: Object.freeze([1, -0]), at: new Date(0) });
  const back = roundTrip(value) as { list: number[] };
  back.list.push(2);
  expect(value.list).toHaveLength(2);
});

it('says so when it is larger than any text', () => {
  const stringify = vi.spyOn(JSON, 'stringify').mockImplementation(() => {
    throw new RangeError('Invalid string length');
  });
  const failure = { code: 'VALIDATION', option: 'output', reason: 'payload-too-large' };
  try {
    expect(() => encodePayload(['x'], 'output')).toThrow(expect.objectContaining(failure));
  } finally {
    stringify.mockRestore();
  }
  const encode = vi.spyOn(Buffer.prototype, 'toString').mockImplementation(() => {
    throw Object.assign(new Error('too long'), { code: 'ERR_STRING_TOO_LONG' });
  });
  try {
    expect(() => encodePayload(new Uint8Array(1), 'output')).toThrow(expect.objectContaining(failure));
  } finally {
    encode.mockRestore();
  }
});

describe('encodeBounded', () => {
  it('measures bytes of UTF-8', () => {
    expect(encodeBounded('éé', 'output', 6)).toBe('"éé"');
    expect(() => encodeBounded('éé', 'output', 5)).toThrow(
      expect.objectContaining({
        code: 'VALIDATION',
        option: 'output',
        reason: 'payload-too-large',
        message: expect.stringMatching(/^output takes 6 bytes, more than the 5 /),
      }),
    );
    expect(encodeBounded(undefined, 'output', 0)).toBeUndefined();
  });
});
