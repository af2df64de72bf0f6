/** Values of one kind of fault that are active at the same time. The latest one counts. */
export class FaultStack<T> {
  readonly #entries: { readonly value: T }[] = [];

  /** The latest that is still active. */
  get top(): T | undefined {
    return this.#entries.at(-1)?.value;
  }

  /** Makes a value active. The returned function takes exactly this one away, wherever it is. */
  push(value: T): () => void {
    const entry = { value };
    this.#entries.push(entry);
    return () => {
      const index = this.#entries.indexOf(entry);
      if (index >= 0) this.#entries.splice(index, 1);
    };
  }
}
