import { randomUUID } from 'node:crypto';
import { isTerminal, type NewTask, type TaskHeaders, type TaskRecord, ValidationError } from '@millrace/core';

/** Says that a message only brings a task that a guard holds, and which kind of store that is. */
export const guardHeader = 'x-millrace-guard';
/** The id of that task. The message has one of its own, because a task may be brought more than once. */
export const taskHeader = 'x-millrace-task';
/** Behind the kind when the task was enqueued in a transaction that was open at that time. */
const uncommittedMark = ' uncommitted';

/** Why a message that was passed on too often is dead, or its task has failed. */
export const unregistered = 'no worker of its queue has a handler for its name';
export const unguarded =
  'it brings a task that a guard holds, and no worker of its queue has that guard; pass it to amqpBroker as guard';

/** A task as far as a message has to know it to bring it to a worker. */
export interface Brought {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly priority: number;
  /** Milliseconds. Default 0: who comes early is told when it is due. */
  readonly delayMs?: number;
  /** Its record may not be there yet. */
  readonly uncommitted?: boolean;
}

/** Whether a record needs somebody to bring it, now or when it is due. */
export function isWaiting(record: TaskRecord | undefined): record is TaskRecord {
  return record !== undefined && !isTerminal(record.state) && record.state !== 'paused' && record.state !== 'running';
}

/** What a message says of a record. */
export function bringing({ id, name, queue, priority }: TaskRecord): Brought {
  return { id, name, queue, priority };
}

/** The message that brings a task: no input, and never dead of being delivered too often. */
export function thinMessage(task: Brought, kind: string): NewTask {
  const { id, name, queue, priority, delayMs = 0, uncommitted = false } = task;
  return {
    id: randomUUID(),
    name,
    queue,
    priority,
    delayMs,
    headers: { [guardHeader]: uncommitted ? kind + uncommittedMark : kind, [taskHeader]: id },
    maxAttempts: Number.POSITIVE_INFINITY,
    version: 0,
    fresh: true,
  };
}

/** What a thin message brings; `undefined` for a message that is the task itself. */
export function readThin(
  headers: TaskHeaders,
): { readonly id: string; readonly kind: string; readonly uncommitted: boolean } | undefined {
  // Of producers in other languages: anything JSON can hold may be there.
  const mark: unknown = headers[guardHeader];
  const id: unknown = headers[taskHeader];
  if (typeof mark !== 'string' || typeof id !== 'string') return undefined;
  const uncommitted = mark.endsWith(uncommittedMark);
  return { id, kind: uncommitted ? mark.slice(0, -uncommittedMark.length) : mark, uncommitted };
}

/** Refuses headers that would make a task look like a thin message. Returns the error instead of throwing it. */
export function findReservedHeader(headers: TaskHeaders): ValidationError | undefined {
  for (const name of [guardHeader, taskHeader]) {
    if (!Object.hasOwn(headers, name)) continue;
    return new ValidationError(`headers['${name}'] is the adapter's own; give the header another name`, {
      option: 'headers',
      reason: 'reserved-header',
    });
  }
  return undefined;
}
