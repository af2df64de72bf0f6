import {
  type Delivery,
  type FailureKind,
  priorityRange,
  type StopRequest,
  type TaskError,
  type TaskHeaders,
  type TaskLogLine,
  type TaskRecord,
  type TaskState,
} from '@millrace/core';
import type { Cell, Row } from './connection.ts';

/** As in claim-tasks.sql. */
const firstVersion = 1;
const noHeaders: TaskHeaders = Object.freeze({});

/** A row of a claim with what its place in the line depends on. */
export interface ClaimedRow {
  readonly delivery: Delivery;
  readonly sequence: number;
  /** Where the row is until something changes it. */
  readonly place: string;
}

/** What a claim asked for, and its rows therefore need not say. */
export interface Asked {
  readonly name?: string | undefined;
  readonly queue?: string | undefined;
}

/**
 * Reads a row of claim-tasks.sql, where null stands for what is usual. Called for every task that is run: no
 * intermediate objects.
 */
export function readClaimedRow(row: Row, sessionId: string, asked: Asked = {}): ClaimedRow {
  const delivery: Mutable<Delivery> = {
    lease: { taskId: row[0] as string, fence: row[1] as number, attempt: (row[2] ?? row[1]) as number, sessionId },
    name: (row[3] ?? asked.name) as string,
    queue: (row[4] ?? asked.queue) as string,
    headers: readHeaders(row[6]),
    priority: (row[7] ?? priorityRange.normal) as number,
    maxAttempts: (row[8] as number | null) ?? Number.POSITIVE_INFINITY,
    version: (row[14] ?? firstVersion) as number,
    createdAt: row[15] as number,
    runAt: (row[16] ?? row[15]) as number,
  };
  const [, , , , , input, , , , timeoutMs, checkpoint, key, group, owner] = row;
  if (input !== null) delivery.input = input as string;
  if (timeoutMs !== null) delivery.timeoutMs = timeoutMs as number;
  if (checkpoint !== null) delivery.checkpoint = checkpoint as string;
  if (key !== null) delivery.key = key as string;
  if (group !== null) delivery.group = group as string;
  if (owner !== null) delivery.owner = owner as string;
  return { delivery, sequence: row[17] as number, place: row[18] as string };
}

/** Reads a row of get-tasks.sql or list-tasks.sql. */
export function readRecord(row: Row): TaskRecord {
  const at = (index: number): Cell => row[index] ?? null;
  const optional = {
    input: at(4),
    expiresAt: at(11),
    timeoutMs: at(12),
    key: at(13),
    group: at(14),
    owner: at(15),
    checkpoint: at(16),
    progress: at(17),
    output: at(18),
    startedAt: at(22),
    finishedAt: at(23),
    worker: at(24),
    failure: at(26) as FailureKind | null,
    requested: at(27) as StopRequest | null,
  };
  return {
    id: at(0) as string,
    name: at(1) as string,
    queue: at(2) as string,
    state: at(3) as TaskState,
    headers: { ...readHeaders(at(5)) },
    priority: at(6) as number,
    attempt: at(7) as number,
    maxAttempts: (at(8) as number | null) ?? Number.POSITIVE_INFINITY,
    fence: at(9) as number,
    runAt: at(10) as number,
    errors: readList<TaskError>(at(19)),
    log: readList<TaskLogLine>(at(20)),
    createdAt: at(21) as number,
    version: at(25) as number,
    ...withoutNulls(optional as Record<string, Cell>),
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function readHeaders(cell: Cell | undefined): TaskHeaders {
  return typeof cell === 'string' ? (JSON.parse(cell) as TaskHeaders) : noHeaders;
}

/** Lists are JSON arrays of JSON texts. */
function readList<T>(cell: Cell): readonly T[] {
  return typeof cell === 'string' ? (JSON.parse(cell) as string[]).map((item) => JSON.parse(item) as T) : [];
}

function withoutNulls(fields: Record<string, Cell>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}
