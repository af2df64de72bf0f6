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
import { checkInteger, checkKnownOptions, checkName, payloadBytes, throwIfAborted } from '@millrace/core/adapter';
import { type ControlOperation, controlTask, rerunTask } from './control.ts';
import { countTasks, listTasks } from './listing.ts';
import type { StoreState } from './store.ts';
import type { StoredTask } from './stored-task.ts';
import { recordOf } from './task-record.ts';
import { waitForEndings } from './waiting.ts';

/** Lookup and control of the tasks of a store. */
export class MemoryTaskStore implements TaskStore {
  readonly #store: StoreState;
  readonly #requireOpen: (op: string) => Capabilities;
  readonly #closed: AbortSignal;

  constructor(store: StoreState, requireOpen: (op: string) => Capabilities, closed: AbortSignal) {
    this.#store = store;
    this.#requireOpen = requireOpen;
    this.#closed = closed;
  }

  async get(ids: readonly string[]): Promise<(TaskRecord | undefined)[]> {
    this.#requireOpen('tasks.get');
    const now = this.#store.now();
    return ids.map((id) => {
      const task = this.#store.find(id);
      return task === undefined ? undefined : recordOf(task, now);
    });
  }

  async list(filter: TaskFilter, page: { readonly limit: number; readonly cursor?: string }): Promise<TaskPage> {
    this.#requireOpen('tasks.list');
    checkFilter(filter);
    return listTasks(this.#store, filter, checkInteger(page.limit, 'limit', 1, 1_000), page.cursor);
  }

  async count(filter: TaskFilter): Promise<number> {
    this.#requireOpen('tasks.count');
    checkFilter(filter);
    return countTasks(this.#store, filter);
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
    this.#requireOpen('tasks.rerun');
    return ids.map((id) => rerunTask(this.#store, id));
  }

  async reschedule(ids: readonly string[], due: DueTime): Promise<ControlOutcome[]> {
    const { delay } = this.#requireOpen('tasks.reschedule');
    if ('at' in due) checkInteger(due.at, 'at', -8_640_000_000_000_000, 8_640_000_000_000_000);
    else checkInteger(due.delayMs, 'delay', 0, delay.maxMs);
    return this.#control('reschedule', ids, (task, now) => {
      task.runAt = 'at' in due ? due.at : now + due.delayMs;
    });
  }

  async update(ids: readonly string[], changes: TaskChanges): Promise<ControlOutcome[]> {
    checkChanges(changes, this.#requireOpen('tasks.update').payload.maxBytes);
    return this.#control('update', ids, (task) => {
      if (changes.input !== undefined) task.input = changes.input;
      if (changes.priority !== undefined) task.priority = changes.priority;
      if (changes.group !== undefined) task.group = changes.group;
      if (changes.owner !== undefined) task.owner = changes.owner;
    });
  }

  async remove(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#control('remove', ids);
  }

  async wait(
    ids: readonly string[],
    options: { readonly waitMs: number; readonly signal?: AbortSignal },
  ): Promise<(TaskRecord | undefined)[]> {
    this.#requireOpen('tasks.wait');
    checkInteger(options.waitMs, 'waitMs', 0, Number.MAX_SAFE_INTEGER);
    throwIfAborted(options.signal, 'tasks.wait');
    const signals = options.signal === undefined ? [this.#closed] : [this.#closed, options.signal];
    const records = await waitForEndings(this.#store, ids, options.waitMs, signals);
    if (this.#closed.aborted) this.#requireOpen('tasks.wait');
    return records;
  }

  events(): never {
    this.#requireOpen('tasks.events');
    throw new UnsupportedError('tasks.events', 'the memory broker has no event stream; use tasks.wait or tasks.list', {
      op: 'tasks.events',
      adapter: 'memory',
    });
  }

  #control(
    operation: ControlOperation,
    ids: readonly string[],
    effect?: (task: StoredTask, now: number) => void,
  ): ControlOutcome[] {
    this.#requireOpen(`tasks.${operation}`);
    return ids.map((id) => controlTask(this.#store, id, operation, effect));
  }
}

function checkFilter(filter: TaskFilter): void {
  checkKnownOptions(filter, ['ids', 'queues', 'names', 'states', 'owner', 'group', 'key'], 'a task filter');
}

function checkChanges(changes: TaskChanges, maxBytes: number): void {
  checkKnownOptions(changes, ['input', 'priority', 'group', 'owner'], 'tasks.update');
  if (changes.priority !== undefined) {
    checkInteger(changes.priority, 'priority', priorityRange.lowest, priorityRange.highest);
  }
  if (changes.group !== undefined) checkName(changes.group, 'group');
  if (changes.owner !== undefined) checkName(changes.owner, 'owner');
  const bytes = payloadBytes(changes.input);
  if (bytes > maxBytes) {
    throw new ValidationError(`input takes ${bytes} bytes, more than the ${maxBytes} this broker accepts`, {
      option: 'input',
      reason: 'payload-too-large',
    });
  }
}
