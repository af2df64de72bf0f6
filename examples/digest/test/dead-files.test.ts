import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { beginDigest, runDigest } from './digest-process.ts';
import { embeddedDatabase } from './embedded-database.ts';
import { expectSums } from './sums-checks.ts';
import { manyFiles, temporaryFolder, writeFiles } from './temporary-folder.ts';

test('files that vanish or become something else are listed with the reason; the rest is digested', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, [
    ...Array.from({ length: 64 }, (_, index) => [`first-${index}`, `${index}`] as const),
    ['z/gone', ''],
    ['z/linked', ''],
    ['z/new\nline', ''],
    ['z/swapped/inside', ''],
  ]);
  const options = { url: await embeddedDatabase(), args: [folder] };
  await beginDigest(options, 68);
  const inFolder = (name: string): string => path.join(folder, 'z', name);
  rmSync(inFolder('gone'));
  rmSync(inFolder('new\nline'));
  rmSync(inFolder('linked'));
  symlinkSync('/etc/hostname', inFolder('linked'));
  renameSync(inFolder('swapped'), inFolder('elsewhere'));
  writeFileSync(inFolder('swapped'), 'a file where a folder was');

  const { code, stdout } = await runDigest(options);
  expect(code).toBe(1);
  expect(stdout.slice(stdout.indexOf('4 files could not'))).toMatch(
    new RegExp(
      [
        '4 files could not be digested:',
        '  z/gone: it vanished before it was read',
        '  z/linked: it became a symbolic link',
        '  z/new\\\\x0aline: it vanished before it was read',
        '  z/swapped/inside: it vanished before it was read',
      ].join('\n'),
    ),
  );
  expectSums(folder, 64);
});

test('hundreds of dead files do not flood the terminal', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, [...Array.from({ length: 48 }, (_, index) => [`a-${index}`, ''] as const), ...manyFiles(1_000)]);
  const options = { url: await embeddedDatabase(), args: [folder] };
  await beginDigest(options, 1_048);
  for (let index = 4; index < 10; index++) rmSync(path.join(folder, `folder-${index}`), { recursive: true });
  const { code, stdout } = await runDigest(options);
  expect(code).toBe(1);
  expect(stdout).toContain('600 files could not be digested:');
  expect(stdout).toContain('… and 580 more\n');
  expect(stdout.split('\n').length).toBeLessThan(80);
});
