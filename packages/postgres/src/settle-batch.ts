import { type Clock, isMillraceError, type Lease, type SettleOutcome } from '@millrace/core';
import { reconnectDelay, sleep } from '@millrace/core/adapter';
import { plainArray, textArray } from './array-literal.ts';
import type { Database, Statement, Value } from './connection.ts';
import type { HeldTask } from './session-claims.ts';
import type { Statements } from './statements.ts';

/** What a holder's operations work with. */
export interface HolderContext {
  readonly database: Database;
  readonly statements: Statements;
  readonly clock: Clock;
  readonly operationTimeoutMs: number;
  readonly sessionId: string;
  /** Whether the session is lost: then a task that is not held any more was taken back, not settled. */
  readonly isLost: () => boolean;
  /** What the session knows of a lease it was given and has not settled. */
  readonly find: (lease: Lease) => HeldTask | undefined;
}

/** A statement of a holder on several of its tasks. */
export interface HolderStatement<T> {
  readonly op: string;
  readonly statement: Statement;
  /** Afterwards the lease is used up. */
  readonly endsLease: boolean;
  /** The columns after session, ids, fences and attempts. */
  readonly columns: (batch: readonly T[]) => readonly Value[];
  /** What follows the number of operations. */
  readonly limits: readonly Value[];
}

/** Sends one statement until its outcome is known, or until the time is over. */
export async function applyBatch<T extends { readonly lease: Lease }>(
  context: HolderContext,
  kind: HolderStatement<T>,
  operations: readonly T[],
): Promise<SettleOutcome[]> {
  const { clock, operationTimeoutMs } = context;
  const until = clock.monotonic() + operationTimeoutMs;
  const outcomes = new Array<SettleOutcome>(operations.length).fill('unknown');
  // Everybody locks tasks in the order of their ids, so that nobody waits in a circle.
  let open = [...operations.keys()].sort((a, b) => compareIds(operations[a], operations[b]));
  const ours = operations.map(({ lease }) => context.find(lease));
  let answerLost = false;
  for (let failures = 0; ; ) {
    const left = until - clock.monotonic();
    if (left <= 0) return outcomes;
    try {
      const batch = open.map((index) => operations[index] as T);
      const settled = await sendBatch(context, kind, batch, left);
      for (const position of settled) outcomes[open[position] as number] = 'applied';
      const missed = open.filter((_, position) => !settled.has(position));
      if (missed.length === 0) return outcomes;
      // Not there, or changed by somebody else at this very moment (a stop was asked for): only the former is stale.
      const held = await findHeld(
        context,
        missed.map((index) => (operations[index] as T).lease),
        until,
      );
      const gone = missed.filter((_, position) => !held.has(position));
      // What it did not hold when this began, no lost answer of this can have settled.
      for (const index of gone) if (ours[index] === undefined) outcomes[index] = 'stale';
      const judged = gone.filter((index) => ours[index] !== undefined);
      const verdicts = await judgeGone(
        context,
        kind,
        judged.map((index) => (operations[index] as T).lease),
        answerLost,
        until,
      );
      for (const [position, index] of judged.entries()) outcomes[index] = verdicts[position] ?? 'unknown';
      open = missed.filter((_, position) => held.has(position));
      for (const index of open) forgetPlace(ours[index]);
      if (open.length === 0) return outcomes;
    } catch (error) {
      if (isMillraceError(error, 'CLOSED')) return outcomes;
      if (isMillraceError(error, 'INDETERMINATE')) answerLost = true;
      failures += 1;
      await sleep(Math.min(reconnectDelay(failures), Math.max(1, until - clock.monotonic())), undefined, clock);
    }
  }
}

/** The row has moved, or is about to. */
export function forgetPlace(held: HeldTask | undefined): void {
  if (held !== undefined) held.place = undefined;
}

/** Positions that were settled. */
async function sendBatch<T extends { readonly lease: Lease }>(
  { database, sessionId }: HolderContext,
  kind: HolderStatement<T>,
  batch: readonly T[],
  timeoutMs: number,
): Promise<ReadonlySet<number>> {
  const leases = batch.map(({ lease }) => lease);
  const values = [sessionId, ...leaseColumns(leases), ...kind.columns(batch), batch.length, ...kind.limits];
  const rows = await database.query(kind.statement, values, { op: kind.op, timeoutMs });
  const [count, positions] = rows[0] ?? [];
  if (count === batch.length) return new Set(batch.keys());
  return readPositions(positions);
}

async function findHeld(context: HolderContext, leases: readonly Lease[], until: number): Promise<ReadonlySet<number>> {
  const { database, statements, sessionId, clock } = context;
  const call = { op: 'session.settle', writes: false, timeoutMs: Math.max(1, until - clock.monotonic()) };
  const rows = await database.query(statements.findHeld, [sessionId, ...leaseColumns(leases)], call);
  return readPositions(rows[0]?.[0]);
}

/** What became of leases that are not held any more. */
async function judgeGone<T>(
  context: HolderContext,
  kind: HolderStatement<T>,
  leases: readonly Lease[],
  answerLost: boolean,
  until: number,
): Promise<SettleOutcome[]> {
  if (!answerLost || leases.length === 0 || !kind.endsLease) return leases.map(() => 'stale');
  // While the session is trusted nobody else could take them from it: it was the statement whose answer was lost.
  if (!context.isLost()) return leases.map(() => 'applied');
  const { database, statements, sessionId, clock } = context;
  const [ids, fences] = leaseColumns(leases);
  const call = { op: 'session.settle', writes: false, timeoutMs: Math.max(1, until - clock.monotonic()) };
  const rows = await database.query(statements.findEndedBy, [sessionId, ids ?? '', fences ?? ''], call);
  const ended = readPositions(rows[0]?.[0]);
  return leases.map((_, position) => (ended.has(position) ? 'applied' : 'unknown'));
}

function leaseColumns(leases: readonly Lease[]): string[] {
  return [
    textArray(leases.map(({ taskId }) => taskId)),
    plainArray(leases.map(({ fence }) => fence)),
    plainArray(leases.map(({ attempt }) => attempt)),
  ];
}

/** Positions count from 1 in SQL. */
function readPositions(cell: unknown): ReadonlySet<number> {
  return new Set(typeof cell === 'string' ? (JSON.parse(cell) as number[]).map((position) => position - 1) : []);
}

function compareIds(first: { lease: Lease } | undefined, second: { lease: Lease } | undefined): number {
  const [a, b] = [first?.lease.taskId ?? '', second?.lease.taskId ?? ''];
  return a < b ? -1 : a > b ? 1 : 0;
}
