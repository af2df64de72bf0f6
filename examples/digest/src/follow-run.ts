import { setTimeout as delay } from 'node:timers/promises';
import { type Client, decodePayload, isMillraceError, type TaskHandle, type TaskOutput } from '@millrace/core';
import type { Progress } from './progress.ts';
import { longestSilenceMs, type ProgressDisplay } from './progress-display.ts';
import { filesOf, type RunFiles } from './run-files.ts';
import { type digestRun, runCheckpoint } from './tasks.ts';

export interface FollowOptions {
  readonly client: Client<unknown>;
  readonly handle: TaskHandle<TaskOutput<typeof digestRun>>;
  readonly run: RunFiles;
  readonly display: ProgressDisplay;
  /** Bytes this process has read so far. */
  readonly bytesHere: () => number;
  /** Ends the watching, not the run. */
  readonly signal: AbortSignal;
}

/**
 * Shows a run's progress until it has ended, whichever process is working on it, and returns its result.
 * @throws TaskFailedError AbortedError
 */
export async function followRun(options: FollowOptions): Promise<TaskOutput<typeof digestRun>> {
  const { display, signal } = options;
  const over = new AbortController();
  const result = resultOf(options).finally(() => over.abort());
  const watching = AbortSignal.any([signal, over.signal]);
  while (!watching.aborted) {
    const asked = performance.now();
    try {
      display.update(await readProgress(options));
    } catch (error) {
      // When it matters the result rejects as well; a broker that is away for a moment does not matter.
      if (!isMillraceError(error)) throw error;
    }
    // Counting many tasks must not become the main work, and a busy database must not leave the user without a word.
    const waitMs = Math.max(display.intervalMs, Math.min((performance.now() - asked) * 10, longestSilenceMs));
    await delay(waitMs, undefined, { signal: watching }).catch(() => {});
  }
  const output = await result;
  display.update(await readProgress(options));
  return output;
}

/** Waits for the end of the run, also while the broker is away: the worker goes on by itself when it is back. */
async function resultOf({ handle, display, signal }: FollowOptions): Promise<TaskOutput<typeof digestRun>> {
  for (let failures = 0; ; failures++) {
    try {
      return await handle.result({ signal });
    } catch (error) {
      if (!isMillraceError(error) || error.retryable !== 'safe') throw error;
      if (failures === 0) display.say(`Waiting for the broker: ${error.message}`);
      await delay(1_000, undefined, { signal });
    }
  }
}

async function readProgress({ client, handle, run, bytesHere }: FollowOptions): Promise<Progress> {
  const saved = runCheckpoint.safeParse(decodePayload((await handle.get())?.checkpoint));
  const { found, walked } = saved.success ? saved.data : { found: 0, walked: false };
  // After what was found, so that files found in between count as not done, and none as done too early.
  const open = await client.tasks.count(filesOf(run, 'open'));
  const dead = await client.tasks.count(filesOf(run, 'failed'));
  return { total: found, walked, done: Math.max(0, found - open), dead, bytesHere: bytesHere() };
}
