import type { StandardSchemaV1 } from '@standard-schema/spec';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { validate } from './validate.ts';

function schema(check: StandardSchemaV1['~standard']['validate']): StandardSchemaV1 {
  return { '~standard': { version: 1, vendor: 'test', validate: check } };
}

describe('validate', () => {
  it('lets everything through without a schema', () => {
    const value = { any: 'thing' };
    expect(validate(undefined, value, 'input')).toBe(value);
  });

  it('returns the output of a schema, synchronously when the schema is', () => {
    const trimmed = z.string().transform((text) => text.trim());
    expect(validate(trimmed, ' a ', 'input')).toBe('a');
  });

  it('returns a promise only when the schema answers with one', async () => {
    const late = schema(async (value) => ({ value: [value] }));
    const result = validate(late, 1, 'input');
    expect(result).toBeInstanceOf(Promise);
    expect(await result).toEqual([1]);
  });

  it('takes any thenable for a promise', async () => {
    // biome-ignore lint/suspicious/noThenProperty: what is tested
    const foreign = { then: (resolve: (result: object) => void) => resolve({ issues: [{ message: 'taken' }] }) };
    const result = validate(
      schema(() => foreign as never),
      1,
      'input',
    );
    expect(result).toBeInstanceOf(Promise);
    await expect(result).rejects.toThrow('taken');
  });

  it('throws the issues with their paths, and no values (BAD-09)', () => {
    const person = z.object({ name: z.object({ first: z.string() }), tags: z.array(z.number()) });
    const check = (): unknown => validate(person, { name: { first: 1 }, tags: [1, 'secret'] }, 'input');
    expect(check).toThrow(
      expect.objectContaining({
        code: 'VALIDATION',
        option: 'input',
        reason: 'invalid-value',
        issues: [expect.objectContaining({ path: ['name', 'first'] }), expect.objectContaining({ path: ['tags', 1] })],
      }),
    );
    expect(check).toThrow(/^input does not match its schema: name\.first: .*; tags\.1: /);
    expect(check).not.toThrow(/secret/);
  });

  it('rejects with the issues of an async schema', async () => {
    const late = schema(async () => ({ issues: [{ message: 'taken' }] }));
    await expect(validate(late, 1, 'output')).rejects.toMatchObject({
      message: 'output does not match its schema: taken',
      issues: [{ message: 'taken' }],
    });
  });

  it('names three issues at most, and keeps all', () => {
    const issues = Array.from({ length: 10 }, (_, index) => ({
      message: `wrong ${index}`,
      path: [{ key: `k${index}` }],
    }));
    const check = (): unknown =>
      validate(
        schema(() => ({ issues })),
        1,
        'input',
      );
    expect(check).toThrow(/: k0: wrong 0; k1: wrong 1; k2: wrong 2$/);
    expect(check).toThrow(expect.objectContaining({ issues: expect.toSatisfy((all: unknown[]) => all.length === 10) }));
  });

  it('can name a path with a symbol in it', () => {
    const issues = [{ message: 'wrong', path: [Symbol('hidden'), { key: Symbol('deep') }, 0] }];
    expect(() =>
      validate(
        schema(() => ({ issues })),
        1,
        'input',
      ),
    ).toThrow(/: Symbol\(hidden\)\.Symbol\(deep\)\.0: wrong$/);
  });

  it('lets through what a schema throws by itself', () => {
    const broken = schema(() => {
      throw new TypeError('defect');
    });
    expect(() => validate(broken, 1, 'input')).toThrow(TypeError);
  });
});
