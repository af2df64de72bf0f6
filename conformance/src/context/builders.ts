import { randomUUID } from 'node:crypto';
import { type FailureKind, type NewTask, priorityRange, type TaskFailure } from '@millrace/core';

/** Queue and name that tasks of a scenario have unless it says otherwise. */
export const usual: { readonly queue: string; readonly name: string } = { queue: 'line', name: 'work' };

/**
 * A task with nothing special about it. The id is random, not time-ordered: a broker that keeps order by id instead of
 * by arrival is found out.
 */
export function buildTask(changes: Partial<NewTask> = {}): NewTask {
  return {
    id: randomUUID(),
    name: usual.name,
    queue: usual.queue,
    headers: {},
    priority: priorityRange.normal,
    delayMs: 0,
    maxAttempts: 3,
    version: 1,
    ...changes,
  };
}

export function buildTasks(count: number, changes: (index: number) => Partial<NewTask> = () => ({})): NewTask[] {
  return Array.from({ length: count }, (_unused, index) => buildTask(changes(index)));
}

export function buildFailure(message = 'it broke', kind: FailureKind = 'error'): TaskFailure {
  return { kind, name: 'Error', message };
}
