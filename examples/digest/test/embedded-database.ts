import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { afterAll } from 'vitest';
import { temporaryFolder } from './temporary-folder.ts';

let template: Promise<string> | undefined;
afterAll(async () => {
  if (template !== undefined) rmSync(await template, { recursive: true, force: true });
});

/**
 * The address of an embedded database of its own. It is empty, but made already: making one takes seconds of computing,
 * and only a few tests are about the first start.
 */
export async function embeddedDatabase(): Promise<string> {
  template ??= makeTemplate();
  const folder = path.join(temporaryFolder(), 'data');
  // Where the adapter keeps it, beside its lock.
  cpSync(await template, path.join(folder, 'postgres'), { recursive: true });
  return `pglite:${folder}`;
}

/** The address of one that is yet to be made. */
export function newEmbeddedDatabase(): string {
  return `pglite:${temporaryFolder()}/data`;
}

async function makeTemplate(): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-template-'));
  await (await PGlite.create(folder)).close();
  return folder;
}
