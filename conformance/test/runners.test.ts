import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

function runNodeTest(name: string): Promise<{ readonly code: number; readonly output: string }> {
  const file = fileURLToPath(new URL(`runners/${name}`, import.meta.url));
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [`--import=${tsx}`, '--test', '--test-reporter=tap', file],
      { env, maxBuffer: 16_777_216 },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    );
  });
}

// vitest runs the same call in the tests of every adapter.
it('node:test runs the suite: passes, skips with their reasons', { timeout: 60_000 }, async () => {
  const { code, output } = await runNodeTest('memory.ts');
  expect(output).toMatch(/ok \d+ - LSE-01 /);
  expect(output).toMatch(/MOD-22 .*no hook savepoint.* # SKIP/);
  expect(output).toMatch(/# fail 0/);
  expect(code).toBe(0);
});

it('node:test fails when a scenario fails, with the rule in the message', { timeout: 60_000 }, async () => {
  const { code, output } = await runNodeTest('broken.ts');
  expect(output).toMatch(/not ok \d+ - LSE-04 /);
  expect(output).toContain('R-LSE-4: ');
  expect(code).not.toBe(0);
});
