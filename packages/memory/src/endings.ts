/** Tells those who wait for tasks that one of them has ended or is gone. */
export class Endings {
  readonly #listeners = new Map<string, Set<(taskId: string) => void>>();

  /** Calls `listener` at every ending of the task until the returned function is called. */
  watch(taskId: string, listener: (taskId: string) => void): () => void {
    const listeners = this.#listeners.get(taskId) ?? new Set();
    this.#listeners.set(taskId, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(taskId) === listeners) this.#listeners.delete(taskId);
    };
  }

  tell(taskId: string): void {
    for (const listener of [...(this.#listeners.get(taskId) ?? [])]) listener(taskId);
  }
}
