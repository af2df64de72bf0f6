/**
 * A binary heap that can also drop an item from its middle. `add`, `take` and `delete` are O(log n), `peek` is O(1).
 * What `precedes` looks at must not change while an item is inside: take it out first, then change it.
 */
export class Heap<T> {
  readonly #precedes: (first: T, second: T) => boolean;
  readonly #items: T[] = [];
  readonly #positions = new Map<T, number>();

  constructor(precedes: (first: T, second: T) => boolean) {
    this.#precedes = precedes;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    if (this.#positions.has(item)) return;
    this.#items.push(item);
    this.#rise(item, this.#items.length - 1);
  }

  take(): T | undefined {
    const first = this.#items[0];
    if (first !== undefined) this.delete(first);
    return first;
  }

  /** Whether it was there. */
  delete(item: T): boolean {
    const position = this.#positions.get(item);
    if (position === undefined) return false;
    this.#positions.delete(item);
    const last = this.#items.pop() as T;
    if (last !== item) {
      // The last item fills the gap, and belongs either further up or further down.
      this.#rise(last, position);
      this.#sink(last, this.#positions.get(last) as number);
    }
    return true;
  }

  #rise(item: T, from: number): void {
    let position = from;
    while (position > 0) {
      const above = (position - 1) >> 1;
      const parent = this.#items[above] as T;
      if (!this.#precedes(item, parent)) break;
      this.#put(parent, position);
      position = above;
    }
    this.#put(item, position);
  }

  #sink(item: T, from: number): void {
    let position = from;
    for (;;) {
      const left = 2 * position + 1;
      if (left >= this.#items.length) break;
      const right = left + 1;
      const below =
        right < this.#items.length && this.#precedes(this.#items[right] as T, this.#items[left] as T) ? right : left;
      const child = this.#items[below] as T;
      if (!this.#precedes(child, item)) break;
      this.#put(child, position);
      position = below;
    }
    this.#put(item, position);
  }

  #put(item: T, position: number): void {
    this.#items[position] = item;
    this.#positions.set(item, position);
  }
}
