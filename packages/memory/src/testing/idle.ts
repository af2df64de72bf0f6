import type { Worker } from '@millrace/core';
import { hasDueTask } from '../claim.ts';
import type { MemoryBroker } from '../memory-broker.ts';
import { StoreState } from '../store.ts';
import { turns } from './turns.ts';

// Taken when the module is loaded: a test may replace the global timers later.
const { setTimeout } = globalThis;

/** What may be busy. */
export interface IdleParts {
  readonly broker: MemoryBroker;
  readonly worker: Worker;
  readonly queues: readonly string[];
  readonly names: readonly string[];
}

/** Looks that must find nothing before it counts: what one turn of the event loop ended may begin something else. */
const quietLooks = 3;

/**
 * Resolves when no handler runs, no task is due and no outcome is under way. Does not move time. Real time passes
 * while handlers do real work; `timeoutMs` bounds that.
 */
export async function becomeIdle(parts: IdleParts, timeoutMs: number): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs;
  for (let quiet = 0; quiet < quietLooks; ) {
    await turns();
    while ((await parts.broker.maintain({ maxTasks: 10_000 })).more);
    if (!isBusy(parts)) {
      quiet += 1;
      continue;
    }
    quiet = 0;
    if (performance.now() > giveUpAt) throw await stillBusy(parts, timeoutMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function isBusy({ broker, worker, queues, names }: IdleParts): boolean {
  if (!(broker.store instanceof StoreState)) return worker.running > 0;
  const running = [...broker.store.sessions.values()].some((session) => session.held.size > 0);
  return worker.running > 0 || running || hasDueTask(broker.store, { queues, names });
}

async function stillBusy({ broker }: IdleParts, timeoutMs: number): Promise<Error> {
  const { tasks } = await broker.tasks.list({ states: ['running', 'pending', 'retrying'] }, { limit: 10 });
  const list = tasks.map((task) => `${task.name} (${task.id}, ${task.state})`).join(', ');
  return new Error(
    `idle() waited ${timeoutMs} ms for ${list}. A handler that waits for the clock needs advance() to go on; one that does long real work needs idle({ timeout })`,
  );
}
