// Packs what users get of core, memory and the suite, and installs it beside the runners, outside of the workspace.
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { collect, pnpm } from '../pnpm.mjs';
import { filesBelow, root } from '../workspace.mjs';

const cache = path.join(root, 'node_modules', '.cache', 'millrace-runners');
const here = path.dirname(fileURLToPath(import.meta.url));
const packages = ['packages/core', 'packages/memory', 'conformance'];
const installLimitMs = 120_000;
const quick = [
  '--prefer-offline',
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
  '--fetch-retries=1',
  '--fetch-retry-mintimeout=1000',
  '--fetch-timeout=30000',
];

/**
 * Installs the runners, unless all of them are there. Never rejects for want of one: npm leaves optional packages out
 * that have no binary for the platform, and without a network there are none at all; it is tried again the next time.
 *
 * @param {(modules: string) => boolean} isComplete
 * @returns {Promise<string>} the folder they are in, each if it could be installed
 */
export async function installRunners(isComplete) {
  const manifest = readFileSync(path.join(here, 'package.json'));
  const folder = path.join(cache, digest([manifest, process.platform, process.arch, process.versions.modules]));
  const modules = path.join(folder, 'node_modules');
  if (isComplete(modules)) return modules;
  await atomically(folder, async (draft) => {
    writeFileSync(path.join(draft, 'package.json'), manifest);
    const { ok, output } = await npm(['install', ...quick], draft);
    if (!ok) console.error(`The test runners could not be installed:\n${output.trim()}`);
    // What was left out before may have come now.
    if (ok) rmSync(folder, { recursive: true, force: true });
    return ok;
  });
  return modules;
}

/** A folder with the packed packages installed in it. Made again when any of their sources changed. */
export async function installPackages() {
  const folder = path.join(cache, `packages-${digest(await sources())}`);
  if (!existsSync(folder)) {
    await atomically(folder, async (draft) => {
      const tarballs = await pack(path.join(draft, 'packed'));
      writeFileSync(path.join(draft, 'package.json'), '{ "private": true, "type": "module" }\n');
      const { ok, output } = await npm(['install', '--no-save', ...quick, ...tarballs], draft);
      if (!ok) throw new Error(`the packed packages cannot be installed:\n${output}`);
      return true;
    });
    removeOld();
  }
  return folder;
}

/** What was packed yesterday is of sources that are gone; another run may still use what is of today. */
function removeOld() {
  for (const name of readdirSync(cache).filter((each) => each.startsWith('packages-'))) {
    const folder = path.join(cache, name);
    if (Date.now() - statSync(folder).mtimeMs > 86_400_000) rmSync(folder, { recursive: true, force: true });
  }
}

/** A folder of its own for one run, outside of node_modules, where no runner would look for tests. */
export function suiteFolder(installed, testFile) {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-runner-'));
  for (const file of ['harness.mjs', 'subject.mjs', 'report.mjs']) {
    copyFileSync(path.join(here, 'suite', file), path.join(folder, file));
  }
  copyFileSync(path.join(here, 'suite', 'suite.mjs'), path.join(folder, testFile));
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  symlinkSync(path.join(installed, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
  return folder;
}

async function pack(destination) {
  mkdirSync(destination);
  const filters = packages.flatMap((name) => ['--filter', `./${name}`]);
  // No runner reads the types, and `pnpm check` builds them.
  const built = await pnpm(['--no-bail', ...filters, 'run', 'build', '--no-dts']);
  if (!built.ok) throw new Error(`the packages cannot be built:\n${built.output}`);
  const packed = await pnpm([...filters, 'pack', '--pack-destination', destination]);
  if (!packed.ok) throw new Error(`the packages cannot be packed:\n${packed.output}`);
  return readdirSync(destination).map((name) => path.join(destination, name));
}

/** Everything that ends up in the tarballs. */
async function sources() {
  const files = packages
    .flatMap((name) => filesBelow(name))
    .filter((file) => !/\/test\/|\.test(-d)?\.ts$|\/reports\//.test(file));
  return ['tsup.base.ts', 'tsconfig.base.json', ...files].flatMap((file) => [
    file,
    readFileSync(path.join(root, file)),
  ]);
}

/** Makes a folder as a whole or not at all; two runs at a time each make one, and the first stays. */
async function atomically(folder, make) {
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(path.join(cache, 'draft-'));
  try {
    if (await make(draft)) renameSync(draft, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function npm(args, cwd) {
  return collect('npm', args, { cwd, timeout: installLimitMs });
}

function digest(parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 16);
}
