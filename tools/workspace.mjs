// Where the workspace is, and which folders in it are packages.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'coverage']);

/** @returns {string[]} every file below `folder` that people write, as sorted paths relative to `base` with forward slashes */
export function filesBelow(folder, base = root) {
  const start = path.join(base, folder);
  if (!existsSync(start)) return [];
  return readdirSync(start, { withFileTypes: true })
    .flatMap((entry) => {
      const relative = path.posix.join(folder, entry.name);
      if (!entry.isDirectory()) return entry.isFile() ? [relative] : [];
      return entry.name.startsWith('.') || SKIPPED_FOLDERS.has(entry.name) ? [] : filesBelow(relative, base);
    })
    .sort();
}

/** The folders that hold a package manifest, relative to the workspace. */
export function packageFolders() {
  const nested = ['packages', 'examples'].flatMap((parent) =>
    existsSync(path.join(root, parent)) ? readdirSync(path.join(root, parent)).map((name) => `${parent}/${name}`) : [],
  );
  return [...nested, 'conformance', 'benchmarks'].filter((folder) =>
    existsSync(path.join(root, folder, 'package.json')),
  );
}

/** @returns {Record<string, any>} the manifest of a package folder, or of the workspace itself */
export function readManifest(folder = '.') {
  return JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8'));
}
