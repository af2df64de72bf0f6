import type {
  ControlOutcome,
  DueTime,
  TaskChanges,
  TaskEvent,
  TaskFilter,
  TaskPage,
  TaskRecord,
  TaskStore,
} from '@millrace/core';
import { bringing, isWaiting } from './thin-message.ts';
import type { ThinPublisher } from './thin-publisher.ts';

/** The guard's tasks. What may run because of an operation is brought to workers by a message. */
export class GuardedTaskStore implements TaskStore {
  readonly #store: TaskStore;
  readonly #publisher: ThinPublisher;

  constructor(store: TaskStore, publisher: ThinPublisher) {
    this.#store = store;
    this.#publisher = publisher;
  }

  get(ids: readonly string[]): Promise<(TaskRecord | undefined)[]> {
    return this.#store.get(ids);
  }

  list(filter: TaskFilter, page: { readonly limit: number; readonly cursor?: string }): Promise<TaskPage> {
    return this.#store.list(filter, page);
  }

  count(filter: TaskFilter): Promise<number> {
    return this.#store.count(filter);
  }

  cancel(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#store.cancel(ids);
  }

  pause(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#store.pause(ids);
  }

  async resume(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#bring(ids, await this.#store.resume(ids));
  }

  async rerun(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#bring(ids, await this.#store.rerun(ids));
  }

  async reschedule(ids: readonly string[], due: DueTime): Promise<ControlOutcome[]> {
    return this.#bring(ids, await this.#store.reschedule(ids, due), 'delayMs' in due ? due.delayMs : 0);
  }

  async update(ids: readonly string[], changes: TaskChanges): Promise<ControlOutcome[]> {
    const outcomes = await this.#store.update(ids, changes);
    // The message on its way has the old priority; nothing else of it has changed.
    return changes.priority === undefined ? outcomes : this.#bring(ids, outcomes);
  }

  remove(ids: readonly string[]): Promise<ControlOutcome[]> {
    return this.#store.remove(ids);
  }

  wait(
    ids: readonly string[],
    options: { readonly waitMs: number; readonly signal?: AbortSignal },
  ): Promise<(TaskRecord | undefined)[]> {
    return this.#store.wait(ids, options);
  }

  events(filter: TaskFilter, options: { readonly signal?: AbortSignal }): AsyncIterable<TaskEvent> {
    return this.#store.events(filter, options);
  }

  async #bring(ids: readonly string[], outcomes: ControlOutcome[], delayMs = 0): Promise<ControlOutcome[]> {
    // What is refused because it waits already was perhaps done by a call whose answer was lost, and not brought.
    const done = ids.filter((_id, index) => outcomes[index] === 'applied' || outcomes[index] === 'refused');
    if (done.length === 0) return outcomes;
    try {
      const records = await this.#store.get(done);
      this.#publisher.send(records.filter(isWaiting).map((record) => ({ ...bringing(record), delayMs })));
    } catch {
      // It is done all the same, and the sweep brings them.
    }
    return outcomes;
  }
}
