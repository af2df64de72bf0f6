import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { temporaryFolder } from './temporary-folder.ts';

const cache = fileURLToPath(new URL('../node_modules/.cache/millrace', import.meta.url));
/** Its path tells PGlite's version, and with it what a new database looks like. */
const version = realpathSync(createRequire(import.meta.url).resolve('@electric-sql/pglite'));

/**
 * The address of an embedded database of its own. It is empty, but made already: making one takes seconds of computing,
 * and only a few tests are about the first start.
 */
export async function embeddedDatabase(): Promise<string> {
  const folder = path.join(temporaryFolder(), 'data');
  // Where the adapter keeps it, beside its lock.
  cpSync(await template(), path.join(folder, 'postgres'), { recursive: true });
  return `pglite:${folder}`;
}

/** The address of one that is yet to be made. */
export function newEmbeddedDatabase(): string {
  return `pglite:${temporaryFolder()}/data`;
}

/** The folder of an empty database. The first test of this workspace that needs it makes it. */
async function template(): Promise<string> {
  const folder = path.join(cache, `pglite-${createHash('sha256').update(version).digest('hex').slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(path.join(cache, 'draft-'));
  await (await PGlite.create(draft)).close();
  try {
    renameSync(draft, folder);
  } catch (error) {
    // Another test was quicker.
    if (!existsSync(folder)) throw error;
    rmSync(draft, { recursive: true, force: true });
  }
  return folder;
}
