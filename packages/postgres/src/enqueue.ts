import {
  type BrokerEnqueueOptions,
  type Capabilities,
  type Clock,
  type EnqueueOutcome,
  isMillraceError,
  type NewTask,
  UnavailableError,
  ValidationError,
} from '@millrace/core';
import { doneInPart, findTaskError, payloadBytes, throwIfAborted, withDeadline } from '@millrace/core/adapter';
import type { CallOptions, Cell, Database, Statement, Value } from './connection.ts';
import { DeadlineError, explainFailure } from './errors.ts';
import { type Notifier, workMessage } from './notify.ts';
import type { Statements } from './statements.ts';
import { alikeColumnsOf, areAlike, columnsOf, isPlain, keyColumnsOf, plainValuesOf } from './task-columns.ts';

/** A transaction of the caller: a `pg` client in one, a PGlite transaction, or anything with such a `query`. */
export interface PostgresTransaction {
  query(text: string, values: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
}

/** What enqueueing works with. */
export interface EnqueueContext {
  readonly database: Database;
  readonly statements: Statements;
  readonly notifier: Notifier;
  readonly capabilities: Capabilities;
  /** A due time within this span cannot wait for the next poll. */
  readonly pollMs: number;
  readonly operationTimeoutMs: number;
  readonly clock: Clock;
  readonly wake: (queues: readonly string[]) => void;
}

/** Most bytes of inputs in one statement: parameters are kept in memory on both sides. */
const mostBytes = 16_777_216;
/** How often a conflict with something that came after the statement's snapshot is looked at again. */
const mostTries = 20;

const call: CallOptions = { op: 'enqueue' };

type Run = (statement: Statement, values: readonly Value[]) => Promise<readonly Cell[]>;

/** Stores tasks. Outcomes come in the order given; a task that breaks a rule does not take the others down. */
export async function enqueueTasks(
  context: EnqueueContext,
  tasks: readonly NewTask[],
  options: BrokerEnqueueOptions<PostgresTransaction>,
): Promise<EnqueueOutcome[]> {
  throwIfAborted(options.signal, 'enqueue');
  const [only] = tasks;
  if (tasks.length === 1 && only !== undefined && isFresh(only) && options.transaction === undefined) {
    const outcome = await storeLone(context, only);
    if (outcome !== undefined) return [outcome];
  }
  const outcomes = new Array<EnqueueOutcome>(tasks.length);
  const valid: number[] = [];
  for (let index = 0; index < tasks.length; index++) {
    const error = findError(tasks[index] as NewTask, context.capabilities);
    if (error === undefined) valid.push(index);
    else outcomes[index] = { status: 'rejected', error };
  }
  const store = new Store(context, tasks, outcomes, options.transaction);
  await store.storeAll(valid);
  return outcomes;
}

/**
 * A lone new task, without all that gathers, divides and compares: whoever awaits enqueue after enqueue waits for that.
 * `undefined`: nothing is stored, take the other way.
 */
async function storeLone(context: EnqueueContext, task: NewTask): Promise<EnqueueOutcome | undefined> {
  const { database, statements, notifier, capabilities, wake } = context;
  const error = findError(task, capabilities);
  if (error !== undefined) return { status: 'rejected', error };
  const queues = isUrgent(task, context.pollMs, Date.now()) ? [task.queue] : [];
  const { message, left } = notifier.takeWorkMessage(queues);
  try {
    if (message === null && isPlain(task)) await database.query(statements.enqueueOne, plainValuesOf(task), call);
    else await database.query(statements.enqueueAlike, [...alikeColumnsOf([task]), notifier.channel, message], call);
  } catch (error) {
    notifier.announce(queues);
    if (isAlreadyThere(error)) return undefined;
    throw error;
  }
  notifier.announce(left);
  wake(queues);
  return { status: 'accepted' };
}

function findError(task: NewTask, capabilities: Capabilities): ValidationError | undefined {
  const error = findTaskError(task, capabilities);
  // An encoded payload never holds it; text columns cannot.
  if (error !== undefined || task.input?.includes('\0') !== true) return error;
  return new ValidationError('input holds U+0000; encode it with encodePayload', {
    option: 'input',
    reason: 'unstorable-value',
  });
}

class Store {
  readonly #context: EnqueueContext;
  readonly #tasks: readonly NewTask[];
  readonly #outcomes: EnqueueOutcome[];
  readonly #transaction: PostgresTransaction | undefined;

