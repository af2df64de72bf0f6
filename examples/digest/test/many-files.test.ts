import { expect, test } from 'vitest';
import { runDigest } from './digest-process.ts';
import { newEmbeddedDatabase } from './embedded-database.ts';
import { expectSums } from './sums-checks.ts';
import { manyFiles, temporaryFolder, writeFiles } from './temporary-folder.ts';

/** `npm test -- --all` takes them all. */
const files = process.env.MILLRACE_TEST_ALL === undefined ? 5_000 : 20_000;

// Measured for 20,000: 20 s beside other work, 90 s on a machine with five times as much to do as it has cores.
const timeout = 300_000;

test(`${files} files are digested on the embedded database`, { timeout }, async () => {
  const folder = temporaryFolder();
  writeFiles(folder, manyFiles(files));
  const { code, stdout, stderr } = await runDigest({ url: newEmbeddedDatabase(), args: [folder] });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.split('\n').length).toBeLessThan(60);
  expectSums(folder, files);
});
