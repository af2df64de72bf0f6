import { randomUUID } from 'node:crypto';
import type { ClaimRequest, NewTask } from '@millrace/core';

/** A task with nothing special. */
export function newTask(changes: Partial<NewTask> = {}): NewTask {
  return {
    id: randomUUID(),
    name: 'work',
    queue: 'line',
    headers: {},
    priority: 4,
    delayMs: 0,
    maxAttempts: 3,
    version: 1,
    ...changes,
  };
}

/** A claim that asks once. */
export function claimOf(limit = 1, changes: Partial<ClaimRequest> = {}): ClaimRequest {
  return { queues: ['line'], names: ['work'], limit, waitMs: 0, ...changes };
}
