import type { NewTask } from '@millrace/core';
import type { StoreState } from './store.ts';
import type { StoredTask } from './stored-task.ts';

/** A transaction of a memory broker, as `broker.transaction` hands it out. Pass it on to `enqueue`. */
export interface MemoryTransaction {
  readonly kind: 'memory-transaction';
  /** Whether it still takes tasks. */
  readonly open: boolean;
}

/**
 * Tasks that are stored, hold their ids and keys, and are seen by nobody else until the transaction ends. Whoever
 * wants the same id or key meanwhile waits for that end, as a row lock would make them.
 */
export class OpenTransaction implements MemoryTransaction {
  readonly kind = 'memory-transaction';
  readonly store: StoreState;
  readonly added: Set<StoredTask> = new Set();
  /** New content for tasks that were there before, by the task it replaces. */
  readonly replacements: Map<StoredTask, NewTask> = new Map();
  /** Resolves when it was committed or rolled back. */
  readonly ended: Promise<void>;
  open = true;
  #end: () => void = () => {};

  constructor(store: StoreState) {
    this.store = store;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Makes the tasks visible and unlocks what is to be replaced. Returns the content the caller has to place. */
  commit(): readonly NewTask[] {
    this.#close();
    for (const task of this.added) {
      this.store.change(task, () => {
        task.pendingIn = undefined;
      });
    }
    return [...this.replacements.values()];
  }

  rollback(): void {
    for (const task of this.added) this.store.remove(task);
    this.#close();
  }

  #close(): void {
    this.open = false;
    for (const task of this.replacements.keys()) {
      this.store.change(task, () => {
        task.lockedBy = undefined;
      });
    }
    this.#end();
  }
}
