import path from 'node:path';
import { expect, test } from 'vitest';
import { summarize } from './summary-reporter.mjs';
import { root } from './workspace.mjs';

/** A file as vitest reports it, with one suite around all of its tests. */
function module(tests, { errors = [], suiteErrors = [], suite = 'suite' } = {}) {
  const file = { type: 'module' };
  const parent = { type: 'suite', name: suite, parent: file, errors: () => suiteErrors };
  const errorsOf = (state) => (state === 'failed' ? [new Error('expected 1 to be 2\nDifference: 1')] : []);
  const all = Object.entries(tests).map(([name, state]) => ({
    name,
    parent,
    result: () => ({ state, errors: errorsOf(state) }),
  }));
  return {
    project: { name: 'unit' },
    moduleId: path.join(root, 'tools', 'a.test.mjs'),
    errors: () => errors,
    children: { allSuites: () => [parent], allTests: () => all },
  };
}

test('counts what passed and failed', () => {
  expect(summarize([module({ a: 'passed', b: 'failed' })])).toEqual({
    passed: 1,
    failed: 1,
    skipped: [],
    failures: ['[unit] suite > b: expected 1 to be 2\n  Difference: 1'],
  });
});

test('a file that does not load and a suite hook that throws are failures', () => {
  const broken = module({}, { errors: [new Error('no such file')], suiteErrors: [new Error('no database')] });
  expect(summarize([broken])).toMatchObject({
    failed: 2,
    failures: ['[unit] tools/a.test.mjs: no such file', '[unit] suite: no database'],
  });
});

test('a skip needs a reason: the last brackets of its title or of its suite', () => {
  const summary = summarize([
    module({ 'keeps [1, 2] in order [unsupported: order]': 'skipped' }),
    module({ 'is fenced': 'skipped' }, { suite: 'LSE [unsupported: fencing]' }),
    module({ 'says nothing': 'skipped' }),
  ]);
  expect(summary.skipped.map(({ reason }) => reason)).toEqual(['unsupported: order', 'unsupported: fencing']);
  expect(summary.failures).toEqual([expect.stringMatching(/^\[unit\] suite > says nothing: skipped without a reason/)]);
  expect(summary.failed).toBe(1);
});

test('tests that `-t` did not choose count as nothing', () => {
  expect(summarize([module({ one: 'passed', two: 'skipped' })], /suite one/)).toEqual({
    passed: 1,
    failed: 0,
    skipped: [],
    failures: [],
  });
});
