import { createHash } from 'node:crypto';
import { copyFile, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

const name = 'SHA256SUMS';
const temporaryName = /^\.SHA256SUMS\.\d+\.tmp$/;

function temporaryFor(fence: number): string {
  return `.${name}.${fence}.tmp`;
}

/** Where the result of a folder goes. */
export interface SumsPlace {
  /** Absolute path of the file. */
  readonly file: string;
  /** A foreign file of that name is kept here. */
  readonly keptFile: string;
}

/** In the folder itself, or, when nothing can be written there, in `otherwise`. */
export async function sumsPlace(folder: string, otherwise: string): Promise<SumsPlace> {
  const file = path.join((await isWritable(folder)) ? folder : otherwise, name);
  return { file, keptFile: `${file}~` };
}

/** Found out by writing: to root, permissions say yes also where the file system says no. */
async function isWritable(folder: string): Promise<boolean> {
  const trial = path.join(folder, temporaryFor(0));
  try {
    await writeFile(trial, '');
    await rm(trial, { force: true });
    return true;
  } catch {
    return false;
  }
}

/** Whether a path is of the result, or of a temporary file a killed process left, and so no part of the folder. */
export function belongsToSums(place: SumsPlace, file: string): boolean {
  if (file === place.file || file === place.keptFile) return true;
  return path.dirname(file) === path.dirname(place.file) && temporaryName.test(path.basename(file));
}

/** What was written. */
export interface WrittenSums {
  readonly sha256: string;
  /** Where the file that was there and is not ours has gone. */
  readonly kept?: string;
}

export interface WriteSumsOptions {
  /** Grows with every run of the task: two processes that both believe it is theirs do not share a temporary file. */
  readonly fence: number;
  readonly signal: AbortSignal;
  /** Digests of files an earlier run has written here; any other is somebody else's, and kept. */
  readonly isOurs: (sha256: string) => boolean;
}

/** Replaces the file in one step: a reader sees the old one or the new one, whole. Safe to repeat. */
export async function writeSums(
  place: SumsPlace,
  content: Buffer,
  { fence, signal, isOurs }: WriteSumsOptions,
): Promise<WrittenSums> {
  const sha256 = sha256Of(content);
  const present = await readIfThere(place.file);
  if (present !== undefined && sha256Of(present) === sha256) return { sha256 };
  const folder = path.dirname(place.file);
  await removeLeftovers(folder);
  const temporary = path.join(folder, temporaryFor(fence));
  const handle = await open(temporary, 'w');
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  const foreign = present !== undefined && !isOurs(sha256Of(present));
  if (foreign) await copyFile(place.file, place.keptFile);
  signal.throwIfAborted();
  await rename(temporary, place.file);
  return foreign ? { sha256, kept: place.keptFile } : { sha256 };
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder);
  await Promise.all(
    names.filter((each) => temporaryName.test(each)).map((each) => rm(path.join(folder, each), { force: true })),
  );
}

function sha256Of(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
