import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { runDigest } from './digest-process.ts';
import { embeddedDatabase, newEmbeddedDatabase } from './embedded-database.ts';
import { expectSums, hasSha256sum } from './sums-checks.ts';
import { manyFiles, temporaryFolder, writeFiles } from './temporary-folder.ts';

const strangeNames: readonly (string | Buffer)[] = [
  ' leading space',
  '-',
  '--help',
  '#comment',
  '*star',
  'back\\slash',
  'carriage\rreturn',
  'new\nline',
  'quote\'s and "quotes"',
  'é 🦦',
  'sub/-',
  'tab\tand \u001B[31mescape',
  ...(process.platform === 'linux' ? [Buffer.from([0x73, 0x2f, 0xff, 0xfe]), Buffer.from([0xed, 0xa0, 0x80])] : []),
];

test.skipIf(!hasSha256sum)(
  'makes the very bytes sha256sum makes, for the strangest names [needs GNU sha256sum]',
  async () => {
    const folder = temporaryFolder();
    writeFiles(folder, [...strangeNames.map((name) => [name, `content of ${name}`] as const), ['empty', '']]);
    const options = { url: newEmbeddedDatabase(), args: [folder], program: 'sources' } as const;
    const { code, stdout, stderr } = await runDigest(options);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expectSums(folder, strangeNames.length + 1);
    const reference = execFileSync(
      'bash',
      [
        '-c',
        "LC_ALL=C find . -type f ! -path ./SHA256SUMS -printf '%P\\0' | sort -z | sed -z 's,^-$,./-,' | xargs -0 sha256sum --",
      ],
      { cwd: folder, env: { ...process.env, LC_ALL: 'C' } },
    );
    expect(readFileSync(path.join(folder, 'SHA256SUMS')).equals(reference)).toBe(true);
    expect(stdout).toContain(`Wrote ${folder}/SHA256SUMS`);
  },
);

test('what is piped holds no control characters, and few lines', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, manyFiles(500));
  const { code, stdout } = await runDigest({ url: await embeddedDatabase(), args: [folder] });
  expect(code).toBe(0);
  expect(stdout.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  expect(stdout.split('\n').length).toBeLessThan(40);
  expect(stdout).toContain('500 of 500 files, 100 %');
});

test('leaves out the broker’s own files, .git, node_modules and links', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, [
    ['kept', 'kept'],
    ['.git/HEAD', 'left out'],
    ['node_modules/package/index.js', 'left out'],
  ]);
  symlinkSync('kept', path.join(folder, 'link'));
  symlinkSync('nowhere', path.join(folder, 'dangling'));
  const { code } = await runDigest({ url: `pglite:${folder}/data`, args: [folder] });
  expect(code).toBe(0);
  expectSums(folder, 1);
});

test('started again, it digests anew what has changed, and keeps a foreign SHA256SUMS', async () => {
  const folder = temporaryFolder();
  const options = { url: await embeddedDatabase(), args: [folder] };
  writeFiles(folder, manyFiles(20));
  writeFileSync(path.join(folder, 'SHA256SUMS'), 'of the publisher');
  const first = await runDigest(options);
  expect(first.stdout).toContain(`is now ${folder}/SHA256SUMS~`);
  expect(readFileSync(path.join(folder, 'SHA256SUMS~'), 'utf8')).toBe('of the publisher');
  expectSums(folder, 20);

  writeFiles(folder, [
    ['folder-0/file-7', 'changed'],
    ['another', 'new'],
  ]);
  const second = await runDigest(options);
  expect(second).toMatchObject({ code: 0, stderr: '' });
  expect(second.stdout).toMatch(/^Digesting /);
  expectSums(folder, 21);
  expect(readFileSync(path.join(folder, 'SHA256SUMS~'), 'utf8')).toBe('of the publisher');
});

test('an empty folder is digested too', async () => {
  const folder = temporaryFolder();
  mkdirSync(path.join(folder, 'empty'));
  const { code, stdout } = await runDigest({ url: await embeddedDatabase(), args: [folder] });
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('Digested 0 files') as string });
  expectSums(folder, 0);
});

test.skipIf(process.platform !== 'linux')(
  'writes where the user stands when the folder takes nothing [Linux]',
  async () => {
    const here = temporaryFolder();
    const options = { url: await embeddedDatabase(), args: ['/proc/sys/kernel/random'], cwd: here };
    const { stdout } = await runDigest(options);
    expect(stdout).toContain(`Wrote ${here}/SHA256SUMS, since /proc/sys/kernel/random cannot be written to`);
    expect(readFileSync(path.join(here, 'SHA256SUMS'), 'utf8')).toContain('  boot_id\n');
  },
);
