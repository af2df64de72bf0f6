// The packaged suite, run as users run it: installed from tarballs, by four runners, from one test file.
import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { collect } from '../pnpm.mjs';
import { installPackages, installRunners, suiteFolder } from './installation.mjs';
import { allInstalled, obstacleOf, runners, runSuite, testFile } from './programs.mjs';

const [modules, installed] = await Promise.all([installRunners(allInstalled), installPackages()]);
const folders = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder() {
  const folder = suiteFolder(installed, testFile);
  folders.push(folder);
  return folder;
}

/** What the suite counts by itself, without a runner. */
async function countedAlone() {
  const { ok, output } = await collect(process.execPath, ['report.mjs'], { cwd: newFolder() });
  if (!ok) throw new Error(output);
  return JSON.parse(output.trim().split('\n').at(-1));
}

const expected = await countedAlone();

it('the packed suite passes without a runner, and leaves scenarios out', () => {
  expect(expected).toMatchObject({ failed: 0 });
  expect(expected.passed).toBeGreaterThan(150);
  expect(expected.skipped).toBeGreaterThan(20);
});

for (const name of Object.keys(runners)) {
  const obstacle = await obstacleOf(name, modules);
  if (obstacle !== undefined) {
    it.skip(`${name} runs the packed suite [${obstacle}]`, () => {});
    continue;
  }
  describe(`${name}, with the packed suite`, () => {
    it('counts what the suite counts by itself, and none failed', async () => {
      const { ok, output, counts } = await runSuite(name, modules, newFolder());
      expect(counts, output).toEqual(expected);
      expect(ok).toBe(true);
    });

    it('fails for a broken broker, and says which rule', async () => {
      const run = await runSuite(name, modules, newFolder(), { BROKEN_AS: 'no-fence-on-complete' });
      expect(run.counts, run.output).toEqual({ passed: 1, failed: 1, skipped: 0 });
      expect(run.output).toContain('R-LSE-4: ');
      expect(run.ok).toBe(false);
    });

    it('shows a failure that is waived as skipped with its reason, not as passed', async () => {
      const environment = { BROKEN_AS: 'no-fence-on-complete', WAIVED_BECAUSE: 'fences are for later' };
      const run = await runSuite(name, modules, newFolder(), environment);
      expect(run.counts, run.output).toEqual({ passed: 1, failed: 0, skipped: 1 });
      expect(run.ok).toBe(true);
    });
  });
}
