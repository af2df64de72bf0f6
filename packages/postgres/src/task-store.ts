import {
  type Capabilities,
  type Clock,
  type ControlOutcome,
  type DueTime,
  priorityRange,
  type TaskChanges,
  type TaskFilter,
  type TaskPage,
  type TaskRecord,
  type TaskStore,
  UnsupportedError,
  ValidationError,
} from '@millrace/core';
import { checkInteger, checkKnownOptions, checkName, doneInPart, kindOf, payloadBytes } from '@millrace/core/adapter';
import { textArray } from './array-literal.ts';
import type { Database, Statement, Value } from './connection.ts';
import { filterQuery, isStorable, writeCursor } from './filter.ts';
import { readRecord } from './rows.ts';
import type { Statements } from './statements.ts';

/** What a task store needs of the broker it belongs to. */
export interface TaskStoreOwner {
  readonly database: Database;
  readonly statements: Statements;
  readonly clock: Clock;
  readonly channel: string;
  readonly requireOpen: (op: string) => Capabilities;
  /** Queues in which something may be due now. */
  readonly onWork: (queues: readonly string[]) => void;
  /** A stop was asked of running tasks. */
  readonly onStopRequested: () => void;
  /** Tasks that ended or are gone. */
  readonly onEnded: (taskIds: readonly string[]) => void;
  readonly waitForEnd: (ids: readonly string[], waitMs: number, signal: AbortSignal | undefined) => Promise<void>;
}

type Operation = 'cancel' | 'pause' | 'resume' | 'rerun' | 'reschedule' | 'update' | 'remove';

const furthestInstant = 8_640_000_000_000_000;
/** Most ids in one statement. */
const mostInStatement = 1_000;
/** A task that moves between the tables at that moment is found in neither, once. */
const mostLooks = 3;

/** Lookup and control of tasks. */
export class PostgresTaskStore implements TaskStore {
  readonly #owner: TaskStoreOwner;

  constructor(owner: TaskStoreOwner) {
    this.#owner = owner;
  }

  async get(ids: readonly string[]): Promise<(TaskRecord | undefined)[]> {
    const { database, statements, requireOpen } = this.#owner;
    requireOpen('tasks.get');
    const found = new Map<string, TaskRecord>();
    for (const part of slices(ids.filter(isStorable))) {
      const rows = await database.query(statements.getTasks, [textArray(part)], { op: 'tasks.get', writes: false });
      for (const row of rows) {
        const record = readRecord(row);
        found.set(record.id, record);
      }
    }
    return ids.map((id) => found.get(id));
  }

  async list(filter: TaskFilter, page: { readonly limit: number; readonly cursor?: string }): Promise<TaskPage> {
    const { database, statements, requireOpen } = this.#owner;
    requireOpen('tasks.list');
    const limit = checkInteger(page.limit, 'limit', 1, 1_000);
    // One more than asked for: then there is a next page.
    const { statement, values } = filterQuery(statements.listTasks, filter, page.cursor, limit + 1);
    const rows = await database.query(statement, values, { op: 'tasks.list', writes: false });
    const tasks = rows.slice(0, limit).map(readRecord);
    const last = tasks.at(-1);
    return rows.length > limit && last !== undefined ? { tasks, cursor: writeCursor(last.id) } : { tasks };
  }

  async count(filter: TaskFilter): Promise<number> {
    const { database, statements, requireOpen } = this.#owner;
    requireOpen('tasks.count');
    const { statement, values } = filterQuery(statements.countTasks, filter);
    const rows = await database.query(statement, values, { op: 'tasks.count', writes: false });
    return Number(rows[0]?.[0] ?? 0);
  }

  async cancel(ids: readonly string[]): Promise<ControlOutcome[]> {
    const { statements, channel } = this.#owner;
    return this.#control('cancel', ids, statements.cancelTasks, [channel]);
  }

  async pause(ids: readonly string[]): Promise<ControlOutcome[]> {
    const { statements, channel } = this.#owner;
    return this.#control('pause', ids, statements.pauseTasks, [channel]);
  }

  async resume(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#control('resume', ids, this.#owner.statements.resumeTasks, []);
  }

  async rerun(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#control('rerun', ids, this.#owner.statements.rerunTasks, []);
  }

  async reschedule(ids: readonly string[], due: DueTime): Promise<ControlOutcome[]> {
    const { delay } = this.#owner.requireOpen('tasks.reschedule');
    const values: Value[] =
      'at' in due
        ? [null, checkInteger(due.at, 'at', -furthestInstant, furthestInstant)]
        : [checkInteger(due.delayMs, 'delay', 0, delay.maxMs), null];
    return this.#control('reschedule', ids, this.#owner.statements.rescheduleTasks, values);
  }

