import { randomBytes } from 'node:crypto';
import {
  isMillraceError,
  type Lease,
  type SettleOp,
  type SettleOutcome,
  type TaskFailure,
  type TaskReport,
  taskListLimits,
  ValidationError,
} from '@millrace/core';
import { checkInteger, kindOf, reconnectDelay, sleep } from '@millrace/core/adapter';
import { groupByQueue } from './by-queue.ts';
import type { RedisConnection } from './connection.ts';
import type { JointCalls } from './joint-calls.ts';
import type { Keys } from './keys.ts';
import type { StoreSettings } from './options.ts';
import { orLost } from './or-lost.ts';
import type { ScriptName } from './scripts.ts';
import { generatedIdLength, lettersOfFailures } from './stored-task.ts';

/** What a holder's operations work with. */
export interface HolderContext {
  readonly connection: RedisConnection;
  readonly joint: JointCalls;
  readonly keys: Keys;
  readonly settings: StoreSettings;
  readonly sessionId: string;
  /** In which queue the session holds a task; `undefined` for one it does not hold. */
  readonly queueOf: (taskId: string) => string | undefined;
  /** Aborts when the session is lost: then a task that is not held any more was taken back, not settled. */
  readonly lost: AbortSignal;
}

/** A script of a holder on several of its tasks. */
interface HolderScript<T> {
  readonly op: string;
  readonly script: ScriptName;
  /** Afterwards the lease is used up. */
  readonly endsLease: boolean;
  readonly head: (sessionId: string) => readonly string[];
  /** Arguments after the head. */
  readonly write: (operations: readonly T[]) => readonly string[];
}

const zeros = '0'.repeat(13);
const firstAttempt = padded(1, 10);

/** Others wait while a script runs: one of this size takes about a millisecond. */
const mostInScript = 250;

/** What settle-tasks.lua says of all operations at once. */
const allApplied = '*';

const settleLetters: Readonly<Record<SettleOp['type'], string>> = {
  complete: 'c',
  retry: 't',
  fail: 'f',
  release: 'r',
  snooze: 's',
  pause: 'p',
  cancel: 'x',
};

/** Refuses what could not be carried out, before any effect. @throws ValidationError */
export function checkSettle(operation: SettleOp): void {
  if (!Object.hasOwn(settleLetters, operation.type)) {
    const known = Object.keys(settleLetters).join(', ');
    throw new ValidationError(`a settle must be one of ${known}; got ${kindOf(operation.type)}`, { option: 'type' });
  }
  if ('delayMs' in operation) checkInteger(operation.delayMs, 'delayMs', 0, Number.MAX_SAFE_INTEGER);
}

/** Ends runs. Outcomes come in the order given. */
export function settleTasks(context: HolderContext, operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
  return applyInQueues(context, operations, {
    op: 'session.settle',
    script: 'settleTasks',
    endsLease: true,
    // A repetition after a lost answer has the same token, and is answered like the first time.
    head: (sessionId) => [sessionId, randomBytes(12).toString('base64url')],
    write: writeSettles,
  });
}

/** Keeps what handlers report. Outcomes come in the order given. */
export function reportTasks(context: HolderContext, reports: readonly TaskReport[]): Promise<SettleOutcome[]> {
  return applyInQueues(context, reports, {
    op: 'session.report',
    script: 'reportTasks',
    endsLease: false,
    head: (sessionId) => [sessionId, String(taskListLimits.log)],
    write: (all) => all.flatMap(writeReport),
  });
}

/** Arguments as settle.lua has them. Most are completed, by the leases of one claim: those go as one. */
function writeSettles(operations: readonly SettleOp[]): readonly string[] {
  const args = [areDifferent(operations) ? '1' : '0'];
  for (let at = 0; at < operations.length; ) {
    const first = operations[at] as SettleOp;
    const code = letterOf(first) + writeLease(first.lease);
    const end = endOfRow(operations, at);
    const packed = packIds(operations, at, end);
    if (packed !== '') args.push(code, packed);
    for (; at < end; at++) {
      const operation = operations[at] as SettleOp;
      if (packed === '') args.push(code + operation.lease.taskId);
      if (operation.type !== 'complete') args.push(...needsOf(operation));
      else if (operation.output !== undefined) args.push(operation.output);
    }
  }
  return args;
}

