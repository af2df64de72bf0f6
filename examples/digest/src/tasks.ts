import { custom, defineTask, isMillraceError } from '@millrace/core';
import { z } from 'zod';

/** One file to digest. The folder is not in it: its queue belongs to one folder of one machine. */
export const digestFile = defineTask({
  name: 'digest.file',
  input: z.object({
    path: z.string(),
    encoding: z.literal('base64').optional(),
    /** Why the folder walk could not read this; the task then only keeps and reports it. */
    unreadable: z.string().optional(),
  }),
  output: z.object({ sha256: z.string(), bytes: z.number() }),
  // No upper limit of attempts, since each `kill -9` costs one; failures to read end after the fifth.
  retry: custom(({ attempt }) => (attempt < 5 ? 100 * 2 ** attempt : 'give up')),
});

/** The whole job: walk the folder, wait for its files, write the result. At most one per folder is under way. */
export const digestRun = defineTask({
  name: 'digest.run',
  input: z.object({ folder: z.string() }),
  output: z.object({
    files: z.number(),
    bytes: z.number(),
    dead: z.number(),
    /** Where the result is, and its own SHA-256. */
    sums: z.string(),
    sumsSha256: z.string(),
    /** Where a file of that name that was not ours went. */
    kept: z.string().optional(),
  }),
  // A broker that is away comes back; anything else, such as a full disk, is for the user to see at once.
  retry: custom(({ error }) => (isMillraceError(error) && error.retryable !== 'no' ? '1s' : 'give up')),
});

/** What a run keeps as its checkpoint, and shows to those who watch. */
export const runCheckpoint = z.object({
  /** Files found so far. */
  found: z.number(),
  /** Whether that is all of them. */
  walked: z.boolean(),
});
export type RunCheckpoint = z.infer<typeof runCheckpoint>;
