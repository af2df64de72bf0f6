import { isMillraceError } from '@millrace/core';
import { type Claimant, lookInQueue, type QueueLook } from './claim.ts';

/** Looks into several queues at once. One whose node does not answer is left out until it does: the others go on. */
export class QueueLooks {
  readonly #claimant: Claimant;
  readonly #silent = new Set<string>();
  readonly #probing = new Set<string>();

  constructor(claimant: Claimant) {
    this.#claimant = claimant;
  }

  /** What the queues that answer have. @throws what the first of them threw when none does */
  async look(queues: readonly string[], names: readonly string[], sleepMs: number): Promise<QueueLook[]> {
    const answering = queues.filter((queue) => !this.#silent.has(queue));
    const asked = answering.length > 0 ? answering : queues;
    for (const queue of queues) if (!asked.includes(queue)) this.#probe(queue, names);
    const results = await Promise.allSettled(asked.map((queue) => lookInQueue(this.#claimant, queue, names, sleepMs)));
    const looks: QueueLook[] = [];
    let failure: unknown;
    for (const [index, result] of results.entries()) {
      const queue = asked[index] as string;
      if (result.status === 'fulfilled') {
        this.#silent.delete(queue);
        looks.push(result.value);
        continue;
      }
      if (!isMillraceError(result.reason, 'UNAVAILABLE')) throw result.reason;
      failure ??= result.reason;
      this.#silent.add(queue);
    }
    if (looks.length === 0 && failure !== undefined) throw failure;
    return looks;
  }

  /** Asks once more, while nobody waits for it. */
  #probe(queue: string, names: readonly string[]): void {
    if (this.#probing.has(queue)) return;
    this.#probing.add(queue);
    lookInQueue(this.#claimant, queue, names, 0)
      .then(
        () => this.#silent.delete(queue),
        () => {},
      )
      .finally(() => this.#probing.delete(queue));
  }
}
