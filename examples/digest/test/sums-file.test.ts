import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { sumsPlace, type WriteSumsOptions, writeSums } from '../src/sums-file.ts';
import { temporaryFolder } from './temporary-folder.ts';

const options: WriteSumsOptions = { fence: 1, signal: new AbortController().signal, isOurs: () => false };

test('replaces a file an earlier run has written', async () => {
  const folder = temporaryFolder();
  const place = await sumsPlace(folder, '/elsewhere');
  const { sha256 } = await writeSums(place, Buffer.from('one'), options);
  expect(sha256).toBe(createHash('sha256').update('one').digest('hex'));
  const again = { ...options, isOurs: (digest: string) => digest === sha256 };
  expect(await writeSums(place, Buffer.from('two'), again)).not.toHaveProperty('kept');
  expect(readFileSync(place.file, 'utf8')).toBe('two');
  expect(readdirSync(folder)).toEqual(['SHA256SUMS']);
});

test('keeps a file of that name that is not ours', async () => {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, 'SHA256SUMS'), 'of the publisher');
  const place = await sumsPlace(folder, '/elsewhere');
  expect(await writeSums(place, Buffer.from('ours'), options)).toMatchObject({ kept: `${place.file}~` });
  expect(readFileSync(`${place.file}~`, 'utf8')).toBe('of the publisher');
  expect(readFileSync(place.file, 'utf8')).toBe('ours');
});

test('removes what a killed process left', async () => {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, '.SHA256SUMS.7.tmp'), 'half');
  await writeSums(await sumsPlace(folder, '/elsewhere'), Buffer.from('whole'), options);
  expect(readdirSync(folder)).toEqual(['SHA256SUMS']);
});

test('a stopped run leaves the file as it was', async () => {
  const folder = temporaryFolder();
  const place = await sumsPlace(folder, '/elsewhere');
  writeFileSync(place.file, 'before');
  const stopped = { ...options, signal: AbortSignal.abort(new Error('stopped')) };
  await expect(writeSums(place, Buffer.from('after'), stopped)).rejects.toThrow('stopped');
  expect(readFileSync(place.file, 'utf8')).toBe('before');
});

test('goes elsewhere when the folder cannot be written to', async () => {
  const elsewhere = temporaryFolder();
  mkdirSync(path.join(elsewhere, 'folder'));
  // Even root cannot write here.
  const place = await sumsPlace('/proc', elsewhere);
  expect(place.file).toBe(process.platform === 'linux' ? path.join(elsewhere, 'SHA256SUMS') : place.file);
});
