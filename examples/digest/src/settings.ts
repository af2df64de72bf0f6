import { createHash } from 'node:crypto';
import { realpath, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the user asked for, complete and checked. */
export interface Settings {
  /** Real path of the folder to digest. */
  readonly folder: string;
  /** Address of the broker. */
  readonly url: string;
  /** Where the embedded database keeps its files; `undefined` with a server. */
  readonly dataFolder: string | undefined;
  /** Where the user stands: the result goes here when the folder cannot be written to. */
  readonly userFolder: string;
  /** The tasks' queue: one for each folder of each machine, since only there the files can be read. */
  readonly queue: string;
  /** Slows every file down; for tests, and for trying what `kill -9` does. */
  readonly pauseMs: number;
}

/** The command line or the environment is wrong; the message says what to do. Exit code 2. */
export class UsageError extends Error {}

const repository = fileURLToPath(new URL('../../..', import.meta.url));

/** Reads the arguments after the program's name, and the environment. @throws UsageError */
export async function readSettings(
  args: readonly string[],
  environment: Readonly<NodeJS.ProcessEnv>,
): Promise<Settings> {
  // npm runs scripts in the repository and keeps the user's own directory in INIT_CWD.
  const userFolder = environment.INIT_CWD ?? process.cwd();
  const folder = await folderOf(args);
  const url = environment.MILLRACE_URL ?? `pglite:${path.join(repository, '.millrace')}`;
  if (url === '') throw new UsageError('MILLRACE_URL is empty; unset it for the embedded database, or name a server');
  const dataFolder = embeddedFolder(url);
  if (dataFolder !== undefined && `${folder}/`.startsWith(`${dataFolder}/`)) {
    throw new UsageError(`${folder} is where the embedded database keeps its files; digest another folder`);
  }
  return { folder, url, dataFolder, userFolder, queue: queueOf(folder), pauseMs: pauseOf(environment) };
}

async function folderOf(args: readonly string[]): Promise<string> {
  const [given = repository, ...rest] = args;
  if (rest.length > 0 || given.startsWith('-')) throw new UsageError('usage: npm start [-- <folder>]');
  let folder: string;
  try {
    folder = await realpath(given);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such folder' : String(error);
    throw new UsageError(`${given}: ${why}`);
  }
  if (!(await stat(folder)).isDirectory()) throw new UsageError(`${given}: not a folder`);
  return folder;
}

/** The folder in a `pglite:` address, so that the walk can leave it out. */
function embeddedFolder(url: string): string | undefined {
  const folder = /^pglite:(?:\/\/)?([^?#]+)/i.exec(url)?.[1];
  return folder === undefined ? undefined : path.resolve(folder);
}

function queueOf(folder: string): string {
  const identity = createHash('sha256').update(`${hostname()}\0${folder}`).digest('hex');
  return `digest-${identity.slice(0, 16)}`;
}

function pauseOf(environment: Readonly<NodeJS.ProcessEnv>): number {
  const pauseMs = Number(environment.DIGEST_PAUSE_MS ?? 0);
  if (Number.isFinite(pauseMs) && pauseMs >= 0) return pauseMs;
  throw new UsageError('DIGEST_PAUSE_MS must be a number of milliseconds');
}
