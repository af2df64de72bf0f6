import type { ClaimRequest, NewTask } from '@millrace/core';

let lastId = 0;

/** A task that nothing is special about. */
export function newTask(more: Partial<NewTask> = {}): NewTask {
  return {
    id: `task-${process.pid}-${++lastId}`,
    name: 'work',
    queue: 'line',
    input: '{"n":1}',
    headers: {},
    priority: 4,
    delayMs: 0,
    maxAttempts: 3,
    version: 1,
    ...more,
  };
}

/** What a claim of these tasks asks for. */
export function claimOf(more: Partial<ClaimRequest> = {}): ClaimRequest {
  return { queues: ['line'], names: ['work'], limit: 10, waitMs: 0, ...more };
}
