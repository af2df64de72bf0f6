/** Claims that follow each other within this are one after the other. */
const promptMs = 50;
/** So many of them in a row that got what they asked for, and the next will as well. */
const steadyClaims = 2;
/** How long a queue that brought a last attempt, or what nobody wanted, gets no standing subscription. */
const carefulMs = 1_000;

/**
 * Whether the claims of a queue come one after the other and bring as much as they ask for: only then is it worth
 * having messages sent before they are asked for.
 */
export class Pace {
  #filled = 0;
  #lastAt = Number.NEGATIVE_INFINITY;
  #carefulUntil = Number.NEGATIVE_INFINITY;
  #arrived = 0;

  /** A message came. */
  arrived(): void {
    this.#arrived += 1;
  }

  /** Messages since this was asked last. */
  takeArrived(): number {
    const arrived = this.#arrived;
    this.#arrived = 0;
    return arrived;
  }

  /** A claim is over. `filled`: it got all it asked for, some of it from here. */
  claimed(filled: boolean, now: number): void {
    this.#filled = filled && now - this.#lastAt <= promptMs ? this.#filled + 1 : Number(filled);
    this.#lastAt = now;
  }

  isSteady(now: number): boolean {
    return this.#filled >= steadyClaims && now - this.#lastAt <= promptMs && now >= this.#carefulUntil;
  }

  /** Messages that were not wanted at once should not have been sent. */
  beCareful(now: number): void {
    this.#filled = 0;
    this.#carefulUntil = now + carefulMs;
  }
}
