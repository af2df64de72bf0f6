/**
 * What is under way: few things at a time, many in the course of a day. Behaves like a `Set`, whose tables are linked
 * when one replaces another: once the collector has kept an old one, all that follow are kept until its next full round,
 * with the answers and tasks they lead to.
 */
export class Underway<T> implements Iterable<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  has(item: T): boolean {
    return this.#items.includes(item);
  }

  add(item: T): void {
    this.#items.push(item);
  }

  /** Takes it out, if it is there. The order of the others may change. */
  delete(item: T): void {
    const place = this.#items.indexOf(item);
    if (place < 0) return;
    const last = this.#items.pop() as T;
    if (place < this.#items.length) this.#items[place] = last;
  }

  /** As they are now: what is taken out meanwhile is met all the same. */
  [Symbol.iterator](): Iterator<T> {
    return [...this.#items].values();
  }
}
