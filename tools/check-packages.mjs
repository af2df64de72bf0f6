// Packs every published package and checks the tarballs as users will get them: publint (manifest) and attw (types).
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { installedProgram, pnpm } from './pnpm.mjs';
import { packageFolders, readManifest, root } from './workspace.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-packages-'));
try {
  const published = packageFolders().filter((name) => readManifest(name).private !== true);
  const results = await Promise.all(published.map(check));
  for (const { name, output } of results.filter(({ ok }) => !ok)) console.error(`${name}\n${output.trim()}\n`);
  process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}

async function check(name) {
  const destination = path.join(folder, name.replace('/', '-'));
  const packed = await pnpm(['pack', '--pack-destination', destination], { cwd: path.join(root, name) });
  if (!packed.ok) return { name, ...packed };
  const tarball = path.join(destination, readdirSync(destination)[0] ?? '');
  const checks = [
    await installedProgram('publint', ['--strict', tarball]),
    await installedProgram('attw', [tarball, '--profile', 'esm-only']),
  ];
  return { name, ok: checks.every(({ ok }) => ok), output: checks.map(({ output }) => output).join('\n') };
}
