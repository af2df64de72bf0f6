// Servers of a test run are thrown away after it: what they write need not reach a disk, where there is memory enough.
import { chmodSync, statfsSync } from 'node:fs';

const SHARED_MEMORY = '/dev/shm';
/** A run takes less than one of these. */
const PLENTY_BYTES = 4 * 2 ** 30;

/** Puts all temporary files of this run into memory if there is plenty. A `TMPDIR` of the caller's own is kept. */
export function keepTemporaryFilesInMemory(keeper) {
  if (process.env.TMPDIR || freeBytes(SHARED_MEMORY) < PLENTY_BYTES) return;
  const folder = keeper.temporaryFolder('run', undefined, SHARED_MEMORY);
  // Servers run as another account than root.
  chmodSync(folder, 0o1777);
  process.env.TMPDIR = folder;
}

function freeBytes(folder) {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return 0;
  }
}
