import { createRequire } from 'node:module';
import path from 'node:path';
import type { Capabilities, TaskOutput } from '@millrace/core';
import { printablePath } from './file-path.ts';
import { bytes, files } from './progress.ts';
import type { Settings } from './settings.ts';
import type { digestRun } from './tasks.ts';

/** What a finished run has made, and how to check it. */
export function resultLines(result: TaskOutput<typeof digestRun>, folder: string, elapsedMs: number): string[] {
  const inFolder = path.dirname(result.sums) === folder;
  const seconds = (elapsedMs / 1_000).toFixed(1);
  const lines = [`Digested ${files(result.files)} (${bytes(result.bytes)}) in ${seconds} s.`];
  if (result.kept !== undefined) {
    lines.push(`The ${path.basename(result.sums)} that was there is now ${printable(result.kept)}`);
  }
  lines.push(`Wrote ${printable(result.sums)}${inFolder ? '' : `, since ${printable(folder)} cannot be written to`}`);
  const sums = inFolder ? path.basename(result.sums) : shellWord(result.sums);
  lines.push(`Check it with: (cd ${shellWord(folder)} && sha256sum --quiet -c ${sums})`);
  return lines;
}

/** Where the tasks are, and how to have them somewhere else. */
export function whereLines({ dataFolder }: Settings, durability: Capabilities['durability']): string[] {
  const here =
    dataFolder !== undefined
      ? `The tasks and their results are in ${printable(dataFolder)} (embedded PostgreSQL, one process at a time).`
      : durability === 'none'
        ? 'The tasks and their results were in memory, and are gone with this process.'
        : 'The tasks and their results are on the server MILLRACE_URL names; other terminals can share the work.';
  const lines = [
    here,
    'To have them on a server, with any number of terminals at work:',
    '  MILLRACE_URL=postgres://user:password@localhost/database npm start -- ~/photos',
  ];
  if (isInstalled('@millrace/redis')) lines.push('  MILLRACE_URL=redis://localhost:6379 npm start -- ~/photos');
  if (isInstalled('@millrace/amqp')) {
    lines.push('  MILLRACE_URL=amqp://localhost npm start -- ~/photos     (keeps no results: one terminal)');
  }
  return lines;
}

/** Advice that does not work is worse than none. */
function isInstalled(adapter: string): boolean {
  try {
    createRequire(import.meta.url).resolve(adapter);
    return true;
  } catch {
    return false;
  }
}

/** How to go on with a run that was interrupted. */
export function resumeLine(folder: string): string {
  return `Nothing is lost. To go on: npm start -- ${shellWord(folder)}`;
}

function printable(file: string): string {
  return printablePath(Buffer.from(file));
}

/** Quotes a path so that it can be pasted into a shell. */
function shellWord(file: string): string {
  return /^[\w@%+=:,./-]+$/.test(file) ? file : `'${printable(file).replaceAll("'", `'\\''`)}'`;
}
