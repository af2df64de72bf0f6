import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Broker,
  type Client,
  createClient,
  createWorker,
  type Handler,
  handle,
  type TaskContext,
} from '@millrace/core';
import { resultLines } from './closing-words.ts';
import { enqueueFiles } from './enqueue-files.ts';
import { fileHandler } from './file-handler.ts';
import { fromStoredPath, printablePath } from './file-path.ts';
import type { Interruption } from './interruption.ts';
import { files } from './progress.ts';
import type { ProgressDisplay } from './progress-display.ts';
import type { Settings } from './settings.ts';
import { belongsToSums, sumsPlace, writeSums } from './sums-file.ts';
import { sumsLine } from './sums-line.ts';
import { digestFile } from './tasks.ts';
import { type Found, walkFolder } from './walk-folder.ts';

const concurrency = 32;
/** When nothing ended for so long, what is missing has gone elsewhere, and is enqueued again. */
const restMs = 5_000;
const mostAttempts = 5;

/** What this process knows of the files, by path. A broker that keeps no results cannot say. */
interface Knowledge {
  readonly found: Map<string, Found>;
  readonly digests: Map<string, { readonly path: Buffer; readonly sha256: string; readonly bytes: number }>;
  readonly dead: Map<string, string>;
  lastEndAt: number;
}

/**
 * Digests a folder over a broker that keeps no results, such as RabbitMQ alone: the tasks are durable, the sums are
 * gathered by this process. Killed, it begins again; what it left behind is digested once more. Returns the exit code.
 */
export async function digestHere(
  broker: Broker<unknown>,
  settings: Settings,
  display: ProgressDisplay,
  interruption: Interruption,
): Promise<number> {
  const { folder, queue } = settings;
  const { signal } = interruption;
  const client = createClient({ broker });
  const known: Knowledge = { found: new Map(), digests: new Map(), dead: new Map(), lastEndAt: performance.now() };
  let bytesHere = 0;
  const handler = gatheringHandler(settings, known, (more) => {
    bytesHere += more;
  });
  const worker = createWorker({
    broker,
    queues: [queue],
    handlers: [handler],
    concurrency,
    drain: 0,
    logger: display.logger,
  });
  let walked = false;
  const show = (): void => {
    const done = known.found.size - missing(known).length;
    display.update({ total: known.found.size, walked, done, dead: known.dead.size, bytesHere });
  };
  const started = performance.now();
  try {
    display.say(`Digesting ${printablePath(Buffer.from(folder))}`);
    await worker.start();
    await enqueueFiles(walkAll(settings, known), {
      client,
      run: { queue, runId: randomUUID() },
      signal,
      onBatch: async () => show(),
    });
    walked = true;
    await untilKnown(client, queue, known, signal, show);
    return await finish(settings, known, display, signal, performance.now() - started);
  } catch (error) {
    if (!signal.aborted) throw error;
    display.end();
    display.say('Stopped. This broker keeps no results: the next start digests all files again.');
    return interruption.exitCode;
  } finally {
    await worker.stop();
    await client.close();
  }
}

function gatheringHandler(settings: Settings, known: Knowledge, onBytes: (count: number) => void): Handler {
  const { folder, pauseMs } = settings;
  const inner = fileHandler({ folder, concurrency, pauseMs, onBytes });
  return handle(
    digestFile,
    async (input, context: TaskContext) => {
      const path = fromStoredPath(input);
      const key = keyOf(path);
      try {
        const digest = (await inner.run(input, context)) as { readonly sha256: string; readonly bytes: number };
        known.digests.set(key, { path, ...digest });
        return digest;
      } catch (error) {
        const isLast = input.unreadable !== undefined || context.attempt >= mostAttempts;
        if (!context.signal.aborted && isLast) known.dead.set(key, (error as Error).message);
        throw error;
      } finally {
        known.lastEndAt = performance.now();
      }
    },
    { concurrency },
  );
}

async function* walkAll({ folder, userFolder }: Settings, known: Knowledge): AsyncGenerator<Found> {
  const place = await sumsPlace(folder, userFolder);
  const prefix = folder.endsWith('/') ? folder : `${folder}/`;
  const skip = (path: Buffer): boolean => belongsToSums(place, prefix + path.toString());
  for await (const file of walkFolder(Buffer.from(folder), { skip })) {
    known.found.set(keyOf(file.path), file);
    yield file;
  }
}

/** Waits until every file is known; what another process has taken is enqueued once more. */
async function untilKnown(
  client: Client<unknown>,
  queue: string,
  known: Knowledge,
  signal: AbortSignal,
  show: () => void,
): Promise<void> {
  for (;;) {
    show();
    const left = missing(known);
    if (left.length === 0) return;
    if (performance.now() - known.lastEndAt > restMs) {
      known.lastEndAt = performance.now();
      const run = { queue, runId: randomUUID() };
      await enqueueFiles(each(left), { client, run, signal, onBatch: async () => {} });
    }
    await delay(100, undefined, { signal });
  }
}

async function* each(found: readonly Found[]): AsyncGenerator<Found> {
  yield* found;
}

async function finish(
  { folder, userFolder }: Settings,
  known: Knowledge,
  display: ProgressDisplay,
  signal: AbortSignal,
  elapsedMs: number,
): Promise<number> {
  const digests = [...known.digests].filter(([key]) => known.found.has(key)).map(([, digest]) => digest);
  digests.sort((first, second) => Buffer.compare(first.path, second.path));
  const content = Buffer.concat(digests.map(({ path, sha256 }) => sumsLine(sha256, path)));
  const place = await sumsPlace(folder, userFolder);
  const { sha256, kept } = await writeSums(place, content, { fence: process.pid, signal, isOurs: () => false });
  const bytes = digests.reduce((sum, digest) => sum + digest.bytes, 0);
  const dead = [...known.dead].filter(([key]) => known.found.has(key));
  display.end();
  const result = { files: digests.length, bytes, dead: dead.length, sums: place.file, sumsSha256: sha256, kept };
  for (const line of resultLines(result, folder, elapsedMs)) display.say(line);
  if (dead.length > 0) display.say(`${files(dead.length)} could not be digested:`);
  for (const [key, reason] of dead.slice(0, 20)) display.say(`  ${printablePath(pathOf(key))}: ${reason}`);
  return dead.length > 0 ? 1 : 0;
}

function missing({ found, digests, dead }: Knowledge): Found[] {
  return [...found].filter(([key]) => !digests.has(key) && !dead.has(key)).map(([, file]) => file);
}

const keyOf = (path: Buffer): string => path.toString('base64');
const pathOf = (key: string): Buffer => Buffer.from(key, 'base64');
