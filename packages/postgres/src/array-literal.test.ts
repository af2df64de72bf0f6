import { expect, test } from 'vitest';
import { plainArray, textArray } from './array-literal.ts';

test.each([
  [[], '{}'],
  [['a', null, undefined, ''], '{"a",NULL,NULL,""}'],
  [['NULL', '{x}', 'a,b'], '{"NULL","{x}","a,b"}'],
  [['say "hi"', 'back\\slash'], '{"say \\"hi\\"","back\\\\slash"}'],
  // What JSON would escape in its own way stays as it is.
  [['line\nbreak\t"'], '{"line\nbreak\t\\""}'],
  [['😀 \u2028 é'], '{"😀 \u2028 é"}'],
])('text %j', (items, literal) => {
  expect(textArray(items)).toBe(literal);
});

test('numbers and booleans', () => {
  expect(plainArray([1, null, undefined, -0, true, 8.64e15])).toBe('{1,NULL,NULL,0,true,8640000000000000}');
});