  async update(ids: readonly string[], changes: TaskChanges): Promise<ControlOutcome[]> {
    checkChanges(changes, this.#owner.requireOpen('tasks.update').payload.maxBytes);
    const { input = null, priority = null, group = null, owner = null } = changes;
    return this.#control('update', ids, this.#owner.statements.updateTasks, [input, priority, group, owner]);
  }

  async remove(ids: readonly string[]): Promise<ControlOutcome[]> {
    const { statements, channel } = this.#owner;
    return this.#control('remove', ids, statements.removeTasks, [channel]);
  }

  async wait(
    ids: readonly string[],
    options: { readonly waitMs: number; readonly signal?: AbortSignal },
  ): Promise<(TaskRecord | undefined)[]> {
    this.#owner.requireOpen('tasks.wait');
    checkInteger(options.waitMs, 'waitMs', 0, Number.MAX_SAFE_INTEGER);
    await this.#owner.waitForEnd(ids.filter(isStorable), options.waitMs, options.signal);
    return this.get(ids);
  }

  events(): never {
    const { requireOpen, database } = this.#owner;
    requireOpen('tasks.events');
    throw new UnsupportedError('tasks.events', 'this broker has no event stream; use tasks.wait or tasks.list', {
      op: 'tasks.events',
      adapter: database.adapter,
    });
  }

  async #control(
    operation: Operation,
    ids: readonly string[],
    statement: Statement,
    values: readonly Value[],
  ): Promise<ControlOutcome[]> {
    const op = `tasks.${operation}`;
    this.#owner.requireOpen(op);
    const outcomes = new Map<string, ControlOutcome>();
    const queues = new Set<string>();
    let open = [...new Set(ids.filter(isStorable))];
    try {
      for (let look = 1; open.length > 0 && look <= mostLooks; look++) {
        for (const part of slices(open)) {
          const rows = await this.#owner.database.query(statement, [textArray(part), ...values], { op });
          const answers = JSON.parse(String(rows[0]?.[0] ?? null)) as [string, ControlOutcome, string][] | null;
          for (const [id, outcome, queue] of answers ?? []) {
            outcomes.set(id, outcome);
            if (outcome === 'applied') queues.add(queue);
          }
        }
        open = open.filter((id) => !outcomes.has(id));
      }
    } catch (error) {
      const isChanged = [...outcomes.values()].some((outcome) => outcome === 'applied' || outcome === 'requested');
      throw isChanged ? doneInPart(error, op) : error;
    } finally {
      this.#react(operation, outcomes, queues);
    }
    return ids.map((id) => outcomes.get(id) ?? 'not-found');
  }

  /** Wakes whom the operation concerns. */
  #react(operation: Operation, outcomes: ReadonlyMap<string, ControlOutcome>, queues: ReadonlySet<string>): void {
    const having = (outcome: ControlOutcome): string[] =>
      [...outcomes].flatMap(([id, each]) => (each === outcome ? [id] : []));
    if (having('requested').length > 0) this.#owner.onStopRequested();
    if (operation === 'cancel' || operation === 'remove') this.#owner.onEnded(having('applied'));
    else if (operation !== 'pause' && queues.size > 0) this.#owner.onWork([...queues]);
  }
}

function slices(ids: readonly string[]): string[][] {
  const parts: string[][] = [];
  for (let from = 0; from < ids.length; from += mostInStatement) parts.push(ids.slice(from, from + mostInStatement));
  return parts;
}

function checkChanges(changes: TaskChanges, maxBytes: number): void {
  checkKnownOptions(changes, ['input', 'priority', 'group', 'owner'], 'tasks.update');
  const { input, priority, group, owner } = changes;
  if (priority !== undefined) checkInteger(priority, 'priority', priorityRange.lowest, priorityRange.highest);
  if (group !== undefined) checkName(group, 'group');
  if (owner !== undefined) checkName(owner, 'owner');
  if (input === undefined) return;
  if (typeof input !== 'string' || input.includes('\0')) {
    throw new ValidationError(`input must be an encoded payload; got ${kindOf(input)}`, { option: 'input' });
  }
  const bytes = payloadBytes(input);
  if (bytes > maxBytes) {
    throw new ValidationError(`input takes ${bytes} bytes, more than the ${maxBytes} this broker accepts`, {
      option: 'input',
      reason: 'payload-too-large',
    });
  }
}
