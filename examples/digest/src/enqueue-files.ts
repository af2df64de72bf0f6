import { createHash } from 'node:crypto';
import type { Client, EnqueueItem, TaskInput } from '@millrace/core';
import { toStoredPath } from './file-path.ts';
import type { RunFiles } from './run-files.ts';
import { digestFile } from './tasks.ts';
import type { Found } from './walk-folder.ts';

export interface EnqueueFilesOptions {
  readonly client: Client<unknown>;
  readonly run: RunFiles;
  readonly signal: AbortSignal;
  /** Called after each batch with the number of files so far. */
  readonly onBatch: (found: number) => Promise<void>;
}

// The first batch is small, so that workers have something to do at once.
const firstBatch = 50;
const batch = 1_000;

/**
 * Enqueues one task per file, in batches. Safe to repeat after a crash: a task's id is made of its run and its path,
 * and enqueueing an id twice stores it once.
 */
export async function enqueueFiles(files: AsyncIterable<Found>, options: EnqueueFilesOptions): Promise<number> {
  const { client, signal, onBatch } = options;
  let found = 0;
  let items: EnqueueItem<TaskInput<typeof digestFile>>[] = [];
  const send = async (): Promise<void> => {
    await client.enqueueMany(digestFile, items, { signal });
    found += items.length;
    items = [];
    await onBatch(found);
  };
  for await (const file of files) {
    signal.throwIfAborted();
    items.push(taskFor(file, options.run));
    if (items.length >= (found === 0 ? firstBatch : batch)) await send();
  }
  if (items.length > 0) await send();
  return found;
}

function taskFor(file: Found, { queue, runId }: RunFiles): EnqueueItem<TaskInput<typeof digestFile>> {
  // Paths may be longer than an id, so their digest stands for them.
  const pathId = createHash('sha256').update(file.path).digest('base64url');
  return {
    input: { ...toStoredPath(file.path), ...(file.unreadable === undefined ? {} : { unreadable: file.unreadable }) },
    options: { id: `digest:${runId}:${pathId}`, queue, group: runId },
  };
}
