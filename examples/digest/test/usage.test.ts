import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { DigestProcess, runDigest } from './digest-process.ts';
import { embeddedDatabase } from './embedded-database.ts';
import { manyFiles, temporaryFolder, writeFiles } from './temporary-folder.ts';

test.each([
  ['an empty address', '', /^MILLRACE_URL is empty/],
  ['no address at all', 'nonsense', /^MILLRACE_URL: .*scheme/],
  ['an unknown scheme', 'gopher://localhost', /^MILLRACE_URL: .*no adapter for 'gopher:'/],
  ['a server that is not there', 'postgres://me:secret@127.0.0.1:1/database', /^MILLRACE_URL: /],
])('%s is answered by one line and exit code 2', async (_title, url, message) => {
  const { code, stdout, stderr } = await runDigest({ url, args: [temporaryFolder()] });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(message);
  expect(stderr).not.toContain('secret');
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});

test('a folder that is not there, a file, and too many arguments are answered by one line and exit code 2', async () => {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, 'file'), '');
  const url = `pglite:${folder}/data`;
  const run = async (...args: string[]): Promise<unknown> => {
    const { code, stderr } = await runDigest({ url, args });
    return { code, stderr };
  };
  expect(await run('/nowhere/at/all')).toEqual({ code: 2, stderr: '/nowhere/at/all: there is no such folder\n' });
  expect(await run(path.join(folder, 'file'))).toEqual({ code: 2, stderr: `${folder}/file: not a folder\n` });
  expect(await run('a', 'b')).toEqual({ code: 2, stderr: 'usage: npm start [-- <folder>]\n' });
  expect(await run(path.join(folder, 'file'), '--x')).toMatchObject({ code: 2 });
});

test('a second process on the same embedded database is told what to do', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, manyFiles(100));
  const options = { url: await embeddedDatabase(), args: [folder] };
  const first = new DigestProcess({ ...options, pauseMs: 600_000 });
  await first.until(/^Digesting/);
  const { code, stderr } = await runDigest(options);
  expect(code).toBe(2);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toContain(`in use by process ${first.child.pid}`);
  expect(stderr).toContain('MILLRACE_URL=postgres://');
});
