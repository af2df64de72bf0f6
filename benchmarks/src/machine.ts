import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { ask, withClient } from './database.ts';

/** Where a report was made: what changes figures, nothing that names a machine. */
export interface Machine {
  readonly processors: number;
  readonly processor: string;
  readonly memoryGib: number;
  readonly platform: string;
  readonly node: string;
  readonly postgres: string;
  /** Settings of the server that are not its defaults or that decide about durability. */
  readonly settings: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
}

const decisive = [
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'shared_buffers',
  'max_wal_size',
  'wal_level',
  'autovacuum',
];

export async function readMachine(url: string, folder: string): Promise<Machine> {
  const processors = cpus();
  return {
    processors: processors.length,
    processor: processors[0]?.model ?? 'unknown',
    memoryGib: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    postgres: await ask<string>(url, "select current_setting('server_version') as answer"),
    settings: await withClient(url, async (client) => {
      const { rows } = await client.query<{ name: string; value: string }>(
        'select name, current_setting(name) as value from unnest($1::text[]) as name',
        [decisive],
      );
      return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    }),
    versions: readVersions(folder),
  };
}

/** Of the peers that are installed, as their lockfile says. */
function readVersions(folder: string): Readonly<Record<string, string>> {
  const lockfile = JSON.parse(readFileSync(path.join(folder, 'peers', 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string }>;
  };
  const names = ['graphile-worker', 'pg-boss', 'bullmq', 'pg'];
  return Object.fromEntries(names.map((name) => [name, lockfile.packages[`node_modules/${name}`]?.version ?? '']));
}
