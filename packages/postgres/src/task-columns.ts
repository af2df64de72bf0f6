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
    plainArray(tasks.map(({ maxAttempts }) => (maxAttempts === Number.POSITIVE_INFINITY ? null : maxAttempts))),
    plainArray(tasks.map((task) => task.timeoutMs)),
    textArray(tasks.map((task) => task.group)),
    textArray(tasks.map((task) => task.owner)),
    plainArray(tasks.map((task) => task.version)),
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

function headersText(task: NewTask): string | null {
  for (const _name in task.headers) return JSON.stringify(task.headers);
  return null;
}
