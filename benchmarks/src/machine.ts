import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import type { ServerFacts } from './backends/backend.ts';

/** Where a report was made: what changes figures, nothing that names a machine. */
export interface Machine {
  readonly processors: number;
  readonly processor: string;
  readonly memoryGib: number;
  readonly platform: string;
  readonly node: string;
  readonly server: ServerFacts;
  readonly versions: Readonly<Record<string, string>>;
}

export function readMachine(server: ServerFacts, folder: string, packages: readonly string[]): Machine {
  const processors = cpus();
  return {
    processors: processors.length,
    processor: processors[0]?.model ?? 'unknown',
    memoryGib: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    server,
    versions: readVersions(folder, packages),
  };
}

/** Of the peers that are installed, as their lockfile says. */
function readVersions(folder: string, packages: readonly string[]): Readonly<Record<string, string>> {
  const lockfile = JSON.parse(readFileSync(path.join(folder, 'peers', 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string }>;
  };
  return Object.fromEntries(packages.map((name) => [name, lockfile.packages[`node_modules/${name}`]?.version ?? '']));
}