/** Whether no task occurs twice. Ids that were made here rise in the order of their tasks, which is seen at once. */
function areDifferent(operations: readonly SettleOp[]): boolean {
  let last = '';
  for (const { lease } of operations) {
    if (lease.taskId <= last) return new Set(operations.map((one) => one.lease.taskId)).size === operations.length;
    last = lease.taskId;
  }
  return true;
}

/** Where those end that complete, from one operation on, what was given by one claim, all with outputs or all without. */
function endOfRow(operations: readonly SettleOp[], from: number): number {
  const first = operations[from] as SettleOp;
  if (first.type !== 'complete') return from + 1;
  const { attempt, fence } = first.lease;
  const hasOutput = first.output !== undefined;
  let end = from + 1;
  for (; end < operations.length; end++) {
    const operation = operations[end] as SettleOp;
    const { lease } = operation;
    if (lease.fence !== fence || lease.attempt !== attempt) break;
    if (operation.type !== 'complete' || (operation.output !== undefined) !== hasOutput) break;
  }
  return end;
}

/** Their ids as one text, which is cheaper for the server to read; empty if it is one only, or not all are of one size. */
function packIds(operations: readonly SettleOp[], from: number, end: number): string {
  let packed = '';
  if (end === from + 1) return packed;
  for (let at = from; at < end; at++) {
    const { taskId } = (operations[at] as SettleOp).lease;
    if (taskId.length !== generatedIdLength) return '';
    packed += taskId;
  }
  return Buffer.byteLength(packed) === packed.length ? packed : '';
}

/** With an output it is a letter of its own, so that most operations are one text. */
function letterOf(operation: SettleOp): string {
  return operation.type === 'complete' && operation.output !== undefined ? 'o' : settleLetters[operation.type];
}

/** What follows an operation that ends otherwise than in success. */
function needsOf(operation: Exclude<SettleOp, { readonly type: 'complete' }>): readonly string[] {
  switch (operation.type) {
    case 'retry':
      return [String(operation.delayMs), writeFailure(operation.failure)];
    case 'fail':
      return [writeFailure(operation.failure)];
    case 'snooze':
      return [String(operation.delayMs)];
    default:
      return [];
  }
}

function writeFailure(failure: TaskFailure): string {
  return (lettersOfFailures[failure.kind] ?? 'e') + JSON.stringify(failure);
}

function writeReport({ lease, progress, checkpoint, log, begun }: TaskReport): readonly string[] {
  const code = writeLease(lease) + (begun === true ? '1' : '0');
  const lines = log?.slice(-taskListLimits.log).map((line) => JSON.stringify(line)) ?? [];
  return [lease.taskId, code, marked(progress), marked(checkpoint), lines.join('\n')];
}

function writeLease({ attempt, fence }: Lease): string {
  return (attempt === 1 ? firstAttempt : padded(attempt, 10)) + padded(fence, 13);
}

/** Cheaper than `padStart`, and made for every task. */
function padded(value: number, size: number): string {
  const text = String(value);
  return zeros.slice(0, size - text.length) + text;
}

/** Absent is an empty text; what is there has a character before it. */
function marked(text: string | undefined): string {
  return text === undefined ? '' : `1${text}`;
}

