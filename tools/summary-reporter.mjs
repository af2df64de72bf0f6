// A vitest reporter that writes what `npm test` ends with: counts, and each skipped test with its reason.
import { writeFileSync } from 'node:fs';

/** Where to write, set by tools/test.mjs. */
export const SUMMARY_FILE = 'MILLRACE_TEST_SUMMARY_FILE';

export default class SummaryReporter {
  onInit(vitest) {
    this.pattern = vitest.config.testNamePattern;
  }

  onTestRunEnd(modules, unhandledErrors, reason) {
    const summary = { ...summarize(modules, this.pattern), interrupted: reason === 'interrupted' };
    summary.failed += unhandledErrors.length;
    writeFileSync(process.env[SUMMARY_FILE], JSON.stringify(summary));
  }
}

/**
 * A file that does not load and a hook of a suite that throws count as one failure each: their tests never ran.
 *
 * @returns {{ passed: number, failed: number, skipped: { name: string, reason: string }[], unexplained: string[] }}
 */
export function summarize(modules, pattern) {
  const summary = { passed: 0, failed: 0, skipped: [], unexplained: [] };
  for (const module of modules) {
    summary.failed += module.errors().length;
    for (const suite of module.children.allSuites()) summary.failed += suite.errors().length;
    for (const test of module.children.allTests()) count(summary, test, `[${module.project.name}] `, pattern);
  }
  summary.failed += summary.unexplained.length;
  return summary;
}

function count(summary, test, prefix, pattern) {
  const result = test.result();
  if (result.state === 'passed') summary.passed += 1;
  else if (result.state === 'failed') summary.failed += 1;
  // Tests that `-t` did not choose are reported as skipped too; nobody asked for them.
  else if (pattern === undefined || pattern.test(titles(test).join(' '))) {
    const name = prefix + titles(test).join(' > ');
    const explained =
      titles(test)
        .join(' ')
        .match(/\[([^\]]+)\][^[]*$/)?.[1] ?? result.note;
    if (explained) summary.skipped.push({ name, reason: explained });
    else summary.unexplained.push(name);
  }
}

/** The names of the suites around a test, outermost first, and its own. */
function titles(test) {
  const names = [test.name];
  for (let parent = test.parent; parent.type === 'suite'; parent = parent.parent) names.unshift(parent.name);
  return names;
}
