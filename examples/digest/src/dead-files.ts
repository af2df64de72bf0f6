import { type Client, decodePayload, type TaskRecord } from '@millrace/core';
import { fromStoredPath, printablePath } from './file-path.ts';
import { count } from './progress.ts';
import { filesOf, type RunFiles } from './run-files.ts';
import { digestFile } from './tasks.ts';

const mostListed = 20;

/** One line for each file that could not be digested, with the reason; the first ones only when there are many. */
export async function deadFileLines(client: Client<unknown>, run: RunFiles, total: number): Promise<string[]> {
  const failed = await client.tasks.list(filesOf(run, 'failed'), { limit: mostListed });
  const cancelled = await client.tasks.list(filesOf(run, 'cancelled'), { limit: mostListed });
  const lines = [...failed.tasks, ...cancelled.tasks]
    .slice(0, mostListed)
    .map((task) => `  ${pathOf(task)}: ${reasonOf(task)}`)
    .sort();
  if (total > lines.length) lines.push(`  … and ${count(total - lines.length)} more`);
  return lines;
}

function pathOf(task: TaskRecord): string {
  const input = digestFile.input.safeParse(decodePayload(task.input));
  return input.success ? printablePath(fromStoredPath(input.data)) : task.id;
}

function reasonOf(task: TaskRecord): string {
  return task.state === 'cancelled' ? 'its task was cancelled' : (task.errors.at(-1)?.message ?? 'it failed');
}
