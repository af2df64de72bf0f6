import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { NonRetryable } from '@millrace/core';
import { describeReadFailure, finalReadFailure } from './read-failure.ts';

/** The digest of a file, and how many bytes it is of. */
export interface FileDigest {
  readonly sha256: string;
  readonly bytes: number;
}

export interface HashOptions {
  readonly signal: AbortSignal;
  /** Called for every piece that was read. */
  readonly onBytes: (count: number) => void;
}

// Large enough that system calls do not count, small enough that hashing one piece does not delay heartbeats.
const pieceBytes = 262_144;

// Windows has neither. Without O_NONBLOCK, opening a named pipe that took the file's place would wait for ever.
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants as Partial<typeof constants>;

/**
 * Computes SHA-256 piece by piece, so that a file of any size takes the memory of one piece.
 * @throws NonRetryable when reading again would not help; any other error when it may.
 */
export async function hashFile(file: Buffer, options: HashOptions): Promise<FileDigest> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, (O_RDONLY ?? 0) | O_NOFOLLOW | O_NONBLOCK);
    return await hashOpenFile(handle, options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (finalReadFailure(error) === undefined) throw error;
    throw new NonRetryable(describeReadFailure(error), { cause: error });
  } finally {
    await handle?.close();
  }
}

async function hashOpenFile(handle: FileHandle, { signal, onBytes }: HashOptions): Promise<FileDigest> {
  const before = await handle.stat({ bigint: true });
  if (before.isDirectory()) throw new NonRetryable('it is a folder');
  if (!before.isFile()) throw new NonRetryable('it is not a regular file');
  // Files of /proc have more in them than their size of 0 says; such a one is read until it ends.
  const size = before.size === 0n ? Number.POSITIVE_INFINITY : Number(before.size);
  const buffer = Buffer.allocUnsafe(Math.min(size, pieceBytes));
  const hash = createHash('sha256');
  let bytes = 0;
  while (bytes < size) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - bytes), bytes);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    bytes += bytesRead;
    onBytes(bytesRead);
    // A file that was empty may be a log that grows as fast as it is read.
    if (bytes > before.size) await refuseChanged(handle, before);
  }
  await refuseChanged(handle, before);
  return { sha256: hash.digest('hex'), bytes };
}

/** A digest of half the old and half the new content would be one of no file that ever was. */
async function refuseChanged(handle: FileHandle, before: BigIntStats): Promise<void> {
  const now = await handle.stat({ bigint: true });
  if (now.size !== before.size || now.mtimeNs !== before.mtimeNs) throw new Error('it changed while it was read');
}
