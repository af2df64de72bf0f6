import { describe, expect, it } from 'vitest';
import type { GuardOptions } from '../broker/guard.ts';
import { checkOverdueRequest, readGuardOptions } from './guard-options.ts';

describe('readGuardOptions', () => {
  it('tells the options of a guard from those of its store', () => {
    const options: GuardOptions & { readonly url: string } = { url: 'u', mode: 'needed', tasks: ['import'] };
    const { mode, holds, store } = readGuardOptions(options);
    expect([mode, holds('import'), holds('mail'), store]).toEqual(['needed', true, false, { url: 'u' }]);
  });

  it('holds what needs it if nothing is said, and everything with mode always', () => {
    const { mode, holds } = readGuardOptions({});
    expect([mode, holds('import')]).toEqual(['needed', false]);
    expect(readGuardOptions({ mode: 'always' }).holds('import')).toBe(true);
  });

  it.each<[unknown, string, RegExp]>([
    [{ mode: 'sometimes' }, 'mode', /'needed' or 'always'/],
    [{ mode: null }, 'mode', /got null/],
    [{ tasks: 'import' }, 'tasks', /array of task names; got string/],
    [{ tasks: [7] }, 'tasks', /must be a string; got 7/],
    [{ tasks: ['a'], mode: 'always' }, 'tasks', /leave it out/],
    [undefined, 'options', /got undefined/],
    [[], 'options', /got an array/],
  ])('refuses %j', (options, option, message) => {
    expect(() => readGuardOptions(options as GuardOptions)).toThrow(
      expect.objectContaining({ code: 'VALIDATION', option, message: expect.stringMatching(message) }),
    );
  });
});

describe('checkOverdueRequest', () => {
  it('takes whole numbers within bounds, and names the option it refuses', () => {
    expect(() => checkOverdueRequest({ dueForMs: 0, limit: 10_000 })).not.toThrow();
    expect(() => checkOverdueRequest({ dueForMs: 1.5, limit: 1 })).toThrow(/dueForMs/);
    expect(() => checkOverdueRequest({ dueForMs: 0, limit: 10_001 })).toThrow(/limit/);
  });
});
