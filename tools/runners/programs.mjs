// How each runner is started in a folder with the suite, and where it says what it counted.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { collect } from '../pnpm.mjs';

/** The test file, under a name that every runner takes for one. */
export const testFile = 'conformance.test.mjs';
const resultFile = 'result.json';
const startLimitMs = 20_000;
const runLimitMs = 50_000;

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * By name: its program below the folder it is installed in (none: it is Node itself), Node's own flags if Node runs it,
 * and the arguments of a run.
 *
 * @type {Record<string, { program?: string, node?: string[], args: string[], read: (output: string, folder: string) => Counts }>}
 */
export const runners = {
  'node:test': {
    node: [],
    args: ['--test', '--test-reporter=tap', testFile],
    read: (output) =>
      countLines(output, { passed: /^# pass (\d+)$/m, failed: /^# fail (\d+)$/m, skipped: /^# skipped (\d+)$/m }),
  },
  vitest: {
    node: [],
    program: 'vitest/vitest.mjs',
    args: ['run', '--globals', '--reporter=json', '--reporter=default', `--outputFile.json=${resultFile}`],
    read: (_output, folder) => countJson(folder),
  },
  jest: {
    // It loads ECMAScript modules with what Node keeps behind this flag.
    node: ['--experimental-vm-modules'],
    program: 'jest/bin/jest.js',
    args: ['--watchman=false', '--json', `--outputFile=${resultFile}`],
    read: (_output, folder) => countJson(folder),
  },
  bun: {
    program: '.bin/bun',
    args: ['test'],
    read: (output) =>
      countLines(output, { passed: /^ *(\d+) pass$/m, failed: /^ *(\d+) fail$/m, skipped: /^ *(\d+) skip$/m }),
  },
};

/** Whether every runner is in a folder. */
export function allInstalled(modules) {
  return Object.values(runners).every(
    ({ program }) => program === undefined || existsSync(path.join(modules, program)),
  );
}

/** Why a runner cannot be used here; `undefined` when it can. */
export async function obstacleOf(name, modules) {
  const { program } = runners[name];
  if (program === undefined) return undefined;
  if (!existsSync(path.join(modules, program))) {
    return `not run: npm could not install ${name}: no network, or none for ${process.platform} ${process.arch}`;
  }
  const { ok, output } = await start(name, modules, ['--version'], { timeout: startLimitMs });
  return ok ? undefined : `not run: ${name} does not start here: ${output.trim().split('\n')[0]}`;
}

/** Runs the test file of a folder. @returns {Promise<{ ok: boolean, output: string, counts: Counts }>} */
export async function runSuite(name, modules, folder, environment = {}) {
  const { args, read } = runners[name];
  const { ok, output } = await start(name, modules, args, {
    cwd: folder,
    timeout: runLimitMs,
    env: clean(environment),
  });
  try {
    return { ok, output, counts: read(output, folder) };
  } catch (error) {
    throw new Error(`${name} did not say what it counted (${error.message}):\n${output}`);
  }
}

function start(name, modules, args, options) {
  const { program, node } = runners[name];
  const file = program === undefined ? [] : [path.join(modules, program)];
  return node === undefined
    ? collect(file[0], args, options)
    : collect(process.execPath, [...node, ...file, ...args], options);
}

/** Without what the runner around this one has set for its own. */
function clean(environment) {
  const own = /^(VITEST|NODE_TEST_CONTEXT|NODE_OPTIONS|NODE_ENV|TEST|DEV|PROD|MODE|SSR|BASE_URL|FORCE_COLOR)/;
  const kept = Object.entries(process.env).filter(([name]) => !own.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: '1', ...environment };
}

function countLines(output, patterns) {
  return Object.fromEntries(
    Object.entries(patterns).map(([what, pattern]) => {
      const [, count] = pattern.exec(output) ?? [];
      // bun leaves out what there is none of, but never how many passed and failed.
      if (count === undefined && what !== 'skipped') throw new Error(`no line of ${what} tests`);
      return [what, Number(count ?? 0)];
    }),
  );
}

function countJson(folder) {
  const result = JSON.parse(readFileSync(path.join(folder, resultFile), 'utf8'));
  return { passed: result.numPassedTests, failed: result.numFailedTests, skipped: result.numPendingTests };
}
