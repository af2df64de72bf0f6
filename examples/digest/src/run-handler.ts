import { setTimeout as delay } from 'node:timers/promises';
import { type Client, decodePayload, type Handler, handle, type TaskContext, type TaskReturn } from '@millrace/core';
import { type CollectedSums, collectSums } from './collect-sums.ts';
import { enqueueFiles } from './enqueue-files.ts';
import { filesOf, type RunFiles } from './run-files.ts';
import { belongsToSums, sumsPlace, writeSums } from './sums-file.ts';
import { digestRun, type RunCheckpoint, runCheckpoint } from './tasks.ts';
import { walkFolder } from './walk-folder.ts';

export interface RunHandlerOptions {
  readonly client: Client<unknown>;
  /** Absolute path of the folder. */
  readonly folder: string;
  /** Where the result goes when the folder cannot be written to. */
  readonly otherwise: string;
  /** Absolute paths inside the folder to leave out: the broker's own data. */
  readonly excluded: readonly string[];
}

/**
 * Runs the job as a task of its own: whoever holds it walks the folder, waits for the files and writes the result.
 * When that process is killed, another one, or the same one started again, goes on from the checkpoint. Every step may
 * be repeated without harm.
 */
export function runHandler(options: RunHandlerOptions): Handler {
  return handle(
    digestRun,
    async (_input, context) => {
      const { client } = options;
      const run: RunFiles = { queue: context.queue, runId: context.id };
      for (let { found, walked } = savedCheckpoint(context); ; walked = false) {
        if (!walked) found = await walk(options, run, context, found);
        await untilSettled(client, run, context.signal);
        const sums = await collectSums(client, run);
        const dead = await countDead(client, run);
        // Fewer than were found: the run has rested for so long that retention took old results. Do those again.
        if (sums.files + dead >= found) return { ...(await write(options, sums, context)), dead };
      }
    },
    { concurrency: 1 },
  );
}

function savedCheckpoint(context: TaskContext): RunCheckpoint {
  const saved = runCheckpoint.safeParse(context.checkpoint.get());
  return saved.success ? saved.data : { found: 0, walked: false };
}

async function walk(
  options: RunHandlerOptions,
  run: RunFiles,
  context: TaskContext,
  foundBefore: number,
): Promise<number> {
  const { client, folder, excluded } = options;
  const place = await sumsPlace(folder, options.otherwise);
  const prefix = folder.endsWith('/') ? folder : `${folder}/`;
  const skip = (path: Buffer): boolean => {
    const file = prefix + path.toString();
    return excluded.includes(file) || belongsToSums(place, file);
  };
  const save = (checkpoint: RunCheckpoint): Promise<void> => context.checkpoint.set(checkpoint);
  const found = await enqueueFiles(walkFolder(Buffer.from(folder), { skip }), {
    client,
    run,
    signal: context.signal,
    // Walking again after a crash finds first what is known already.
    onBatch: (count) => save({ found: Math.max(count, foundBefore), walked: false }),
  });
  await save({ found, walked: true });
  return found;
}

async function countDead(client: Client<unknown>, run: RunFiles): Promise<number> {
  const [failed, cancelled] = await Promise.all([
    client.tasks.count(filesOf(run, 'failed')),
    client.tasks.count(filesOf(run, 'cancelled')),
  ]);
  return failed + cancelled;
}

const shortestWaitMs = 20;
const longestWaitMs = 1_000;

async function untilSettled(client: Client<unknown>, run: RunFiles, signal: AbortSignal): Promise<void> {
  for (let waitMs = shortestWaitMs; ; waitMs = Math.min(waitMs * 1.5, longestWaitMs)) {
    const asked = performance.now();
    const open = await client.tasks.count(filesOf(run, 'open'));
    if (open === 0) return;
    // Few left means soon done; and counting many must not become the main work.
    const tookMs = performance.now() - asked;
    await delay(Math.max(open < 100 ? shortestWaitMs : waitMs, tookMs * 10), undefined, { signal });
  }
}

async function write(
  { client, folder, otherwise }: RunHandlerOptions,
  { content, files, bytes }: CollectedSums,
  { queue, fence, signal }: TaskContext,
): Promise<Omit<TaskReturn<typeof digestRun>, 'dead'>> {
  const place = await sumsPlace(folder, otherwise);
  const ours = await lastWritten(client, queue);
  const { sha256, kept } = await writeSums(place, content, { fence, signal, isOurs: (digest) => digest === ours });
  return { files, bytes, sums: place.file, sumsSha256: sha256, kept };
}

/** SHA-256 of what the last run of this folder has written; it may be replaced. */
async function lastWritten(client: Client<unknown>, queue: string): Promise<string | undefined> {
  const page = await client.tasks.list(
    { queues: [queue], names: [digestRun.name], states: ['succeeded'] },
    { limit: 1 },
  );
  const output = digestRun.output.safeParse(decodePayload(page.tasks[0]?.output));
  return output.success ? output.data.sumsSha256 : undefined;
}
