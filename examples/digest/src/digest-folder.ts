import { type Broker, createClient, createWorker, TaskFailedError } from '@millrace/core';
import { resultLines, resumeLine, whereLines } from './closing-words.ts';
import { deadFileLines } from './dead-files.ts';
import { fileHandler } from './file-handler.ts';
import { printablePath } from './file-path.ts';
import { type FollowOptions, followRun } from './follow-run.ts';
import type { Interruption } from './interruption.ts';
import { files } from './progress.ts';
import type { ProgressDisplay } from './progress-display.ts';
import { runHandler } from './run-handler.ts';
import type { Settings } from './settings.ts';
import { digestRun } from './tasks.ts';

// Node reads with four threads; more files at hand than that keep them busy while the embedded database computes.
const concurrency = 32;

/** How long a process that was killed keeps the tasks it had in hand. */
const sessionTtl = '10s';

/** Digests a folder, or goes on with a digest of it that was not finished. Returns the exit code. */
export async function digestFolder(
  broker: Broker<unknown>,
  settings: Settings,
  display: ProgressDisplay,
  interruption: Interruption,
): Promise<number> {
  const { folder, queue, pauseMs, userFolder, dataFolder } = settings;
  const client = createClient({ broker });
  let bytesHere = 0;
  const onBytes = (more: number): void => {
    bytesHere += more;
  };
  const worker = createWorker({
    broker,
    queues: [queue],
    handlers: [
      runHandler({ client, folder, otherwise: userFolder, excluded: dataFolder === undefined ? [] : [dataFolder] }),
      fileHandler({ folder, concurrency, pauseMs, onBytes }),
    ],
    // One more for the run itself, which mostly waits.
    concurrency: concurrency + 1,
    sessionTtl,
    // A digest that is cut short is computed again, so there is nothing worth waiting for.
    drain: 0,
    logger: display.logger,
  });
  try {
    // Unique by its key: the first process begins a run; any other, beside it or after a crash, finds that very run.
    const handle = await client.enqueue(digestRun, { folder }, { queue, key: 'run' });
    const begun = handle.outcome.status === 'accepted';
    display.say(`${begun ? 'Digesting' : 'Going on with the digest of'} ${printablePath(Buffer.from(folder))}`);
    if (!begun) display.say(`What a killed process had in hand comes back ${sessionTtl} after its end.`);
    await worker.start();
    return await watch(
      {
        client,
        handle,
        run: { queue, runId: handle.id },
        display,
        bytesHere: () => bytesHere,
        signal: interruption.signal,
      },
      settings,
    );
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    display.end();
    display.say('Stopping …');
    await worker.stop();
    display.say(resumeLine(folder));
    return interruption.exitCode;
  } finally {
    await worker.stop();
    await client.close();
  }
}

async function watch(following: FollowOptions, settings: Settings): Promise<number> {
  const started = performance.now();
  const { client, run, display } = following;
  try {
    const result = await followRun(following);
    display.end();
    for (const line of resultLines(result, settings.folder, performance.now() - started)) display.say(line);
    if (result.dead > 0) {
      display.say(`${files(result.dead)} could not be digested:`);
      for (const line of await deadFileLines(client, run, result.dead)) display.say(line);
    }
    const { durability } = await client.capabilities();
    for (const line of whereLines(settings, durability)) display.say(line);
    return result.dead > 0 ? 1 : 0;
  } catch (error) {
    if (!(error instanceof TaskFailedError)) throw error;
    display.end();
    display.say(`The digest has ${error.state}: ${error.message}`);
    return 1;
  }
}