async function applyInQueues<T extends { readonly lease: Lease }>(
  context: HolderContext,
  operations: readonly T[],
  kind: HolderScript<T>,
): Promise<SettleOutcome[]> {
  const outcomes = new Array<SettleOutcome>(operations.length).fill('stale');
  const parts: Promise<void>[] = [];
  // Without those on tasks the session does not hold.
  const queueOf = (index: number): string | undefined => {
    const { lease } = operations[index] as T;
    return isPlausible(lease, context.sessionId) ? context.queueOf(lease.taskId) : undefined;
  };
  for (const [queue, mine] of groupByQueue(operations.keys(), queueOf)) {
    // All leave at once: a connection keeps the order of what is sent on it.
    for (let from = 0; from < mine.length; from += mostInScript) {
      parts.push(applyPart(context, kind, queue, operations, mine.slice(from, from + mostInScript), outcomes));
    }
  }
  await Promise.all(parts);
  return outcomes;
}

/** Sends one script until its outcome is known, or until the time is over. */
async function applyPart<T extends { readonly lease: Lease }>(
  { connection, joint, keys, settings, sessionId, queueOf, lost }: HolderContext,
  kind: HolderScript<T>,
  queue: string,
  operations: readonly T[],
  indexes: readonly number[],
  outcomes: SettleOutcome[],
): Promise<void> {
  const { clock, operationTimeoutMs } = settings;
  const until = clock.monotonic() + operationTimeoutMs;
  const args = [...kind.head(sessionId), ...kind.write(indexes.map((index) => operations[index] as T))];
  let answerLost = false;
  for (let failures = 0; ; ) {
    const left = until - clock.monotonic();
    try {
      const call = { op: kind.op, timeoutMs: Math.max(1, left), durable: kind.endsLease };
      const queueKey = keys.queue(queue);
      const isFirstSettle = kind.script === 'settleTasks' && failures === 0;
      const answer = isFirstSettle
        ? joint.settle(queueKey, args, indexes.length, call)
        : connection.run(kind.script, queueKey, args, call);
      const letters = String(await orLost(answer, lost));
      // Not held any more: another settle of the same lease was answered meanwhile, and this one came second.
      const isFirst = (taskId: string): boolean => kind.endsLease && answerLost && queueOf(taskId) !== undefined;
      noteOutcomes(outcomes, indexes, letters, (index) => {
        return judgeStale(isFirst((operations[index] as T).lease.taskId), lost.aborted);
      });
      return;
    } catch (error) {
      for (const index of indexes) outcomes[index] = 'unknown';
      // The tasks of a lost session are somebody else's by now or soon: there is nothing left to find out in time.
      if (isMillraceError(error, 'CLOSED') || lost.aborted) return;
      if (isMillraceError(error, 'INDETERMINATE')) answerLost = true;
      failures += 1;
      const pauseMs = reconnectDelay(failures);
      if (clock.monotonic() + pauseMs >= until) return;
      await sleep(pauseMs, lost, clock);
    }
  }
}

/** Apart from what waits for the server: a loop is made fast together with all that is around it. */
function noteOutcomes(
  outcomes: SettleOutcome[],
  indexes: readonly number[],
  letters: string,
  judge: (index: number) => SettleOutcome,
): void {
  const all = letters === allApplied;
  for (let position = 0; position < indexes.length; position++) {
    const index = indexes[position] as number;
    outcomes[index] = all || letters[position] === 'a' ? 'applied' : judge(index);
  }
}

/** After a lost answer, a lease that is not good any more was used by the call of that answer, or taken back. */
function judgeStale(answerLost: boolean, isLost: boolean): SettleOutcome {
  if (!answerLost) return 'stale';
  // While the session is trusted nobody else could take the task from it.
  return isLost ? 'unknown' : 'applied';
}

/** What could not come from a claim of this session need not reach the server. */
function isPlausible(lease: Lease, sessionId: string): boolean {
  return (
    lease.sessionId === sessionId &&
    typeof lease.taskId === 'string' &&
    Number.isSafeInteger(lease.fence) &&
    lease.fence >= 0 &&
    lease.fence < 1e13 &&
    Number.isInteger(lease.attempt) &&
    lease.attempt >= 0 &&
    lease.attempt < 1e10
  );
}
