import { sleep } from '../adapter/deadline.ts';
import type { Clock } from '../clock.ts';

/** How long a stopping worker waits for its broker in all, once its handlers are done with. */
export const farewellMs = 5_000;
/** The same for a forced stop, counted from when it was asked for. */
export const forcedFarewellMs = 2_000;

/** One limit for everything a stopping worker still asks of its broker. */
export class Farewell {
  readonly #clock: Clock;
  readonly #hurried: AbortSignal;
  readonly #begun: number;
  #end: number;

  /** @param hurried aborts when somebody forces the stop: from then on the limit is the short one. */
  constructor(clock: Clock, hurried: AbortSignal, limitMs: number = farewellMs) {
    this.#clock = clock;
    this.#hurried = hurried;
    this.#begun = clock.monotonic();
    this.#end = this.#begun + limitMs;
    if (hurried.aborted) this.#shorten();
    else hurried.addEventListener('abort', () => this.#shorten(), { once: true });
  }

  #shorten(): void {
    this.#end = Math.min(this.#end, this.#clock.monotonic() + forcedFarewellMs);
  }

  /**
   * Waits for work, however it ends, but not beyond the limit. The work goes on; nobody waits for it any more.
   * @param share of the whole limit this may use up, so that something is left for what comes after it.
   */
  async wait(work: Promise<unknown>, share = 1): Promise<void> {
    const finished = new AbortController();
    const finish = (): void => finished.abort();
    work.then(finish, finish);
    while (!finished.signal.aborted) {
      const left = this.#begun + (this.#end - this.#begun) * share - this.#clock.monotonic();
      if (left <= 0) return;
      const hurry = this.#hurried.aborted ? [] : [this.#hurried];
      await sleep(left, AbortSignal.any([finished.signal, ...hurry]), this.#clock);
    }
  }
}
