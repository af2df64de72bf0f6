import {
  type Capabilities,
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
import {
  checkInteger,
  checkKnownOptions,
  checkName,
  doneInPart,
  kindOf,
  payloadBytes,
  throwIfAborted,
} from '@millrace/core/adapter';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import { checkFilter, countTasks, listTasks } from './listing.ts';
import type { Locator } from './locator.ts';
import type { QueueRegistry } from './queue-registry.ts';
import { readRecord } from './stored-task.ts';

/** What a task store needs of the broker it belongs to. */
export interface TaskStoreOwner {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly registry: QueueRegistry;
  readonly locator: Locator;
  readonly requireOpen: (op: string) => Capabilities;
  /** A queue in which something may be due now. */
  readonly onWork: (queue: string) => void;
  /** A stop was asked of running tasks. */
  readonly onStopRequested: () => void;
  /** Tasks that ended or are gone. */
  readonly onEnded: (taskIds: readonly string[]) => void;
  readonly waitForEnd: (ids: readonly string[], waitMs: number, signal: AbortSignal | undefined) => Promise<void>;
}

type Operation = 'cancel' | 'pause' | 'resume' | 'rerun' | 'reschedule' | 'update' | 'remove';

const furthestInstant = 8_640_000_000_000_000;
const outcomesOf: Readonly<Record<string, ControlOutcome>> = { a: 'applied', q: 'requested', f: 'refused' };
const endings: ReadonlySet<Operation> = new Set(['cancel', 'remove']);

/** Lookup and control of tasks. */
export class RedisTaskStore implements TaskStore {
  readonly #owner: TaskStoreOwner;

  constructor(owner: TaskStoreOwner) {
    this.#owner = owner;
  }

  async get(ids: readonly string[]): Promise<(TaskRecord | undefined)[]> {
    const { connection, keys, locator, requireOpen } = this.#owner;
    requireOpen('tasks.get');
    const call = { op: 'tasks.get', writes: false };
    const found = await locator.ask(ids, 'tasks.get', async (queue, wanted) => {
      const answers = await connection.run('readTasks', keys.queue(queue), wanted, call);
      const [now, ...tasks] = answers as [string, ...(string[] | '')[]];
      return wanted.map((id, index) => {
        const parts = tasks[index];
        return Array.isArray(parts) ? readRecord(id, queue, parts, Number(now)) : undefined;
      });
    });
    return ids.map((id) => found.get(id));
  }

  async list(filter: TaskFilter, page: { readonly limit: number; readonly cursor?: string }): Promise<TaskPage> {
    this.#owner.requireOpen('tasks.list');
    checkFilter(filter);
    return listTasks(this.#owner, filter, checkInteger(page.limit, 'limit', 1, 1_000), page.cursor);
  }

  async count(filter: TaskFilter): Promise<number> {
    this.#owner.requireOpen('tasks.count');
    checkFilter(filter);
    return countTasks(this.#owner, filter);
  }

  async cancel(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#control('cancel', ids);
  }

  async pause(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#control('pause', ids);
  }

  async resume(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#control('resume', ids);
  }

  async rerun(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#control('rerun', ids);
  }

  async reschedule(ids: readonly string[], due: DueTime): Promise<ControlOutcome[]> {
    const { delay } = this.#owner.requireOpen('tasks.reschedule');
    const wish =
      'at' in due
        ? [false, checkInteger(due.at, 'at', -furthestInstant, furthestInstant)]
        : [checkInteger(due.delayMs, 'delay', 0, delay.maxMs), false];
    return this.#control('reschedule', ids, wish);
  }

  async update(ids: readonly string[], changes: TaskChanges): Promise<ControlOutcome[]> {
    checkChanges(changes, this.#owner.requireOpen('tasks.update').payload.maxBytes);
    const { input, priority = false, group = false, owner = false } = changes;
    return this.#control('update', ids, [priority, group, owner, input !== undefined], input);
  }

  async remove(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#control('remove', ids);
  }

  async wait(
    ids: readonly string[],
    options: { readonly waitMs: number; readonly signal?: AbortSignal },
  ): Promise<(TaskRecord | undefined)[]> {
    this.#owner.requireOpen('tasks.wait');
    checkInteger(options.waitMs, 'waitMs', 0, Number.MAX_SAFE_INTEGER);
    throwIfAborted(options.signal, 'tasks.wait');
    await this.#owner.waitForEnd(ids, options.waitMs, options.signal);
    this.#owner.requireOpen('tasks.wait');
    return this.get(ids);
  }

  events(): never {
    this.#owner.requireOpen('tasks.events');
    throw new UnsupportedError('tasks.events', 'this broker has no event stream; use tasks.wait or tasks.list', {
      op: 'tasks.events',
      adapter: 'redis',
    });
  }

  async #control(
    operation: Operation,
    ids: readonly string[],
    wish?: readonly unknown[],
    input = '',
  ): Promise<ControlOutcome[]> {
    const { connection, keys, locator, requireOpen, onWork, onEnded, onStopRequested } = this.#owner;
    const op = `tasks.${operation}`;
    requireOpen(op);
    const head = [operation, wish === undefined ? '' : JSON.stringify(wish), input];
    // Doing these twice is the same as doing them once, and says the same.
    const call = { op, durable: true, harmless: ['pause', 'reschedule', 'update'].includes(operation) };
    let changed = false;
    const asking = locator.ask(ids, op, async (queue, wanted) => {
      const letters = String(await connection.run('controlTasks', keys.queue(queue), [...head, ...wanted], call));
      const outcomes = wanted.map((_id, index) => outcomesOf[letters[index] ?? 'n']);
      changed ||= outcomes.includes('applied') || outcomes.includes('requested');
      if (outcomes.includes('requested')) onStopRequested();
      if (!outcomes.includes('applied')) return outcomes;
      if (endings.has(operation)) onEnded(wanted.filter((_id, index) => outcomes[index] === 'applied'));
      else if (operation !== 'pause') onWork(queue);
      return outcomes;
    });
    const found = await asking.catch((error: unknown) => {
      throw changed ? doneInPart(error, op) : error;
    });
    return ids.map((id) => found.get(id) ?? 'not-found');
  }
}

function checkChanges(changes: TaskChanges, maxBytes: number): void {
  checkKnownOptions(changes, ['input', 'priority', 'group', 'owner'], 'tasks.update');
  const { input, priority, group, owner } = changes;
  if (priority !== undefined) checkInteger(priority, 'priority', priorityRange.lowest, priorityRange.highest);
  if (group !== undefined) checkName(group, 'group');
  if (owner !== undefined) checkName(owner, 'owner');
  if (input === undefined) return;
  if (typeof input !== 'string') {
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
