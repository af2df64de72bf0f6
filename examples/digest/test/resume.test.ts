import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DigestProcess, runDigest } from './digest-process.ts';
import { embeddedDatabase } from './embedded-database.ts';
import { storedFiles } from './stored-files.ts';
import { expectSums } from './sums-checks.ts';
import { manyFiles, temporaryFolder, writeFiles } from './temporary-folder.ts';

/** So that a busy machine, too, has many files left when a test reacts to the first ones. */
const slowly = 3_000;

test('killed half-way and started again it goes on, and the result is that of one undisturbed run', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, manyFiles(400));
  const options = { url: await embeddedDatabase(), args: [folder] };
  const killed = new DigestProcess({ ...options, pauseMs: slowly });
  await killed.until(/^[1-9]\d* of 400 files/m);
  killed.child.kill('SIGKILL');
  expect(await killed.ended).toMatchObject({ signal: 'SIGKILL' });
  expect(readdirSync(folder)).not.toContain('SHA256SUMS');
  const killedAt = Date.now();

  const { code, stdout } = await runDigest(options);
  expect(stdout).toMatch(/^Going on with the digest/);
  expect(stdout).toContain('Digested 400 files');
  expect(code).toBe(0);
  expectSums(folder, 400);

  const files = await storedFiles(options.url, folder);
  expect(files).toHaveLength(400);
  expect(new Set(files.map(({ group }) => group)).size).toBe(1);
  // What was done before stayed done; of the rest, nothing ran again but what was in hand at the kill.
  expect(files.filter(({ finishedAt = 0 }) => finishedAt < killedAt).length).toBeGreaterThan(0);
  expect(files.filter(({ attempt }) => attempt > 1).length).toBeLessThan(100);
});

test('killed again and again it still comes to its end', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, manyFiles(300));
  const options = { url: await embeddedDatabase(), args: [folder] };
  for (const progress of [/ files found|^Digesting/m, /^Going on/m, /^[1-9]\d* of 300 files/m]) {
    const killed = new DigestProcess({ ...options, pauseMs: slowly });
    await killed.until(progress);
    killed.child.kill('SIGKILL');
    await killed.ended;
  }
  const { code, stdout } = await runDigest(options);
  expect(stdout).toContain('Digested 300 files');
  expect(code).toBe(0);
  expectSums(folder, 300);
});

test('Ctrl-C stops at once, says how to go on, and ends with 130', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, manyFiles(200));
  const options = { url: await embeddedDatabase(), args: [folder] };
  const interrupted = new DigestProcess({ ...options, pauseMs: slowly });
  await interrupted.until(/^[1-9]\d* of 200 files/m);
  interrupted.child.kill('SIGINT');
  const { code, stdout, stderr } = await interrupted.ended;
  expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
  expect(stdout).toContain(`To go on: npm start -- ${folder}\n`);

  const resumed = await runDigest(options);
  expect(resumed).toMatchObject({ code: 0, stderr: '' });
  expect(resumed.stdout).toMatch(/^Going on with the digest/);
  expectSums(folder, 200);
});