  constructor(
    context: EnqueueContext,
    tasks: readonly NewTask[],
    outcomes: EnqueueOutcome[],
    transaction: PostgresTransaction | undefined,
  ) {
    this.#context = context;
    this.#tasks = tasks;
    this.#outcomes = outcomes;
    this.#transaction = transaction;
  }

  async storeAll(indexes: readonly number[]): Promise<void> {
    const { notifier, wake } = this.#context;
    const parts = this.#slice(indexes);
    if (parts.length === 0) return;
    const queues = this.#urgentQueues(indexes);
    if (this.#transaction !== undefined) {
      const run = callerRun(this.#transaction, this.#context);
      const message = queues.length === 0 ? null : workMessage(queues);
      for (const [number, part] of parts.entries()) await this.#store(part, run, number === 0 ? message : null);
      return;
    }
    const { message, left } = notifier.takeWorkMessage(queues);
    try {
      await this.#storeParts(parts, message);
    } catch (error) {
      notifier.announce(queues);
      throw error;
    }
    notifier.announce(left);
    wake(queues);
  }

  async #storeParts(parts: readonly (readonly number[])[], message: string | null): Promise<void> {
    const { database } = this.#context;
    if (parts.length === 1) {
      const run: Run = async (statement, values) => (await database.query(statement, values, call))[0] ?? [];
      const part = parts[0] as number[];
      if (await this.#storeAlike(part, run, message)) return;
      await this.#store(part, run, message).catch((error: unknown) => {
        // Ids that are fought over are asked for again, after the others were stored.
        throw part.some((index) => this.#outcomes[index] !== undefined) ? doneInPart(error, 'enqueue') : error;
      });
    } else {
      // All or nothing, whatever the size.
      await database.transaction(call, async (transaction) => {
        const run: Run = async (statement, values) => (await transaction.run(statement, values))[0] ?? [];
        for (const [number, part] of parts.entries()) await this.#store(part, run, number === 0 ? message : null);
      });
    }
  }

  /** Queues in which something is due before idle workers look again by themselves. */
  #urgentQueues(indexes: readonly number[]): readonly string[] {
    const now = Date.now();
    const queues = new Set<string>();
    for (const index of indexes) {
      const task = this.#tasks[index] as NewTask;
      if (isUrgent(task, this.#context.pollMs, now)) queues.add(task.queue);
    }
    return [...queues];
  }

  /** Parts of at most so many tasks and bytes; tasks with a key that replaces come after those with the same key. */
  #slice(indexes: readonly number[]): number[][] {
    const { maxEnqueue } = this.#context.capabilities.batch;
    const parts: number[][] = [];
    let part: number[] = [];
    let bytes = 0;
    let keys: Set<string> | undefined;
    for (const index of indexes) {
      const task = this.#tasks[index] as NewTask;
      const size = payloadBytes(task.input);
      const key = task.key === undefined ? undefined : JSON.stringify([task.queue, task.key]);
      const replacesInPart = key !== undefined && task.onConflict === 'replace' && keys?.has(key) === true;
      if (part.length > 0 && (part.length === maxEnqueue || bytes + size > mostBytes || replacesInPart)) {
        parts.push(part);
        part = [];
        bytes = 0;
        keys = undefined;
      }
      part.push(index);
      bytes += size;
      if (key !== undefined) {
        keys ??= new Set();
        keys.add(key);
      }
    }
    if (part.length > 0) parts.push(part);
    return parts;
  }

  /** The short way, outside transactions, which a conflict would spoil. False: nothing is stored, take the other way. */
  async #storeAlike(indexes: readonly number[], run: Run, message: string | null): Promise<boolean> {
    const { statements, notifier } = this.#context;
    const tasks = indexes.map((index) => this.#tasks[index] as NewTask);
    if (!tasks.every(isFresh) || !areAlike(tasks)) return false;
    try {
      await run(statements.enqueueAlike, [...alikeColumnsOf(tasks), notifier.channel, message]);
    } catch (error) {
      if (isAlreadyThere(error)) return false;
      throw error;
    }
    for (const index of indexes) this.#outcomes[index] = { status: 'accepted' };
    return true;
  }

