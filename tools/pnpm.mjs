// How the tools call pnpm: the pinned version, through npx, so that Node and npm are all a fresh machine needs.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { packageFolders, readManifest, root } from './workspace.mjs';

const STAMP = path.join(root, 'node_modules', '.millrace-installed');

/** Runs the pinned pnpm; see `collect`. */
export function pnpm(args, options = {}) {
  const [command, ...prefix] = pnpmCommand();
  // CI=true: never ask a question (pnpm would, before it replaces a node_modules made by another version).
  return collect(command, [...prefix, ...args], { ...options, env: { ...process.env, CI: 'true' } });
}

/** The pnpm that runs this script, when one does: a JavaScript file or a program. Otherwise the one npx finds or fetches. */
function pnpmCommand() {
  const current = process.env.npm_execpath ?? '';
  if (/pnpm\.[cm]?js$/.test(current)) return [process.execPath, current];
  if (/pnpm(\.exe)?$/.test(current)) return [current];
  return ['npx', '--yes', readManifest().packageManager.split('+')[0]];
}

/** Runs a program that is installed in the workspace (tsc, biome, …); see `collect`. */
export function installedProgram(name, args, options = {}) {
  return collect(path.join(root, 'node_modules', '.bin', name), args, options);
}

/** Runs a command and collects its output; never rejects, so that callers decide what a failure means. */
export function collect(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
      ...options,
    });
    let output = '';
    const append = (chunk) => {
      output += chunk;
    };
    child.stdout.on('data', append);
    child.stderr.on('data', append);
    child.on('error', (error) => resolve({ ok: false, output: String(error) }));
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/** Installs the dependencies the lockfile names, unless the last install already did. Exits with a message if it cannot. */
export async function ensureInstalled() {
  assertNodeVersion();
  const wanted = installHash();
  if (existsSync(path.join(root, 'node_modules', '.modules.yaml')) && readStamp() === wanted) return;
  console.log('Installing dependencies (once, some seconds)…');
  const { ok, output } = await pnpm(['install', '--frozen-lockfile']);
  if (!ok) {
    console.error(`${output.trim()}\n\nInstalling the dependencies failed; see above.`);
    process.exit(1);
  }
  writeFileSync(STAMP, wanted);
}

/** Whatever can change what an install produces: lockfile, settings, manifests, and the kind of machine. */
function installHash() {
  const manifests = ['.', ...packageFolders()].map((folder) => path.join(folder, 'package.json'));
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests]) {
    hash.update(readFileSync(path.join(root, file)));
  }
  return hash.digest('hex');
}

function readStamp() {
  return existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : undefined;
}

function assertNodeVersion() {
  const wanted = readManifest().engines.node.replace('>=', '');
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  console.error(`Millrace needs Node ${wanted} or newer; this is ${process.versions.node}.`);
  process.exit(1);
}
