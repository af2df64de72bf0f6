import { expect, test } from 'vitest';
import { DigestProcess, runDigest } from './digest-process.ts';
import { storedFiles } from './stored-files.ts';
import { expectSums } from './sums-checks.ts';
import { manyFiles, temporaryFolder, writeFiles } from './temporary-folder.ts';

const url = process.env.MILLRACE_TEST_POSTGRES_URL;
const title = (text: string): string => (url === undefined ? `${text} [MILLRACE_TEST_POSTGRES_URL is not set]` : text);

test.skipIf(url === undefined)(title('two processes on one server share a run and agree on its result'), async () => {
  const folder = temporaryFolder();
  writeFiles(folder, manyFiles(400));
  // The first one is so slow that the second finds most of the work undone.
  const first = new DigestProcess({ url, args: [folder], pauseMs: 2_000 });
  await first.until(/of 400 files/);
  const second = new DigestProcess({ url, args: [folder] });
  const results = await Promise.all([first.ended, second.ended]);
  for (const { code, stdout, stderr } of results) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('400 of 400 files, 100 %');
    expect(stdout).toContain('Digested 400 files');
  }
  expect(results.map(({ stdout }) => stdout.split(' ', 1)[0])).toEqual(['Digesting', 'Going']);
  const workers = (await storedFiles(String(url), folder)).map(({ worker }) => worker);
  expect(workers).toHaveLength(400);
  expect(new Set(workers).size).toBe(2);
  expectSums(folder, 400);
});

test.skipIf(url === undefined)(title('when the one that began is killed the other finishes'), async () => {
  const folder = temporaryFolder();
  writeFiles(folder, manyFiles(400));
  const first = new DigestProcess({ url, args: [folder], pauseMs: 2_000 });
  await first.until(/of 400 files/);
  const second = new DigestProcess({ url, args: [folder] });
  await second.until(/^Going on/);
  first.child.kill('SIGKILL');
  const { code, stdout } = await second.ended;
  expect(code).toBe(0);
  expect(stdout).toContain('Digested 400 files');
  expectSums(folder, 400);
});

test.skipIf(url === undefined)(title('a folder digested on a server is digested anew the next time'), async () => {
  const folder = temporaryFolder();
  writeFiles(folder, manyFiles(10));
  for (let time = 0; time < 2; time++) {
    const { code, stdout } = await runDigest({ url, args: [folder] });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Digesting/);
    expectSums(folder, 10);
  }
});
