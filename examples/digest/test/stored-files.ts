import { connect, createClient, type TaskRecord } from '@millrace/core';
import { readSettings } from '../src/settings.ts';
import { digestFile } from '../src/tasks.ts';

/** The records of all file tasks of a folder, of every run. */
export async function storedFiles(url: string, folder: string): Promise<TaskRecord[]> {
  const { queue } = await readSettings([folder], {});
  await using client = createClient({ broker: await connect(url) });
  const files: TaskRecord[] = [];
  for await (const task of client.tasks.all({ queues: [queue], names: [digestFile.name] })) files.push(task);
  return files;
}
