import type { TaskFilter, TaskState } from '@millrace/core';
import { digestFile } from './tasks.ts';

/** Names the file tasks of one run: their queue, and the run's id as their group. */
export interface RunFiles {
  readonly queue: string;
  readonly runId: string;
}

const states = {
  open: ['scheduled', 'pending', 'running', 'retrying', 'paused', 'removing'],
  digested: ['succeeded'],
  failed: ['failed'],
  cancelled: ['cancelled'],
} as const satisfies Readonly<Record<string, readonly TaskState[]>>;

/** A filter for the file tasks of a run in some states; `open` are those that have not ended. */
export function filesOf({ queue, runId }: RunFiles, which: keyof typeof states): TaskFilter {
  return { queues: [queue], group: runId, names: [digestFile.name], states: states[which] };
}
