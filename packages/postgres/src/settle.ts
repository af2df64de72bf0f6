import {
  type Clock,
  isMillraceError,
  type Lease,
  type SettleOp,
  type SettleOutcome,
  type TaskReport,
  taskListLimits,
  ValidationError,
} from '@millrace/core';
import { checkInteger, kindOf, reconnectDelay, sleep } from '@millrace/core/adapter';
import { plainArray, textArray } from './array-literal.ts';
import type { Database, Statement, Value } from './connection.ts';
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
}

/** Most operations in one statement. */
const mostInStatement = 1_000;

const settleTypes: ReadonlySet<string> = new Set([
  'complete',
  'retry',
  'fail',
  'release',
  'snooze',
  'pause',
  'cancel',
] satisfies SettleOp['type'][]);

/** Refuses what could not be carried out, before any effect. @throws ValidationError */
export function checkSettle(operation: SettleOp): void {
  if (!settleTypes.has(operation.type)) {
    throw new ValidationError(`a settle must be one of ${[...settleTypes].join(', ')}; got ${kindOf(operation.type)}`, {
      option: 'type',
    });
  }
  if ('delayMs' in operation) checkInteger(operation.delayMs, 'delayMs', 0, Number.MAX_SAFE_INTEGER);
}

/** Ends runs. Outcomes come in the order given. */
export async function settleTasks(context: HolderContext, operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
  const { complete, settle } = kindsOf(context);
  const completes = operations.filter((operation) => operation.type === 'complete');
  if (completes.length === operations.length) return applyInOrder(context, complete, operations);
  if (completes.length === 0) return applyInOrder(context, settle, operations);
  if (new Set(operations.map(({ lease }) => lease.taskId)).size < operations.length) {
    // Two operations on one task: which comes first matters, and they may be of both kinds.
    const outcomes: SettleOutcome[] = [];
    for (const operation of operations) outcomes.push(...(await settleTasks(context, [operation])));
    return outcomes;
  }
  // Different tasks: the two statements may overlap.
  const others = operations.filter((operation) => operation.type !== 'complete');
  const [completed, settled] = await Promise.all([
    applyInOrder(context, complete, completes),
    applyInOrder(context, settle, others),
  ]);
  return operations.map(({ type }) => (type === 'complete' ? completed.shift() : settled.shift()) ?? 'unknown');
}

/** Keeps what handlers report. Outcomes come in the order given. */
export async function reportTasks(context: HolderContext, reports: readonly TaskReport[]): Promise<SettleOutcome[]> {
  const { statements } = context;
  return applyInOrder(
    context,
    {
      op: 'session.report',
      statement: statements.reportTasks,
      endsLease: false,
      columns: (batch) => [
        textArray(batch.map(({ progress }) => progress)),
        textArray(batch.map(({ checkpoint }) => checkpoint)),
        textArray(batch.map(({ log }) => log?.map((line) => JSON.stringify(line)).join('\n'))),
        plainArray(batch.map(({ begun }) => begun === true)),
      ],
      limits: [taskListLimits.log],
    },
    reports,
  );
}

interface Kind<T> {
  readonly op: string;
  readonly statement: Statement;
  /** Afterwards the lease is used up. */
  readonly endsLease: boolean;
  /** The columns after session, ids, fences and attempts. */
  readonly columns: (batch: readonly T[]) => readonly Value[];
  /** What follows the number of operations. */
  readonly limits: readonly Value[];
}

function kindsOf({ statements }: HolderContext): {
  readonly complete: Kind<SettleOp>;
  readonly settle: Kind<SettleOp>;
} {
  const failureOf = (operation: SettleOp): string | undefined =>
    'failure' in operation ? JSON.stringify(operation.failure) : undefined;
  return {
    complete: {
      op: 'session.settle',
      statement: statements.completeTasks,
      endsLease: true,
      columns: (batch) => [textArray(batch.map((operation) => ('output' in operation ? operation.output : null)))],
      limits: [],
    },
    settle: {
      op: 'session.settle',
      statement: statements.settleTasks,
      endsLease: true,
      columns: (batch) => [
        textArray(batch.map(({ type }) => type)),
        plainArray(batch.map((operation) => ('delayMs' in operation ? operation.delayMs : null))),
        textArray(batch.map(failureOf)),
        textArray(batch.map((operation) => ('failure' in operation ? operation.failure.kind : null))),
      ],
      limits: [taskListLimits.errors],
    },
  };
}

/** Slices, and takes care that several operations on one lease happen one after the other. */
async function applyInOrder<T extends { readonly lease: Lease }>(
  context: HolderContext,
  kind: Kind<T>,
  operations: readonly T[],
): Promise<SettleOutcome[]> {
  const outcomes = new Array<SettleOutcome>(operations.length);
  let batch: number[] = [];
  let inBatch = new Set<string>();
  const send = async (): Promise<void> => {
    const results = await applyBatch(
      context,
      kind,
      batch.map((index) => operations[index] as T),
    );
    for (const [position, index] of batch.entries()) outcomes[index] = results[position] ?? 'unknown';
    batch = [];
    inBatch = new Set();
  };
  for (let index = 0; index < operations.length; index++) {
    const { lease } = operations[index] as T;
    if (!isPlausible(lease, context.sessionId)) {
      outcomes[index] = 'stale';
      continue;
    }
    if (inBatch.has(lease.taskId) || batch.length === mostInStatement) await send();
    batch.push(index);
    inBatch.add(lease.taskId);
  }
  if (batch.length > 0) await send();
  return outcomes;
}

/** What could not come from a claim of this session must not reach the server, which would refuse the whole batch. */
function isPlausible(lease: Lease, sessionId: string): boolean {
  return (
    lease.sessionId === sessionId &&
    typeof lease.taskId === 'string' &&
    !lease.taskId.includes('\0') &&
    Number.isSafeInteger(lease.fence) &&
    Number.isInteger(lease.attempt) &&
    Math.abs(lease.attempt) < 2 ** 31
  );
}

/** Sends one statement until its outcome is known, or until the time is over. */
async function applyBatch<T extends { readonly lease: Lease }>(
  context: HolderContext,
  kind: Kind<T>,
  operations: readonly T[],
): Promise<SettleOutcome[]> {
  const { clock, operationTimeoutMs } = context;
  const until = clock.monotonic() + operationTimeoutMs;
  const outcomes = new Array<SettleOutcome>(operations.length).fill('unknown');
  // Everybody locks tasks in the order of their ids, so that nobody waits in a circle.
  let open = [...operations.keys()].sort((a, b) => compareIds(operations[a], operations[b]));
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
      const verdicts = await judgeGone(
        context,
        kind,
        gone.map((index) => (operations[index] as T).lease),
        answerLost,
        until,
      );
      for (const [position, index] of gone.entries()) outcomes[index] = verdicts[position] ?? 'unknown';
      open = missed.filter((_, position) => held.has(position));
      if (open.length === 0) return outcomes;
    } catch (error) {
      if (isMillraceError(error, 'CLOSED')) return outcomes;
      if (isMillraceError(error, 'INDETERMINATE')) answerLost = true;
      failures += 1;
      await sleep(Math.min(reconnectDelay(failures), Math.max(1, until - clock.monotonic())), undefined, clock);
    }
  }
}

/** Positions that were settled. */
async function sendBatch<T extends { readonly lease: Lease }>(
  { database, sessionId }: HolderContext,
  kind: Kind<T>,
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
  kind: Kind<T>,
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
