import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { joinPath } from './file-path.ts';
import { describeReadFailure } from './read-failure.ts';

/** A regular file, or a folder that could not be read; `path` is relative to the folder that is walked. */
export interface Found {
  readonly path: Buffer;
  readonly unreadable?: string;
}

export interface WalkOptions {
  /** Whether to leave out what has this path, relative to the folder that is walked. */
  readonly skip: (path: Buffer) => boolean;
}

const skippedNames: ReadonlySet<string> = new Set(['.git', 'node_modules']);

/**
 * Finds the regular files of a folder, recursively, as it goes: the first ones can be worked on while it looks for
 * more. Names are bytes. Symbolic links, sockets and devices are left out.
 * @throws when the folder itself cannot be read.
 */
export async function* walkFolder(folder: Buffer, options: WalkOptions): AsyncGenerator<Found> {
  const ahead: Buffer[] = [Buffer.alloc(0)];
  for (let current = ahead.pop(); current !== undefined; current = ahead.pop()) {
    let entries: Dirent<Buffer>[];
    try {
      entries = await readdir(joinPath(folder, current), { encoding: 'buffer', withFileTypes: true });
    } catch (error) {
      if (current.length === 0) throw error;
      // The files in it will be missing from the result, which must not pass in silence.
      yield { path: current, unreadable: describeReadFailure(error) };
      continue;
    }
    for (const entry of entries) {
      const path = joinPath(current, entry.name);
      if (skippedNames.has(entry.name.toString()) || options.skip(path)) continue;
      if (entry.isDirectory()) ahead.push(path);
      else if (entry.isFile()) yield { path };
    }
  }
}
