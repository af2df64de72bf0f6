// pnpm run version: raises the family's version and writes the changelogs from the changesets.
//
// A tool of its own because below 1.0 changesets gets it wrong: core 0.2.0 is outside of an adapter's peer range
// ^0.1.0, which it takes for a breaking change of the adapter, and so the whole family for 1.0.0. While it computes, the
// peers say 0.x; what is published keeps the strict range. From 1.0 on `changeset version` alone will do.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { installedProgram, pnpm } from './pnpm.mjs';
import { packageFolders, root } from './workspace.mjs';

const STRICT = '"@millrace/core": "workspace:^"';
const LOOSE = '"@millrace/core": "workspace:0.x"';

replaceInManifests(STRICT, LOOSE);
const versioned = await installedProgram('changeset', ['version']);
replaceInManifests(LOOSE, STRICT);
const locked = versioned.ok ? await pnpm(['install', '--lockfile-only']) : versioned;
console.log(locked.output.trim());
process.exitCode = locked.ok ? 0 : 1;

function replaceInManifests(from, to) {
  for (const folder of packageFolders()) {
    const file = path.join(root, folder, 'package.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
  }
}
