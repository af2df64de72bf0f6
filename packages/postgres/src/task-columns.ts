import type { NewTask } from '@millrace/core';
import { plainArray, textArray } from './array-literal.ts';
import type { Value } from './connection.ts';

/** $1..$15 of enqueue-fresh.sql and enqueue-checked.sql. */
export function columnsOf(tasks: readonly NewTask[]): Value[] {
  return [
    textArray(tasks.map((task) => task.id)),
    textArray(tasks.map((task) => task.name)),
    textArray(tasks.map((task) => task.queue)),
    textArray(tasks.map((task) => task.input)),
    textArray(tasks.map((task) => headersText(task))),
    plainArray(tasks.map((task) => task.priority)),
    plainArray(tasks.map((task) => task.delayMs)),
    plainArray(tasks.map((task) => task.runAt)),
    plainArray(tasks.map((task) => task.expiresInMs)),
    plainArray(tasks.map((task) => task.expiresAt)),
    plainArray(tasks.map(mostAttemptsOf)),
    plainArray(tasks.map((task) => task.timeoutMs)),
    textArray(tasks.map((task) => task.group)),
    textArray(tasks.map((task) => task.owner)),
    plainArray(tasks.map((task) => task.version)),
  ];
}

/** Whether tasks differ in nothing but id and input. */
export function areAlike(tasks: readonly NewTask[]): boolean {
  const first = tasks[0] as NewTask;
  const headers = headersText(first);
  for (let index = 1; index < tasks.length; index++) {
    const task = tasks[index] as NewTask;
    const alike =
      task.name === first.name &&
      task.queue === first.queue &&
      task.priority === first.priority &&
      task.delayMs === first.delayMs &&
      task.runAt === first.runAt &&
      task.expiresInMs === first.expiresInMs &&
      task.expiresAt === first.expiresAt &&
      task.maxAttempts === first.maxAttempts &&
      task.timeoutMs === first.timeoutMs &&
      task.group === first.group &&
      task.owner === first.owner &&
      task.version === first.version &&
      (task.headers === first.headers || headersText(task) === headers);
    if (!alike) return false;
  }
  return true;
}

/** $1..$15 of enqueue-alike.sql. */
export function alikeColumnsOf(tasks: readonly NewTask[]): Value[] {
  return [
    textArray(tasks.map((task) => task.id)),
    textArray(tasks.map((task) => task.input)),
    ...sharedValuesOf(tasks[0] as NewTask),
  ];
}

/** Whether enqueue-one.sql is for this task. */
export function isPlain({ delayMs, runAt, expiresInMs, expiresAt, group, owner, key }: NewTask): boolean {
  const isDueAtOnce = delayMs === 0 && runAt === undefined;
  const expires = expiresInMs !== undefined || expiresAt !== undefined;
  return isDueAtOnce && !expires && group === undefined && owner === undefined && key === undefined;
}

/** $1..$9 of enqueue-one.sql. */
export function plainValuesOf(task: NewTask): Value[] {
  return [
    task.id,
    task.input ?? null,
    task.name,
    task.queue,
    headersText(task),
    task.priority,
    mostAttemptsOf(task),
    task.timeoutMs ?? null,
    task.version,
  ];
}

function sharedValuesOf(task: NewTask): Value[] {
  return [
    task.name,
    task.queue,
    headersText(task),
    task.priority,
    task.delayMs,
    task.runAt ?? null,
    task.expiresInMs ?? null,
    task.expiresAt ?? null,
    mostAttemptsOf(task),
    task.timeoutMs ?? null,
    task.group ?? null,
    task.owner ?? null,
    task.version,
  ];
}

/** $16..$19 of enqueue-checked.sql. */
export function keyColumnsOf(tasks: readonly NewTask[]): Value[] {
  return [
    textArray(tasks.map((task) => task.key)),
    textArray(tasks.map((task) => (task.key === undefined ? null : (task.keyUntil ?? 'settled')))),
    plainArray(tasks.map((task) => task.onConflict === 'replace')),
    plainArray(tasks.map((task) => task.fresh === true)),
  ];
}

function mostAttemptsOf({ maxAttempts }: NewTask): number | null {
  return maxAttempts === Number.POSITIVE_INFINITY ? null : maxAttempts;
}

function headersText(task: NewTask): string | null {
  for (const _name in task.headers) return JSON.stringify(task.headers);
  return null;
}
