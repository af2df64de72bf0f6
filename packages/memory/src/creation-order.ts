import type { StoredTask } from './stored-task.ts';

/**
 * All tasks in the order they were created, for listings: a page costs what it looks at, wherever it begins.
 * Removed tasks leave holes, which are closed once they are the greater part.
 */
export class CreationOrder {
  // Sequences only grow, so appending keeps the array sorted. A hole keeps its sequence for the binary search.
  #entries: { readonly sequence: number; task: StoredTask | undefined }[] = [];
  #holes = 0;

  append(task: StoredTask): void {
    this.#entries.push({ sequence: task.sequence, task });
  }

  delete(task: StoredTask): void {
    const entry = this.#entries[this.#firstAtOrAbove(task.sequence)];
    if (entry?.task !== task) return;
    entry.task = undefined;
    this.#holes += 1;
    if (this.#holes > 64 && this.#holes > this.#entries.length / 2) {
      this.#entries = this.#entries.filter((kept) => kept.task !== undefined);
      this.#holes = 0;
    }
  }

  /** Newest first, beginning below a sequence. */
  *backwards(below: number = Number.POSITIVE_INFINITY): Generator<StoredTask> {
    for (let index = this.#firstAtOrAbove(below) - 1; index >= 0; index--) {
      const task = this.#entries[index]?.task;
      if (task !== undefined) yield task;
    }
  }

  #firstAtOrAbove(sequence: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle]?.sequence ?? Number.POSITIVE_INFINITY) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
