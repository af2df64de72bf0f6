import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { NonRetryable } from '@millrace/core';
import { expect, test } from 'vitest';
import { type FileDigest, hashFile } from '../src/hash-file.ts';
import { temporaryFolder } from './temporary-folder.ts';

const onLinux = process.platform === 'linux';

function hash(file: string, onBytes: (count: number) => void = () => {}): Promise<FileDigest> {
  return hashFile(Buffer.from(file), { signal: new AbortController().signal, onBytes });
}

function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

test.each([0, 1, 262_143, 262_144, 262_145, 3_000_000])('digests a file of %i bytes', async (size) => {
  const file = path.join(temporaryFolder(), 'file');
  const content = Buffer.alloc(size, 'millrace');
  writeFileSync(file, content);
  let read = 0;
  const digest = await hash(file, (count) => {
    read += count;
  });
  expect(digest).toEqual({ sha256: sha256(content), bytes: size });
  expect(read).toBe(size);
});

test('a file that changes while it is read is tried again later', async () => {
  const file = path.join(temporaryFolder(), 'file');
  writeFileSync(file, 'one');
  const failure: unknown = await hash(file, () => appendFileSync(file, 'more')).catch((error: unknown) => error);
  expect(failure).toEqual(new Error('it changed while it was read'));
  expect(failure).not.toBeInstanceOf(NonRetryable);
});

test.skipIf(!existsSync('/proc/version'))(
  'a file that says it is empty and is not is read whole [needs /proc]',
  async () => {
    const content = readFileSync('/proc/version');
    expect(await hash('/proc/version')).toEqual({ sha256: sha256(content), bytes: content.length });
  },
);

test('an empty file that is written to while it is read is tried again later', async () => {
  const file = path.join(temporaryFolder(), 'file');
  writeFileSync(file, '');
  const hashing = hash(file, () => appendFileSync(file, 'more'));
  // Whether it was opened before or after the first byte: never a digest of something in between.
  appendFileSync(file, 'one');
  await expect(hashing).rejects.toThrow('it changed while it was read');
});

test('what is not there, a folder, a link and a path through a file are final', async () => {
  const folder = temporaryFolder();
  mkdirSync(path.join(folder, 'folder'));
  writeFileSync(path.join(folder, 'file'), '');
  symlinkSync('file', path.join(folder, 'link'));
  const reasons = Object.fromEntries(
    await Promise.all(
      ['gone', 'folder', 'link', 'file/below'].map(async (name) => {
        const failure: unknown = await hash(path.join(folder, name)).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(NonRetryable);
        return [name, (failure as Error).message] as const;
      }),
    ),
  );
  expect(reasons).toEqual({
    gone: 'it vanished before it was read',
    folder: 'it is a folder',
    link: 'it became a symbolic link',
    'file/below': 'it vanished before it was read',
  });
});

test.skipIf(!onLinux)('a named pipe in place of the file does not hang the worker [Linux]', async () => {
  const pipe = path.join(temporaryFolder(), 'pipe');
  execFileSync('sh', ['-c', 'mkfifo "$0"', pipe]);
  await expect(hash(pipe)).rejects.toThrow('it is not a regular file');
});

test.skipIf(!existsSync('/proc/self/mem'))('an I/O error is tried again later [needs /proc]', async () => {
  const failure: unknown = await hash('/proc/self/mem').catch((error: unknown) => error);
  expect((failure as NodeJS.ErrnoException).code).toBe('EIO');
  expect(failure).not.toBeInstanceOf(NonRetryable);
});

test('stops in the middle when told to', async () => {
  const file = path.join(temporaryFolder(), 'file');
  writeFileSync(file, Buffer.alloc(5_000_000));
  const controller = new AbortController();
  const reason = new Error('stop');
  const hashing = hashFile(Buffer.from(file), { signal: controller.signal, onBytes: () => controller.abort(reason) });
  await expect(hashing).rejects.toBe(reason);
});
