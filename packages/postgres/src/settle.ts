import {
  type Lease,
  type SettleOp,
  type SettleOutcome,
  type TaskReport,
  taskListLimits,
  ValidationError,
} from '@millrace/core';
import { checkInteger, kindOf } from '@millrace/core/adapter';
import { plainArray, textArray } from './array-literal.ts';
import { applyBatch, forgetPlace, type HolderContext, type HolderStatement } from './settle-batch.ts';

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
  if ('output' in operation) checkStorable(operation.output, 'output');
}

/** Refuses what text columns cannot hold, before it takes a whole batch down. @throws ValidationError */
export function checkReport({ progress, checkpoint }: TaskReport): void {
  checkStorable(progress, 'progress');
  checkStorable(checkpoint, 'checkpoint');
}

function checkStorable(payload: string | undefined, option: string): void {
  // An encoded payload never holds it.
  if (payload?.includes('\0') !== true) return;
  throw new ValidationError(`${option} holds U+0000; encode it with encodePayload`, {
    option,
    reason: 'unstorable-value',
  });
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
  const { statements, find } = context;
  for (const { lease } of reports) forgetPlace(find(lease));
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

function kindsOf({ statements, find }: HolderContext): {
  readonly complete: HolderStatement<SettleOp>;
  readonly settle: HolderStatement<SettleOp>;
} {
  const failureOf = (operation: SettleOp): string | undefined =>
    'failure' in operation ? JSON.stringify(operation.failure) : undefined;
  return {
    complete: {
      op: 'session.settle',
      statement: statements.completeTasks,
      endsLease: true,
      columns: (batch) => [
        textArray(batch.map((operation) => ('output' in operation ? operation.output : null))),
        textArray(batch.map(({ lease }) => find(lease)?.place)),
      ],
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
  kind: HolderStatement<T>,
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
