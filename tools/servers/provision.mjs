// How a server's program gets onto this machine: it is there already, Debian has it, or Docker runs it.
import { accessSync, constants, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from './process.mjs';

/** The first folder that holds all `programs`: PATH first, then `folders` (a `*` stands for a version, newest first). */
export function findPrograms(programs, folders = []) {
  const candidates = [...(process.env.PATH ?? '').split(path.delimiter).filter(Boolean), ...folders.flatMap(expand)];
  return candidates.find((folder) => programs.every((program) => isExecutable(path.join(folder, program))));
}

function expand(pattern) {
  const [before, after] = pattern.split('*');
  if (after === undefined) return [pattern];
  const parent = path.dirname(`${before}x`);
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .map((name) => path.join(parent, name))
    .filter((folder) => folder.startsWith(before))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .map((folder) => folder + after);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function canInstallPackages() {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && findPrograms(['apt-get']) !== undefined;
}

const POSTGRES_DEFAULTS = '/etc/postgresql-common/createcluster.d/millrace-test.conf';
const SERVICE_POLICY = '/usr/sbin/policy-rc.d';

/** Indexing the manuals takes a third of an installation. */
const PROGRAMS_ONLY = ['-o', 'Dpkg::Options::=--path-exclude=/usr/share/man/*'];

let installing = Promise.resolve();
let listsAreFresh = false;

/**
 * Installs a Debian package for its programs only: no system cluster is made, no service is started. Servers start side
 * by side, and their packages are installed one after the other.
 */
export function installPackage(name) {
  const installed = installing.then(() => install(name));
  installing = installed.catch(() => {});
  return installed;
}

async function install(name) {
  console.log(`Installing the Debian package ${name}…`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const hadPolicy = existsSync(SERVICE_POLICY);
  mkdirSync(path.dirname(POSTGRES_DEFAULTS), { recursive: true });
  writeFileSync(POSTGRES_DEFAULTS, 'create_main_cluster = false\n');
  // Debian's own switch against starting services at install: exit code 101 means "not allowed".
  if (!hadPolicy) writeFileSync(SERVICE_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    if (!listsAreFresh) await run('apt-get', ['update', '-qq'], { env });
    listsAreFresh = true;
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...PROGRAMS_ONLY, name], { env });
  } finally {
    if (!hadPolicy) rmSync(SERVICE_POLICY, { force: true });
    rmSync(POSTGRES_DEFAULTS, { force: true });
  }
}

export async function hasDocker() {
  if (findPrograms(['docker']) === undefined) return false;
  return run('docker', ['version', '--format', '{{.Server.Version}}']).then(
    () => true,
    () => false,
  );
}
