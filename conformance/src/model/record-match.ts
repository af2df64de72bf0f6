import { isTerminal, type TaskRecord } from '@millrace/core';
import type { Instant } from './instant.ts';
import type { Occasion } from './operation.ts';
import { type ModelTask, visibleStates } from './state.ts';

/** Whether a record is one a broker may show of a task. */
export function isRecordOf(task: ModelTask | undefined, record: TaskRecord | undefined, occasion: Occasion): boolean {
  return recordProblem(task, record, occasion) === undefined;
}

/** What is wrong with a record. */
export interface RecordProblem {
  /** Absent when it is about the record as a whole. */
  readonly field?: keyof TaskRecord;
  /** What the field must be, where that is one value. */
  readonly expected?: unknown;
  readonly text: string;
}

/** The first field of a record that is not as it must be. */
export function recordProblem(
  task: ModelTask | undefined,
  record: TaskRecord | undefined,
  occasion: Occasion,
): RecordProblem | undefined {
  if (task === undefined || record === undefined) {
    if (task === record) return undefined;
    return { text: task === undefined ? 'it should not be there' : 'it should be there' };
  }
  const states = visibleStates(task, occasion.now);
  if (!states.includes(record.state)) return wrong('state', record.state, states[0], states.join(' or '));
  for (const [name, expected] of Object.entries(fieldsOf(task))) {
    const seen = record[name as keyof TaskRecord];
    if (!isEqual(seen, expected)) return wrong(name as keyof TaskRecord, seen, expected);
  }
  return errorProblem(task, record) ?? (occasion.exact ? timeProblem(task, record) : undefined);
}

function wrong(
  field: keyof TaskRecord,
  seen: unknown,
  expected: unknown,
  words: string = JSON.stringify(expected) ?? 'nothing',
): RecordProblem {
  return { field, expected, text: `${field} is ${JSON.stringify(seen) ?? 'absent'}; expected ${words}` };
}

/** Fields that must be as they are here; `undefined` must be absent. */
function fieldsOf(task: ModelTask): Partial<Record<keyof TaskRecord, unknown>> {
  const { name, headers, priority, maxAttempts, version, input, timeoutMs, key, group, owner } = task.content;
  return {
    id: task.id,
    queue: task.queue,
    name,
    headers,
    priority,
    maxAttempts,
    version,
    input,
    timeoutMs,
    key,
    group,
    owner,
    attempt: task.attempt,
    fence: task.fence,
    checkpoint: task.checkpoint,
    progress: task.progress,
    output: task.output,
    worker: task.worker,
    failure: task.failure,
    requested: task.requested,
  };
}

function isEqual(seen: unknown, expected: unknown): boolean {
  if (typeof expected === 'object' && expected !== null) return JSON.stringify(seen) === JSON.stringify(expected);
  return seen === expected;
}

function errorProblem(task: ModelTask, record: TaskRecord): RecordProblem | undefined {
  const seen = record.errors.map(({ attempt, kind, name, message }) => ({ attempt, kind, name, message }));
  const isSame =
    seen.length === task.errors.length &&
    task.errors.every((error, index) => {
      const other = seen[index];
      // The broker words by itself what it found by itself.
      return Object.entries(error).every(([name, value]) => other?.[name as keyof typeof other] === value);
    });
  if (!isSame) return { text: `errors are ${JSON.stringify(seen)}; expected ${JSON.stringify(task.errors)}` };
  const messages = record.log.map((line) => line.message);
  if (!isEqual(messages, task.log)) {
    return { text: `log is ${JSON.stringify(messages)}; expected ${JSON.stringify(task.log)}` };
  }
  return undefined;
}

function timeProblem(task: ModelTask, record: TaskRecord): RecordProblem | undefined {
  const ended = isTerminal(task.state);
  return (
    outside('createdAt', record.createdAt, task.created) ??
    // When it was due is of interest as long as it waits.
    (ended || task.state === 'running' ? undefined : outside('runAt', record.runAt, task.due)) ??
    outside('expiresAt', record.expiresAt, ended ? undefined : task.expiry, ended) ??
    outside('finishedAt', record.finishedAt, task.ended)
  );
}

function outside(
  field: 'createdAt' | 'runAt' | 'expiresAt' | 'finishedAt',
  seen: number | undefined,
  expected: Instant | undefined,
  free = false,
): RecordProblem | undefined {
  if (free) return undefined;
  if (expected === undefined) return seen === undefined ? undefined : wrong(field, seen, undefined);
  if (seen !== undefined && seen >= expected.from && seen <= expected.to) return undefined;
  const range = expected.from === expected.to ? `${expected.from}` : `${expected.from} to ${expected.to}`;
  return { text: `${field} is ${seen}; expected ${range}` };
}