  async #store(indexes: readonly number[], run: Run, message: string | null): Promise<void> {
    if (indexes.every((index) => isFresh(this.#tasks[index] as NewTask))) await this.#storeFresh(indexes, run, message);
    else await this.#storeChecked(indexes, run, message);
  }

  async #storeFresh(indexes: readonly number[], run: Run, message: string | null): Promise<void> {
    const { statements, notifier } = this.#context;
    const values = [...columnsOf(indexes.map((index) => this.#tasks[index] as NewTask)), indexes.length];
    const [, ids] = await run(statements.enqueueFresh, [...values, notifier.channel, message]);
    // Told only when some ids were there already, against the caller's promise.
    const stored = typeof ids === 'string' ? new Set(JSON.parse(ids) as string[]) : undefined;
    const allStored = ids === null || ids === undefined;
    for (const index of indexes) {
      const { id } = this.#tasks[index] as NewTask;
      const accepted = allStored || stored?.delete(id) === true;
      this.#outcomes[index] = accepted ? { status: 'accepted' } : { status: 'duplicate', existingId: id };
    }
  }

  async #storeChecked(indexes: readonly number[], run: Run, message: string | null): Promise<void> {
    const { statements, notifier } = this.#context;
    let open = indexes;
    for (let tries = 1; open.length > 0; tries++) {
      if (tries > mostTries) {
        throw new UnavailableError('enqueue: an id or unique key is fought over by other calls; try again', {
          op: 'enqueue',
          reason: 'transaction-conflict',
        });
      }
      const batch: readonly number[] = open;
      const tasks = batch.map((index) => this.#tasks[index] as NewTask);
      const values = [...columnsOf(tasks), ...keyColumnsOf(tasks), notifier.channel, tries === 1 ? message : null];
      const [json] = await run(statements.enqueueChecked, values);
      const answers = JSON.parse(String(json)) as [number, EnqueueOutcome['status'] | null, string | null][];
      open = answers.flatMap(([position, status, existingId]) => {
        const index = batch[position - 1] as number;
        if (status === null) return [index];
        this.#outcomes[index] = outcomeOf(status, existingId);
        return [];
      });
    }
  }
}

/** Whether it is due before idle workers look again by themselves. */
function isUrgent({ delayMs, runAt }: NewTask, pollMs: number, now: number): boolean {
  // The server's clock may differ from ours, hence the generous horizon: telling too often does no harm.
  return runAt === undefined ? delayMs <= pollMs : runAt <= now + 10 * pollMs;
}

/** An id was there, against the caller's promise. */
function isAlreadyThere(error: unknown): boolean {
  return isMillraceError(error, 'UNAVAILABLE') && error.reason === 'already-there';
}

function isFresh(task: NewTask): boolean {
  return task.fresh === true && task.key === undefined;
}

function outcomeOf(status: EnqueueOutcome['status'], existingId: string | null): EnqueueOutcome {
  if (status === 'duplicate' || status === 'replaced') return { status, existingId: existingId ?? '' };
  return { status: 'accepted' };
}

/** Runs in the caller's transaction. Its driver may give rows as objects or as arrays. */
function callerRun(transaction: PostgresTransaction, context: EnqueueContext): Run {
  const { database, operationTimeoutMs, clock } = context;
  const where = { op: 'enqueue', adapter: database.adapter };
  if (typeof transaction?.query !== 'function') {
    throw new ValidationError('transaction must have a query(text, values) method, as a pg client or a PGlite has', {
      ...where,
      option: 'transaction',
    });
  }
  return async ({ text }, values) => {
    try {
      const late = (): Error => new DeadlineError('the deadline is over');
      const { rows } = await withDeadline(transaction.query(text, [...values]), operationTimeoutMs, late, clock);
      const row: unknown = rows[0];
      return Array.isArray(row) ? (row as Cell[]) : (Object.values(row as object) as Cell[]);
    } catch (error) {
      throw explainFailure(error, { ...where, sent: true, writes: true }).error;
    }
  };
}
