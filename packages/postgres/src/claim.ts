import type { ClaimRequest, ClaimVerdict } from '@millrace/core';
import { textArray } from './array-literal.ts';
import type { Database, Row } from './connection.ts';
import { type ClaimedRow, readClaimedRow } from './rows.ts';
import type { Statements } from './statements.ts';

/** Who claims. */
export interface Claimant {
  readonly database: Database;
  readonly statements: Statements;
  readonly sessionId: string;
  readonly worker: string;
}

/** How far beyond what is asked for a line is looked down: others may have locked its head. */
const spareLook = 50;
const furthestLook = 4_000;

/**
 * Takes tasks, without waiting. Within a queue: higher priority first, then the earlier due time, then the order of
 * storing. Between queues: higher priority first, then as `queues` lists them.
 */
export async function claimTasks(
  claimant: Claimant,
  request: Pick<ClaimRequest, 'names' | 'limit'>,
  queues: readonly string[],
  look: number = request.limit + spareLook,
): Promise<ClaimedRow[]> {
  const { database, statements, sessionId, worker } = claimant;
  const { names, limit } = request;
  const call = { op: 'session.claim' };
  const [name, ...others] = new Set(names);
  const rows =
    others.length === 0
      ? await database.query(statements.claimTasks, [sessionId, worker, textArray(queues), name ?? '', limit], call)
      : await database.query(
          statements.claimMixedTasks,
          [sessionId, worker, textArray(queues), textArray(names), limit, Math.min(look, furthestLook)],
          call,
        );
  return readClaimedRows(rows, sessionId, queues, name);
}

/** What the server says of a task asked for by its id. */
export type IdAnswer =
  | { readonly status: 'claimed'; readonly row: ClaimedRow }
  /** The session runs it already, as far as the server knows. */
  | { readonly status: 'ours' }
  | Exclude<ClaimVerdict, { readonly status: 'claimed' }>;

/** Takes these tasks as far as they are to be had. `undefined`: the session has ended, and nothing was taken. */
export async function claimByIds(
  { database, statements, sessionId, worker }: Claimant,
  ids: readonly string[],
  timeoutMs: number,
): Promise<ReadonlyMap<string, IdAnswer> | undefined> {
  const call = { op: 'session.claimTasks', timeoutMs };
  const rows = await database.query(statements.claimTheseTasks, [sessionId, worker, textArray(ids)], call);
  const answers = new Map<string, IdAnswer>();
  for (const [alive, id, status, dueInMs, ...claimed] of rows) {
    if (alive !== true) return undefined;
    answers.set(String(id), readAnswer(String(status), Number(dueInMs), claimed, sessionId));
  }
  return answers;
}

function readAnswer(status: string, dueInMs: number, claimed: Row, sessionId: string): IdAnswer {
  if (status === 'claimed') return { status, row: readClaimedRow(claimed, sessionId) };
  if (status === 'early') return { status, dueInMs };
  return { status } as IdAnswer;
}

/** Puts claimed rows, which come in no order, in the order they are to run. */
export function readClaimedRows(
  rows: readonly Row[],
  sessionId: string,
  queues: readonly string[],
  name?: string,
): ClaimedRow[] {
  const asked = { name, queue: queues[0] };
  const claimed = rows.map((row) => readClaimedRow(row, sessionId, asked));
  claimed.sort(
    ({ delivery: a, sequence: first }, { delivery: b, sequence: second }) =>
      b.priority - a.priority ||
      (a.queue === b.queue ? 0 : queues.indexOf(a.queue) - queues.indexOf(b.queue)) ||
      a.runAt - b.runAt ||
      first - second,
  );
  return claimed;
}

/** When a claim that found nothing may find something without anybody saying so. */
export interface NextDue {
  /** Whether the session is alive. */
  readonly alive: boolean;
  /** Milliseconds until the next task is due; zero when one is: others hold it, or it came this moment. */
  readonly inMs: number | undefined;
}

export async function findNextDue(
  claimant: Claimant,
  request: Pick<ClaimRequest, 'queues' | 'names'>,
): Promise<NextDue> {
  const { database, statements, sessionId } = claimant;
  const values = [sessionId, textArray(request.queues), textArray(request.names)];
  const rows = await database.query(statements.nextDue, values, { op: 'session.claim', writes: false });
  const [alive, ms] = rows[0] ?? [];
  return { alive: alive === true, inMs: typeof ms === 'number' ? Math.max(0, ms) : undefined };
}
