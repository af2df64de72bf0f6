/** Numbers that look random, the same for the same seed. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** Time that passes only while everybody sleeps, so that any number of actors is over in a moment. */
export class Simulation {
  /** Milliseconds, with fractions. */
  now = 0;
  readonly dice: Dice;
  readonly #sleepers: { readonly at: number; readonly order: number; readonly wake: () => void }[] = [];
  #order = 0;

  constructor(seed: number) {
    this.dice = new Dice(seed);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => {
      this.#sleepers.push({ at: this.now + ms, order: ++this.#order, wake });
    });
  }

  /** Runs actors until all of them have come to their end. */
  async run(actors: readonly Promise<void>[]): Promise<void> {
    let left = actors.length;
    const ends = actors.map((actor) => actor.finally(() => left--));
    const all = Promise.all(ends);
    all.catch(() => {});
    while (left > 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const next = this.#takeNext();
      if (next === undefined) {
        if (left > 0) await new Promise<void>((resolve) => setImmediate(resolve));
        if (left > 0 && this.#sleepers.length === 0) break;
        continue;
      }
      this.now = Math.max(this.now, next.at);
      next.wake();
    }
    if (left > 0) throw new Error(`${left} actors wait for something that never comes`);
    await all;
  }

  #takeNext(): { readonly at: number; readonly wake: () => void } | undefined {
    let first = 0;
    for (const [index, sleeper] of this.#sleepers.entries()) {
      const best = this.#sleepers[first];
      if (best === undefined) continue;
      if (sleeper.at < best.at || (sleeper.at === best.at && sleeper.order < best.order)) first = index;
    }
    return this.#sleepers.splice(first, 1)[0];
  }
}
