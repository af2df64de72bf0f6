/** How long statements may follow each other before the process's timers and sockets have their turn. */
const longestSpellMs = 10;

/** Statements waiting for one database that runs one at a time. */
export class PgliteLine {
  static readonly #lines = new WeakMap<object, PgliteLine>();
  readonly #urgent: (() => void)[] = [];
  readonly #others: (() => void)[] = [];
  #busy = false;
  #breathedAt = Number.NEGATIVE_INFINITY;

  /** The line of a database, which several brokers of a process may share. */
  static of(database: object): PgliteLine {
    let line = PgliteLine.#lines.get(database);
    if (line === undefined) {
      line = new PgliteLine();
      PgliteLine.#lines.set(database, line);
    }
    return line;
  }

  /**
   * Runs `work` when its turn comes: what is urgent goes first. A process that enqueues thousands of tasks at once
   * would lose its sessions otherwise, because their heartbeats waited behind all of them.
   */
  async run<T>(urgent: boolean, work: () => Promise<T>): Promise<T> {
    if (this.#busy) await new Promise<void>((resolve) => (urgent ? this.#urgent : this.#others).push(resolve));
    this.#busy = true;
    try {
      await this.#breathe();
      return await work();
    } finally {
      const next = this.#urgent.shift() ?? this.#others.shift();
      // It stays busy: whoever is next has its turn already.
      if (next === undefined) this.#busy = false;
      else next();
    }
  }

  /**
   * The database answers before the event loop has had a turn, so whoever awaits one call after the other, thousands
   * of them, would stop everything else in the process: timers, and with them heartbeats, and sockets.
   */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#breathedAt < longestSpellMs) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#breathedAt = performance.now();
  }
}
