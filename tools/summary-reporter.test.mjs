import { expect, test } from 'vitest';
import { summarize } from './summary-reporter.mjs';

/** A file as vitest reports it, with one suite around all of its tests. */
function module(tests, { errors = [], suiteErrors = [], suite = 'suite' } = {}) {
  const file = { type: 'module' };
  const parent = { type: 'suite', name: suite, parent: file, errors: () => suiteErrors };
  const all = Object.entries(tests).map(([name, state]) => ({ name, parent, result: () => ({ state }) }));
  return {
    project: { name: 'unit' },
    errors: () => errors,
    children: { allSuites: () => [parent], allTests: () => all },
  };
}

test('counts what passed and failed', () => {
  expect(summarize([module({ a: 'passed', b: 'failed' })])).toMatchObject({ passed: 1, failed: 1, skipped: [] });
});

test('a file that does not load and a suite hook that throws are failures', () => {
  const broken = module({}, { errors: [new Error('no such file')], suiteErrors: [new Error('no database')] });
  expect(summarize([broken]).failed).toBe(2);
});

test('a skip needs a reason: the last brackets of its title or of its suite', () => {
  const summary = summarize([
    module({ 'keeps [1, 2] in order [unsupported: order]': 'skipped' }),
    module({ 'is fenced': 'skipped' }, { suite: 'LSE [unsupported: fencing]' }),
    module({ 'says nothing': 'skipped' }),
  ]);
  expect(summary.skipped.map(({ reason }) => reason)).toEqual(['unsupported: order', 'unsupported: fencing']);
  expect(summary.unexplained).toEqual(['[unit] suite > says nothing']);
  expect(summary.failed).toBe(1);
});

test('tests that `-t` did not choose count as nothing', () => {
  expect(summarize([module({ one: 'passed', two: 'skipped' })], /suite one/)).toEqual({
    passed: 1,
    failed: 0,
    skipped: [],
    unexplained: [],
  });
});
