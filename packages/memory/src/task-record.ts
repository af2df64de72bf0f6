import type { Delivery, TaskRecord } from '@millrace/core';
import { type StoredTask, stateOf } from './stored-task.ts';

/** A copy for a caller: changing it changes nothing in the store, and later changes in the store do not show in it. */
export function recordOf(task: StoredTask, now: number): TaskRecord {
  const required = {
    id: task.id,
    name: task.name,
    queue: task.queue,
    state: stateOf(task, now),
    headers: { ...task.headers },
    priority: task.priority,
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    fence: task.fence,
    runAt: task.runAt,
    errors: task.errors.map((error) => ({ ...error })),
    log: task.log.map((line) => ({ ...line })),
    createdAt: task.createdAt,
    version: task.version,
  };
  return withPresent(required, {
    input: task.input,
    expiresAt: task.expiresAt,
    timeoutMs: task.timeoutMs,
    key: task.key,
    group: task.group,
    owner: task.owner,
    checkpoint: task.checkpoint,
    progress: task.progress,
    output: task.output,
    startedAt: task.startedAt,
    finishedAt: task.finishedAt,
    worker: task.worker,
    failure: task.failure,
    requested: task.requested,
  });
}

/** What the worker that has just claimed the task gets. */
export function deliveryOf(task: StoredTask, sessionId: string): Delivery {
  const required = {
    lease: { taskId: task.id, attempt: task.attempt, fence: task.fence, sessionId },
    name: task.name,
    queue: task.queue,
    headers: { ...task.headers },
    priority: task.priority,
    maxAttempts: task.maxAttempts,
    version: task.version,
    createdAt: task.createdAt,
    runAt: task.runAt,
  };
  return withPresent(required, {
    input: task.input,
    timeoutMs: task.timeoutMs,
    checkpoint: task.checkpoint,
    key: task.key,
    group: task.group,
    owner: task.owner,
  });
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Adds the fields that have a value: absent and `undefined` must look the same to callers. */
function withPresent<T extends object, U extends object>(required: T, optional: U): T & Present<U> {
  const record: Record<string, unknown> = required as Record<string, unknown>;
  for (const [name, value] of Object.entries(optional)) if (value !== undefined) record[name] = value;
  return required as T & Present<U>;
}
