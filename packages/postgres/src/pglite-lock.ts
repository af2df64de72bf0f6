import { randomUUID } from 'node:crypto';
import { linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationError } from '@millrace/core';
import { bootIdentity, isAlive, startOf } from './process-identity.ts';

/** A folder that is ours until `release`, or until this process is gone. */
export interface FolderLock {
  release(): void;
}

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the machine was started: after a restart no owner of before is alive, whoever has its process id. */
  readonly boot: string;
  /** When the process was started: tells it from a later one with the same process id. */
  readonly start: string;
}

const attempts = 5;
const fileName = /^owner-(\d+)\.json$/;

/**
 * Takes a folder for this process alone: PGlite has no protection of its own, and two processes on one data folder
 * destroy it. Each owner writes `owner-<n>.json`, complete from the first moment (a hard link); a dead owner is followed
 * by n + 1, which only one of several can create. What is left by `kill -9` is thereby taken over, never shared.
 * @throws ConfigurationError naming the process that has it
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const self: Owner = { pid: process.pid, host: hostname(), boot: bootIdentity(), start: startOf(process.pid) ?? '' };
  for (let attempt = 1; ; attempt++) {
    const before = listOwners(folder);
    const living = before.find(({ owner }) => mayBeAlive(owner, self));
    if (living !== undefined) throw inUse(folder, living.owner);
    const mine = create(folder, Math.max(0, ...before.map(({ number }) => number)) + 1, self);
    if (mine !== undefined) {
      // Somebody may have looked at another moment and created another file. Both see each other: nobody stays.
      const rival = listOwners(folder).find(({ file, owner }) => file !== mine && mayBeAlive(owner, self));
      if (rival === undefined) {
        for (const { file } of before) rmSync(file, { force: true });
        return { release: () => rmSync(mine, { force: true }) };
      }
      rmSync(mine, { force: true });
      if (attempt === attempts) throw inUse(folder, rival.owner);
    }
    await delay(10 + Math.random() * 90);
  }
}

function listOwners(folder: string): { readonly file: string; readonly number: number; readonly owner: Owner }[] {
  return readdirSync(folder).flatMap((name) => {
    const number = fileName.exec(name)?.[1];
    const file = path.join(folder, name);
    const owner = number === undefined ? undefined : readOwner(file);
    return number === undefined || owner === undefined ? [] : [{ file, number: Number(number), owner }];
  });
}

function readOwner(file: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Owner;
  } catch {
    // Released at this moment, or damaged by a crash of the machine, which its owner did not survive.
    return undefined;
  }
}

/** Creates the file complete or not at all. Undefined when somebody else created it first. */
function create(folder: string, number: number, owner: Owner): string | undefined {
  const file = path.join(folder, `owner-${number}.json`);
  const text = JSON.stringify(owner);
  const draft = path.join(folder, `.owner-${randomUUID()}`);
  try {
    writeFileSync(draft, text);
    try {
      linkSync(draft, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
      // A file system without hard links.
      writeFileSync(file, text, { flag: 'wx' });
    }
    return file;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function mayBeAlive(owner: Owner, self: Owner): boolean {
  // Another machine or container on the same disk: its processes cannot be seen from here.
  if (owner.host !== self.host) return true;
  if (owner.boot !== self.boot) return false;
  if (!isAlive(owner.pid)) return false;
  const start = startOf(owner.pid);
  return start === undefined || owner.start === '' || start === owner.start;
}

function inUse(folder: string, owner: Owner): ConfigurationError {
  const here = owner.host === hostname();
  const where = here ? `process ${owner.pid}` : `process ${owner.pid} on ${owner.host}`;
  const advice = here
    ? 'PGlite serves one process at a time: share one broker, stop the other process, or use a PostgreSQL server'
    : `if it is gone, remove the owner file in the folder`;
  return new ConfigurationError(`open: the folder ${folder} is in use by ${where}; ${advice}`, {
    op: 'open',
    adapter: 'pglite',
    option: 'folder',
    reason: 'folder-in-use',
  });
}
