import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder that is gone when the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(realpathSync(tmpdir()), 'millrace-digest-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files, by path relative to a folder; names may be bytes. */
export function writeFiles(folder: string, files: Iterable<readonly [name: string | Buffer, content: string]>): void {
  for (const [name, content] of files) {
    const file = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)]);
    mkdirSync(file.subarray(0, file.lastIndexOf('/')), { recursive: true });
    writeFileSync(file, content);
  }
}

/** As many small files as asked for, a hundred to a folder. */
export function* manyFiles(count: number): Generator<readonly [string, string]> {
  for (let index = 0; index < count; index++) {
    yield [`folder-${Math.floor(index / 100)}/file-${index}`, `content of file ${index}\n`];
  }
}
