// A vitest reporter that writes what `npm test` ends with: counts, each skipped test with its reason, and what failed.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './workspace.mjs';

/** Where to write, set by tools/test.mjs. */
export const SUMMARY_FILE = 'MILLRACE_TEST_SUMMARY_FILE';

export default class SummaryReporter {
  onInit(vitest) {
    this.pattern = vitest.config.testNamePattern;
  }

  onTestRunEnd(modules, unhandledErrors, reason) {
    const summary = { ...summarize(modules, this.pattern), interrupted: reason === 'interrupted' };
    fail(summary, 'outside of any test', unhandledErrors);
    writeFileSync(process.env[SUMMARY_FILE], JSON.stringify(summary));
  }
}

/**
 * A file that does not load and a hook of a suite that throws count as one failure each: their tests never ran.
 *
 * @returns {{ passed: number, failed: number, skipped: { name: string, reason: string }[], failures: string[] }}
 */
export function summarize(modules, pattern) {
  const summary = { passed: 0, failed: 0, skipped: [], failures: [] };
  for (const module of modules) {
    const prefix = `[${module.project.name}] `;
    fail(summary, prefix + path.relative(root, module.moduleId), module.errors());
    for (const suite of module.children.allSuites()) fail(summary, prefix + titles(suite).join(' > '), suite.errors());
    for (const test of module.children.allTests()) count(summary, test, prefix, pattern);
  }
  return summary;
}

/** How much of a failure is repeated at the end: the whole of it, with its evidence, is printed where it happened. */
const LINES = 12;
const COLUMNS = 600;

/** Each error is a failure of its own. */
function fail(summary, name, errors) {
  summary.failed += errors.length;
  for (const { message } of errors) {
    const lines = String(message).split('\n', LINES);
    summary.failures.push(`${name}: ${lines.map((line) => line.slice(0, COLUMNS)).join('\n  ')}`);
  }
}

function count(summary, test, prefix, pattern) {
  const result = test.result();
  const name = prefix + titles(test).join(' > ');
  if (result.state === 'passed') summary.passed += 1;
  else if (result.state === 'failed') fail(summary, name, [result.errors?.[0] ?? { message: 'no error was given' }]);
  // Tests that `-t` did not choose are reported as skipped too; nobody asked for them.
  else if (pattern === undefined || pattern.test(titles(test).join(' '))) {
    const explained =
      titles(test)
        .join(' ')
        .match(/\[([^\]]+)\][^[]*$/)?.[1] ?? result.note;
    if (explained) summary.skipped.push({ name, reason: explained });
    else fail(summary, name, [{ message: 'skipped without a reason; put one in square brackets into its title' }]);
  }
}

/** The names of the suites around a test, outermost first, and its own. */
function titles(test) {
  const names = [test.name];
  for (let parent = test.parent; parent.type === 'suite'; parent = parent.parent) names.unshift(parent.name);
  return names;
}
