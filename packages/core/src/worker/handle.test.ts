import { describe, expect, it } from 'vitest';
import { defineTask } from '../define-task.ts';
import { handle } from './handle.ts';

const definition = defineTask({ name: 'work' });

describe('handle', () => {
  it('binds a definition to a function', () => {
    const run = (): void => {};
    expect(handle(definition, run)).toEqual({ definition, run, concurrency: undefined });
    expect(handle(definition, run, { concurrency: 3 }).concurrency).toBe(3);
  });

  it.each([undefined, null, 'run', {}])('refuses %s as a function', (run) => {
    expect(() => handle(definition, run as never)).toThrow(
      expect.objectContaining({
        option: 'run',
        message: expect.stringMatching(/^handle\(work\) needs a function; got/),
      }),
    );
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '5', null])(
    'refuses the concurrency %s',
    (concurrency) => {
      expect(() => handle(definition, () => {}, { concurrency: concurrency as number })).toThrow(
        expect.objectContaining({ code: 'VALIDATION', option: 'concurrency' }),
      );
    },
  );

  it('refuses options nobody knows', () => {
    expect(() => handle(definition, () => {}, { parallel: 5 } as never)).toThrow(
      expect.objectContaining({ option: 'parallel' }),
    );
  });
});
