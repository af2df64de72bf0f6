import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { type Found, walkFolder } from '../src/walk-folder.ts';
import { temporaryFolder, writeFiles } from './temporary-folder.ts';

async function walked(folder: string, skip = (_path: Buffer): boolean => false): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path: found } of walkFolder(Buffer.from(folder), { skip })) paths.push(found.toString('latin1'));
  return paths.sort();
}

test('finds regular files at every depth, whatever their names', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, [
    ['top', ''],
    ['deep/er/still', ''],
    ['new\nline', ''],
    [Buffer.from([0x64, 0x2f, 0xff]), ''],
  ]);
  expect(await walked(folder)).toEqual(['d/\xff', 'deep/er/still', 'new\nline', 'top']);
});

test('leaves out symbolic links, .git, node_modules and what it is told to skip', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, [
    ['kept', ''],
    ['.git/config', ''],
    ['sub/node_modules/package/index.js', ''],
    ['sub/data/file', ''],
  ]);
  symlinkSync('kept', path.join(folder, 'link'));
  symlinkSync('.', path.join(folder, 'loop'));
  symlinkSync('nowhere', path.join(folder, 'dangling'));
  expect(await walked(folder, (found) => found.toString() === 'sub/data')).toEqual(['kept']);
});

test('reports a folder that vanishes while it is walked', async () => {
  const folder = temporaryFolder();
  writeFiles(folder, [['file', '']]);
  mkdirSync(path.join(folder, 'vanishing'));
  const found: Found[] = [];
  for await (const each of walkFolder(Buffer.from(folder), { skip: () => false })) {
    found.push(each);
    rmSync(path.join(folder, 'vanishing'), { recursive: true, force: true });
  }
  expect(found).toEqual([
    { path: Buffer.from('file') },
    { path: Buffer.from('vanishing'), unreadable: 'it vanished before it was read' },
  ]);
});

test('a folder that is not there is an error', async () => {
  await expect(walked('/nowhere/at/all')).rejects.toThrow('ENOENT');
});
