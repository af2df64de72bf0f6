import { setTimeout as delay } from 'node:timers/promises';
import { type Handler, handle, NonRetryable } from '@millrace/core';
import { fromStoredPath, joinPath } from './file-path.ts';
import { hashFile } from './hash-file.ts';
import { digestFile } from './tasks.ts';

export interface FileHandlerOptions {
  readonly folder: string;
  readonly concurrency: number;
  /** Waits this long before each file; makes a small folder slow enough to interrupt. */
  readonly pauseMs: number;
  readonly onBytes: (count: number) => void;
}

/** Digests one file of a folder. Reading changes nothing, so doing it again after a crash is harmless. */
export function fileHandler({ folder, concurrency, pauseMs, onBytes }: FileHandlerOptions): Handler {
  const base = Buffer.from(folder);
  return handle(
    digestFile,
    async (input, { signal }) => {
      if (input.unreadable !== undefined) throw new NonRetryable(input.unreadable);
      if (pauseMs > 0) await delay(pauseMs, undefined, { signal });
      return hashFile(joinPath(base, fromStoredPath(input)), { signal, onBytes });
    },
    { concurrency },
  );
}
